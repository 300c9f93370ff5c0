// SPDX-License-Identifier: Apache-2.0
// A storage that fails when it is told to.
#pragma once

#include <array>
#include <artcache/storage_backend.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace artcache::test {

enum class StorageOp : std::uint8_t {
  list,
  batch,  ///< one batch on its way to the sink of list()
  read_sidecars,
  sidecar,  ///< one file on its way to the sink of read_sidecars(): a failure becomes its outcome
  open,
  read,
  stage,
  append,
  commit,
  remove,
  stat,
  capacity,
  sync,
};
inline constexpr std::size_t kStorageOps = 13;

/// Hands everything on to another storage, which must live longer. Safe to call from any thread.
/// Numbers count from 1 at the moment of the order; each order is carried out once.
class FaultyStorage final : public StorageBackend {
 public:
  /// Called before every operation, on its thread: to wait, to change files, to throw.
  using Hook = std::function<void(StorageOp op, std::string_view path)>;

  explicit FaultyStorage(StorageBackend& inner);
  ~FaultyStorage() override;

  /// The n-th `op` from now fails before anything is done.
  void fail(StorageOp op, Error error, std::size_t nth = 1);
  /// The n-th `op` from now is done, but its answer is lost: commits, removes.
  void lose_answer(StorageOp op, Error error, std::size_t nth = 1);
  /// The n-th commit from now leaves the first half of the bytes under the path and fails with an
  /// unknown outcome. No storage may do that; readers must notice.
  void tear_commit(std::size_t nth = 1);
  /// From now on a read() gives at most this many bytes; 0 ends that.
  void shorten_reads(std::size_t bytes_most);
  void before_each(Hook hook);
  /// What capabilities() say from now on. Before anybody asks.
  void late_writes(std::chrono::seconds span) { capabilities_.late_writes = span; }
  /// Answers watch(), in place of the other storage.
  using Watcher = std::function<Result<std::unique_ptr<ChangeNotices>>()>;
  void watch_by(Watcher watcher) { watcher_ = std::move(watcher); }
  /// How often `op` was called so far.
  [[nodiscard]] std::size_t count(StorageOp op) const;

  [[nodiscard]] std::string describe() const override;
  [[nodiscard]] const StorageCapabilities& capabilities() const override { return capabilities_; }
  void hide(std::string_view absolute_path) override;
  Result<void> list(const ListRequest& request, const ListSink& sink, const Call& call) override;
  Result<void> read_sidecars(std::span<const std::string_view> paths, std::uint64_t size_most,
                             const SidecarSink& sink, const Call& call) override;
  Result<std::unique_ptr<ByteReader>> open(std::string_view path, ByteRange range,
                                           const Call& call) override;
  Result<std::unique_ptr<StagedFile>> stage(const PutRequest& request, const Call& call) override;
  Result<bool> remove(std::string_view path, const Call& call) override;
  Result<void> sync(std::string_view path, const Call& call) override;
  Result<std::optional<FileInfo>> stat(std::string_view path, const Call& call) override;
  Result<StorageCapacity> capacity(const Call& call) override;
  Result<std::unique_ptr<ChangeNotices>> watch(const WatchLimits& limits,
                                               const Call& call) override {
    return watcher_ ? watcher_() : inner_.watch(limits, call);
  }

 private:
  friend class FaultyReader;
  friend class FaultyStagedFile;
  enum class Kind : std::uint8_t { fails, answer_lost, torn };
  struct Order {
    StorageOp op;
    Kind kind;
    std::size_t at;  // the value of the counter
    Error error;
  };
  void add(StorageOp op, Kind kind, std::size_t nth, Error error);
  /// Counts a call and takes the order that is meant for it.
  std::optional<Order> enter(StorageOp op, std::string_view path);
  /// Runs `call` as an `op`, or what was ordered instead.
  template <class F>
  auto run(StorageOp op, std::string_view path, F&& call) -> decltype(call());

  StorageBackend& inner_;
  StorageCapabilities capabilities_;
  Watcher watcher_;
  mutable std::mutex mutex_;
  std::array<std::size_t, kStorageOps> counts_{};  // guarded by mutex_, as all below
  std::vector<Order> orders_;
  std::size_t read_most_ = 0;
  Hook hook_;
};

}  // namespace artcache::test
