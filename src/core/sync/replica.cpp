// SPDX-License-Identifier: Apache-2.0
// An index as the copy of another one.
#include <algorithm>
#include <artcache/follower.hpp>
#include <atomic>
#include <optional>
#include <thread>

#include "core/sync/buckets.hpp"
#include "core/sync/follow_machine.hpp"
#include "core/sync/replica_note.hpp"
#include "util/here.hpp"
#include "util/try.hpp"
#include "util/workers.hpp"

namespace artcache {
namespace {

using sync::ReplicaNote;

/// Fewer records are put one by one: making tables anew for them costs more.
constexpr std::uint64_t kBulkLeast = 1000;
constexpr unsigned kThreadsMost = 4;
/// So many records a thread takes at a time, and so many make another thread worth its making.
constexpr std::size_t kShare = 25, kWorthThread = 250;

using Believed = std::vector<std::optional<Result<PreparedEntry>>>;

/// All of them, in their order. It takes about as long as an engine takes to store them, and that
/// waits for it meanwhile: so all processors share in it.
Believed believe_all(std::span<const Record* const> records) {
  Believed all(records.size());
  std::atomic<std::size_t> next = 0;
  const auto threads =
      std::clamp(static_cast<unsigned>(records.size() / kWorthThread), 1U,
                 std::clamp(std::thread::hardware_concurrency(), 1U, kThreadsMost));
  util::run_workers(threads, [&] {
    for (std::size_t at = 0; (at = next.fetch_add(kShare)) < records.size();)
      for (std::size_t i = at; i < std::min(at + kShare, records.size()); ++i)
        all[i] = believe(*records[i]);
  });
  return all;
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
    const auto last = last_of_each(rows);
    std::vector<const Record*> put;
    put.reserve(last.size());
    for (const LogRow* row : last)
      if (row->kind == LogRow::Kind::put) put.push_back(&row->record);
    Believed believed = believe_all(put);
    auto next = believed.begin();
    std::vector<Work> works;
    works.reserve(last.size());
    for (const LogRow* row : last)
      if (row->kind == LogRow::Kind::put)
        add_put(works, row->record, **next++, row->position.seq);
      else
        add_removal(works, row->record.key, row->position.seq);
    ARTCACHE_CHECK(carry_out(works, call));
    note_.position = rows.back().position;
    return save(call);
  }

  Result<void> mend(std::span<const Record> put, std::span<const std::string> removed,
                    const Call& call) override {
    ARTCACHE_CHECK(load(call));
    std::vector<Work> works;
    works.reserve(put.size() + removed.size());
    std::vector<const Record*> records;
    records.reserve(put.size());
    for (const Record& record : put) records.push_back(&record);
    Believed believed = believe_all(records);
    for (std::size_t i = 0; i < put.size(); ++i) add_put(works, put[i], *believed[i], 0);
    for (const std::string& key : removed) add_removal(works, key, 0);
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
    // Before any record: what is cut off from here on is the beginning of a copy of this source.
    ARTCACHE_CHECK(save(call));
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
      ARTCACHE_CHECK(call.check("follow", *deps_.clock));
      rows.clear();
      rows.reserve(records.size());
      std::vector<const Record*> all;
      all.reserve(records.size());
      for (const Record& record : records) all.push_back(&record);
      Believed believed = believe_all(all);
      for (std::size_t i = 0; i < records.size(); ++i) {
        if (Result<PreparedEntry>& one = *believed[i])
          rows.push_back({*std::move(one), fresh(), {}});
        else
          waiting_.push_back(letter_of(records[i], 0, one.error().message));
        if (waiting_.size() > kDeadLettersMost) break;
      }
      const auto added = bulk.add(rows, call);
      *refused = !added && refuses_record(added.error());
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

  [[nodiscard]] Freshness fresh() const {
    Freshness out;
    out.refreshed_at = deps_.clock->now();
    return out;
  }

  static DeadLetter letter_of(const Record& record, std::uint64_t seq, std::string reason = {}) {
    return {.seq = seq,
            .key = record.key,
            .hash = record.hash,
            .kept = {},
            .reason = std::move(reason)};
  }

  void add_put(std::vector<Work>& works, const Record& record, Result<PreparedEntry>& believed,
               std::uint64_t seq) {
    if (!believed) {
      waiting_.push_back(letter_of(record, seq, believed.error().message));
      return;
    }
    Work& work = works.emplace_back();
    work.change.put = *std::move(believed);
    work.change.id = work.change.put.entry.id;
    work.change.freshness = fresh();
    work.letter = letter_of(record, seq);
  }

  void add_removal(std::vector<Work>& works, const std::string& key, std::uint64_t seq) {
    const auto id = FileId::parse(key);
    // Nothing to take away under a key that no entry can have.
    if (!id) return note_.forget(key);
    Work& work = works.emplace_back();
    work.change.kind = EntryChange::Kind::remove;
    work.change.id = *id;
    work.letter.seq = seq;
    work.letter.key = key;
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
    if (!refuses_record(done.error())) return done.error();
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
    const DeadLetter* const known = note_.find(letter.key);
    if (known != nullptr && known->hash == letter.hash) return note_.bury(std::move(letter));
    const std::string source = util::here();
    const LogField fields[] = {{"source", source}};
    deps_.logger->log(
        {.level = LogLevel::error,
         .logger = "follower",
         .message = "A record could not be applied and joins the dead letters: " + letter.reason,
         .fields = fields,
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

Result<std::optional<ReplicaState>> replica_state(MetadataStore& index, const Call& call) {
  ARTCACHE_TRY(const std::string text, index.note(sync::kReplicaNote, call));
  if (text.empty()) return std::optional<ReplicaState>();
  ARTCACHE_TRY(ReplicaNote note, sync::parse_note(text));
  ARTCACHE_TRY(const IndexHead head, index.head(call));
  std::optional<ReplicaState> state(std::in_place);
  state->source = std::move(note.source);
  state->standing = {.source = note.position,
                     .digest = head.position.digest,
                     .count = head.count,
                     .dead = std::move(note.dead)};
  state->whole = sync::expected_digest(state->standing) == state->standing.source.digest;
  return state;
}

}  // namespace artcache
