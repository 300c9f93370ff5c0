// SPDX-License-Identifier: Apache-2.0
// An index as the copy of another one.
#include <artcache/content.hpp>
#include <artcache/follower.hpp>
#include <unordered_map>

#include "core/sync/buckets.hpp"
#include "core/sync/replica_note.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

using sync::ReplicaNote;

/// Fewer records are put one by one: making tables anew for them costs more.
constexpr std::uint64_t kBulkLeast = 1000;

/// Why a record cannot be applied, whatever is tried.
bool is_poison(const Error& error) {
  return error.code == Errc::invalid_argument || error.code == Errc::corrupt;
}

class Replica final : public ReplicaSink {
 public:
  Replica(MetadataStore& index, std::string source, const Deps& deps)
      : index_(index), source_(std::move(source)), deps_(deps) {}

  Result<Standing> standing(const Call& call) override {
    // After an error what is in memory may be ahead of what was kept.
    loaded_ = false;
    waiting_.clear();
    ARTCACHE_CHECK(load(call));
    ARTCACHE_TRY(const IndexHead head, index_.head(call));
    return Standing{.source = note_.position,
                    .digest = head.position.digest,
                    .count = head.count,
                    .dead = note_.dead};
  }

  Result<void> apply(std::span<const LogRow> rows, const Call& call) override {
    if (rows.empty()) return {};
    ARTCACHE_CHECK(load(call));
    // Of several changes of a key only the last one is left to see afterwards.
    std::unordered_map<std::string_view, const LogRow*> last;
    for (const LogRow& row : rows)
      if (row.kind != LogRow::Kind::reset) last[row.record.key] = &row;
    std::vector<Work> works;
    works.reserve(last.size());
    for (const LogRow& row : rows)
      if (const auto at = last.find(row.record.key); at != last.end() && at->second == &row) {
        const bool put = row.kind == LogRow::Kind::put;
        ARTCACHE_CHECK(add(works, row.record.key, put ? &row.record : nullptr, row.position.seq));
      }
    ARTCACHE_CHECK(carry_out(works, call));
    note_.position = rows.back().position;
    return save(call);
  }

  Result<void> mend(std::span<const Record> put, std::span<const std::string> removed,
                    const Call& call) override {
    ARTCACHE_CHECK(load(call));
    std::vector<Work> works;
    works.reserve(put.size() + removed.size());
    for (const Record& record : put) ARTCACHE_CHECK(add(works, record.key, &record, 0));
    for (const std::string& key : removed) ARTCACHE_CHECK(add(works, key, nullptr, 0));
    const std::size_t dead = note_.dead.size();
    ARTCACHE_CHECK(carry_out(works, call));
    return dead == 0 && note_.dead.empty() ? Result<void>() : save(call);
  }

  Result<void> stand_at(const Position& position, const Call& call) override {
    ARTCACHE_CHECK(load(call));
    note_.position = position;
    return save(call);
  }

