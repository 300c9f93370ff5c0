// SPDX-License-Identifier: Apache-2.0
// An index whose writes fail when they are told to.
#pragma once

#include <artcache/metadata_store.hpp>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace artcache::test {

/// Hands everything on to another index, which must live longer. Safe to call from any thread.
/// What counts are the writes: apply() and add_intent(), from 1 at the moment of the order.
class FaultyIndex final : public MetadataStore {
 public:
  explicit FaultyIndex(MetadataStore& inner) : inner_(inner) {}

  /// The n-th write from now fails before anything is done.
  void fail(Error error, std::size_t nth = 1) { order(std::move(error), nth, Kind::fails); }
  /// The n-th write from now is done, but its answer is lost.
  void lose_answer(Error error, std::size_t nth = 1) {
    order(std::move(error), nth, Kind::answer_lost);
  }
  /// Called before every write, on its thread.
  void before_each(std::function<void()> hook) { hook_ = std::move(hook); }
  /// The same for every reading of the head.
  void before_each_head(std::function<void()> hook) { head_hook_ = std::move(hook); }
  /// The same for every note that is set, with what it says.
  void before_each_note(std::function<void(std::string_view)> hook) {
    note_hook_ = std::move(hook);
  }
  /// Called before every reading of the log, with its limit; what it returns is its error.
  void before_each_log(std::function<std::optional<Error>(std::uint32_t)> hook) {
    log_hook_ = std::move(hook);
  }
  [[nodiscard]] std::size_t writes() const {
    const std::scoped_lock held(mutex_);
    return count_;
  }

  Result<ApplyResult> apply(const ApplyRequest& request, const Call& call) override {
    return run([&] { return inner_.apply(request, call); });
  }
  Result<void> add_intent(const Intent& intent, const Call& call) override {
    return run([&] { return inner_.add_intent(intent, call); });
  }

  Result<std::optional<IndexedEntry>> find(const FileId& id, const Call& call) override {
    return inner_.find(id, call);
  }
  Result<std::vector<std::optional<RowBrief>>> briefs(std::span<const FileId> ids,
                                                      const Call& call) override {
    return inner_.briefs(ids, call);
  }
  Result<EntryPage> page(const PageRequest& request, const Call& call) override {
    return inner_.page(request, call);
  }
  Result<EntryPage> search(const SearchRequest& request, const Call& call) override {
    return inner_.search(request, call);
  }
  Result<std::string> note(std::string_view name, const Call& call) override {
    return inner_.note(name, call);
  }
  Result<Position> scan(const std::function<Result<void>(std::span<const KeyAndHash>)>& sink,
                        const Call& call) override {
    return inner_.scan(sink, call);
  }
  Result<std::unique_ptr<BulkLoad>> bulk_load(std::uint64_t rows, std::uint64_t fence,
                                              const Call& call) override {
    return inner_.bulk_load(rows, fence, call);
  }
  Result<std::vector<std::optional<ScannedFile>>> find_scanned(
      std::span<const std::string_view> paths, const Call& call) override {
    return inner_.find_scanned(paths, call);
  }
  Result<std::vector<ScannedFile>> scanned_paths_of(const FileId& id, const Call& call) override {
    return inner_.scanned_paths_of(id, call);
  }
  Result<void> scan_table(const ScanRange& range,
                          const std::function<Result<void>(std::span<const ScannedFile>)>& sink,
                          const Call& call) override {
    return inner_.scan_table(range, sink, call);
  }
  Result<std::vector<Intent>> intents(const Call& call) override { return inner_.intents(call); }
  Result<void> set_note(std::string_view name, std::string_view text, std::uint64_t fence,
                        const Call& call) override {
    if (note_hook_) note_hook_(text);
    return inner_.set_note(name, text, fence, call);
  }
  Result<void> drop_notes(std::string_view prefix, std::uint64_t fence, const Call& call) override {
    return inner_.drop_notes(prefix, fence, call);
  }
  Result<void> set_suspect(std::string_view reason, std::uint64_t fence,
                           const Call& call) override {
    return inner_.set_suspect(reason, fence, call);
  }
  Result<void> trust(const IndexHead& seen, std::uint64_t fence, const Call& call) override {
    return inner_.trust(seen, fence, call);
  }
  Result<IndexHead> head(const Call& call) override {
    if (head_hook_) head_hook_();
    return inner_.head(call);
  }
  Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                              const Call& call) override {
    if (log_hook_)
      if (auto error = log_hook_(limit)) return *std::move(error);
    return inner_.read_after(position, limit, call);
  }
  Result<IndexHead> wait_for(std::uint64_t seq, const Call& call) override {
    return inner_.wait_for(seq, call);
  }
  Result<Position> snapshot(const std::function<Result<void>(std::span<const Record>)>& sink,
                            const Call& call) override {
    return inner_.snapshot(sink, call);
  }
  Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, Position* position,
                                                   const Call& call) override {
    return inner_.bucket_digests(bits, position, call);
  }
  [[nodiscard]] std::string describe() const override { return inner_.describe(); }
  [[nodiscard]] LockStore* locks() override { return inner_.locks(); }

 private:
  enum class Kind : std::uint8_t { none, fails, answer_lost };

  void order(Error error, std::size_t nth, Kind kind) {
    const std::scoped_lock held(mutex_);
    at_ = count_ + nth;
    kind_ = kind;
    error_ = std::move(error);
  }
  template <class F>
  auto run(F&& call) -> decltype(call()) {
    if (hook_) hook_();
    Kind kind = Kind::none;
    {
      const std::scoped_lock held(mutex_);
      if (++count_ == at_) kind = kind_;
    }
    if (kind == Kind::fails) return error_;
    auto result = call();
    if (kind == Kind::answer_lost) return error_;
    return result;
  }

  MetadataStore& inner_;
  std::function<void()> hook_, head_hook_;
  std::function<std::optional<Error>(std::uint32_t)> log_hook_;
  std::function<void(std::string_view)> note_hook_;
  mutable std::mutex mutex_;
  std::size_t count_ = 0, at_ = 0;  // guarded by mutex_, as all below
  Kind kind_ = Kind::none;
  Error error_;
};

}  // namespace artcache::test