  /// By a bulk load, which keeps what it has got when it is cut off.
  Result<Position> fill(LogSource& source, const Call& call) override {
    ARTCACHE_CHECK(load(call));
    ARTCACHE_TRY(const IndexHead theirs, source.head(call));
    if (theirs.count < kBulkLeast) return ReplicaSink::fill(source, call);
    auto bulk = index_.bulk_load(theirs.count, 0, call);
    if (!bulk && bulk.error().code == Errc::conflict) return ReplicaSink::fill(source, call);
    if (!bulk) return std::move(bulk).error();
    if (const std::uint64_t left = (*bulk)->resumed_rows(); left > 0) {
      // A source that is cut off again and again must not make it begin again and again.
      if (left >= theirs.count / 4 || began_anew_) {
        ARTCACHE_TRY(const Position unused, (*bulk)->finish(call));
        static_cast<void>(unused);
        return Position{};
      }
      began_anew_ = true;
      ARTCACHE_CHECK((*bulk)->discard(call));
      ARTCACHE_TRY(bulk, index_.bulk_load(theirs.count, 0, call));
    }
    bool refused = false;
    auto filled = fill_by(**bulk, source, &refused, call);
    if (filled || !refused) return filled;
    // One of the records is impossible; mend() finds out which.
    bulk->reset();
    waiting_.clear();
    ARTCACHE_TRY(bulk, index_.bulk_load(theirs.count, 0, call));
    ARTCACHE_CHECK((*bulk)->discard(call));
    return ReplicaSink::fill(source, call);
  }

  Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, const Call& call) override {
    Position position;
    return index_.bucket_digests(bits, &position, call);
  }
  Result<void> keys(unsigned bits, std::span<const std::uint32_t> buckets, const KeySink& sink,
                    const Call& call) override {
    return sync::keys_of(index_, bits, buckets, sink, call);
  }

 private:
  /// A change, and what it is buried as should it turn out to be impossible.
  struct Work {
    EntryChange change;
    DeadLetter letter;
  };

  Result<void> load(const Call& call) {
    if (loaded_) return {};
    ARTCACHE_TRY(const std::string text, index_.note(sync::kReplicaNote, call));
    ARTCACHE_TRY(note_, sync::parse_note(text));
    // A copy of something else: it has never followed this source.
    if (note_.source != source_) note_ = {.source = source_, .position = {}, .dead = {}};
    loaded_ = true;
    return {};
  }
  Result<void> save(const Call& call) {
    return index_.set_note(sync::kReplicaNote, sync::to_text(note_), 0, call);
  }

  /// `refused`: it is for a record that there is an error.
  Result<Position> fill_by(BulkLoad& bulk, LogSource& source, bool* refused, const Call& call) {
    std::vector<BulkLoad::Row> rows;
    const auto put = [&](std::span<const Record> records) -> Result<void> {
      ARTCACHE_CHECK(call.check("follow"));
      rows.clear();
      rows.reserve(records.size());
      for (const Record& record : records) {
        auto change = change_of(record.key, &record);
        if (change) {
          rows.push_back({std::move(change->put), change->freshness, {}});
          continue;
        }
        waiting_.push_back({.seq = 0,
                            .key = record.key,
                            .hash = record.hash,
                            .kept = {},
                            .reason = change.error().message});
        if (waiting_.size() > kDeadLettersMost) break;
      }
      const auto added = bulk.add(rows, call);
      *refused = !added && is_poison(added.error());
      return added;
    };
    ARTCACHE_TRY(const Position position, source.snapshot(put, call));
    ARTCACHE_TRY(const Position unused, bulk.finish(call));
    static_cast<void>(unused);
    for (DeadLetter& letter : std::exchange(waiting_, {}))
      ARTCACHE_CHECK(bury(std::move(letter), call));
    note_.position = position;
    ARTCACHE_CHECK(save(call));
    return position;
  }

  /// A record is believed only when its payload has its hash and speaks of its key.
  Result<EntryChange> change_of(std::string_view key, const Record* record) const {
    ARTCACHE_TRY(const FileId id, FileId::parse(key));
    EntryChange change{.kind = EntryChange::Kind::remove,
                       .id = id,
                       .put = {},
                       .freshness = {},
                       .base = {},
                       .as_of = {}};
    if (record == nullptr) return change;
    ARTCACHE_TRY(FileEntry entry, parse_content(record->payload));
    change.kind = EntryChange::Kind::put;
    change.put = prepare(std::move(entry));
    change.freshness.refreshed_at = deps_.clock->now();
    if (change.put.entry.id != id)
      return Error{Errc::corrupt, "follow: the record speaks of another file"};
    if (change.put.hash != record->hash)
      return Error{Errc::corrupt, "follow: the record does not have the hash it came with"};
    return change;
  }

  Result<void> add(std::vector<Work>& works, const std::string& key, const Record* record,
                   std::uint64_t seq) {
    DeadLetter letter{.seq = seq, .key = key, .hash = {}, .kept = {}, .reason = {}};
    if (record != nullptr) letter.hash = record->hash;
    auto change = change_of(key, record);
    if (change) {
      works.push_back({std::move(*change), std::move(letter)});
      return {};
    }
    // Nothing to take away under a key that no entry can have.
    if (record == nullptr) {
      note_.forget(key);
      return {};
    }
    letter.reason = change.error().message;
    waiting_.push_back(std::move(letter));
    return {};
  }

  /// Applies all, in transactions of a size that every index takes; one by one where one of them
  /// is refused. What is refused by itself is buried.
  Result<void> carry_out(std::vector<Work>& works, const Call& call) {
    for (std::size_t at = 0; at < works.size(); at += kApplyMost)
      ARTCACHE_CHECK(
          apply_all(std::span(works).subspan(at, std::min(kApplyMost, works.size() - at)), call));
    for (DeadLetter& letter : std::exchange(waiting_, {}))
      ARTCACHE_CHECK(bury(std::move(letter), call));
    return {};
  }

  Result<void> apply_all(std::span<Work> works, const Call& call) {
    std::vector<EntryChange> changes;
    changes.reserve(works.size());
    for (Work& work : works) changes.push_back(std::move(work.change));
    const auto done = index_.apply({.changes = changes}, call);
    if (done) {
      if (!note_.dead.empty())
        for (const Work& work : works) note_.forget(work.letter.key);
      return {};
    }
    if (!is_poison(done.error())) return done.error();
    if (works.size() == 1) {
      works[0].letter.reason = done.error().message;
      return bury(std::move(works[0].letter), call);
    }
    for (std::size_t i = 0; i < works.size(); ++i) works[i].change = std::move(changes[i]);
    for (std::size_t i = 0; i < works.size(); ++i)
      ARTCACHE_CHECK(apply_all(works.subspan(i, 1), call));
    return {};
  }

  Result<void> bury(DeadLetter letter, const Call& call) {
    if (const auto id = FileId::parse(letter.key)) {
      ARTCACHE_TRY(const auto briefs, index_.briefs({&*id, 1}, call));
      if (briefs[0]) letter.kept = briefs[0]->hash;
    }
    deps_.logger->log(
        {.level = LogLevel::error,
         .logger = "follower",
         .message = "A record could not be applied and joins the dead letters: " + letter.reason,
         .fields = {},
         .request_id = call.request_id});
    return note_.bury(std::move(letter));
  }

  MetadataStore& index_;
  const std::string source_;
  const Deps deps_;
  ReplicaNote note_;
  std::vector<DeadLetter> waiting_;  // not applied; buried once the others are done
  bool loaded_ = false;
  bool began_anew_ = false;  // what a snapshot had left was thrown away
};

}  // namespace

std::unique_ptr<ReplicaSink> make_replica(MetadataStore& index, std::string source,
                                          const Deps& deps) {
  return std::make_unique<Replica>(index, std::move(source), deps);
}

}  // namespace artcache
