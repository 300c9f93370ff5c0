// SPDX-License-Identifier: Apache-2.0
#include "common/replica_sink.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace artcache::replica {
namespace {

constexpr std::array<std::string_view, 3> kKinds{"file:created", "file:updated", "file:deleted"};
/// What is counted, of kinds and, under the names of the original, in all.
constexpr std::string_view kReceived = "events_received_total",
                           kRefused = "events_processing_failures_total",
                           kDuration = "cache_sync_duration_seconds",
                           kProcessed = "stream_events_processed_total",
                           kFailed = "stream_events_failed_total";

/// Of one replica at two times.
bool same_rows(const Standing& a, const Standing& b) {
  return a.source == b.source && a.digest == b.digest && a.count == b.count;
}

/// Keys under which the source had something before these rows; `before` is its digest then.
std::unordered_set<std::string_view> updated_keys(std::span<const LogRow> rows, Digest before) {
  std::unordered_set<std::string_view> seen, out;
  for (const LogRow& row : rows) {
    if (row.kind != LogRow::Kind::reset && seen.insert(row.record.key).second &&
        !adds_record(row, before))
      out.insert(row.record.key);
    before = row.position.digest;
  }
  return out;
}

std::uint32_t bucket_of(std::string_view key, unsigned bits) {
  return bits == 0 ? 0 : static_cast<std::uint32_t>(key_hash(key) >> (64 - bits));
}

}  // namespace

/// What becomes of some keys, none of which stands twice.
struct Sink::Changes {
  std::span<const LogRow> rows;   ///< where all this is from; empty: from a comparison
  std::vector<std::string> keys;  ///< all of them
  std::vector<PreparedEntry> puts;
  std::vector<std::uint64_t> seqs;  ///< of the puts
  std::vector<std::string> removed;
  std::vector<DeadLetter> dead;
  std::vector<std::string> revived;  ///< dead letters of before that are told as they were to be
  std::optional<Position> position;  ///< where the replica stands afterwards; nothing: where it did
};

/// What has become of them, and what is told of it.
struct Sink::Done {
  SinkCounts counts;
  std::uint64_t refused_updates = 0;  ///< of the failed ones; the others were to be added
  std::vector<DeadLetter> buried;     ///< those that failed and were not among them already
  std::vector<std::string> unknown;   ///< updates of files that were not here
};

Sink::Sink(const Replica& replica, Owner owner, std::chrono::milliseconds recount_every,
           const Deps& deps)
    : database_(*replica.database),
      tables_(*replica.tables),
      names_(replica.names),
      owner_(std::move(owner)),
      recount_every_(recount_every),
      deps_(deps) {
  begin_metrics();
}

SinkCounts Sink::counts() const {
  return {.added = added_, .updated = updated_, .deleted = deleted_, .failed = failed_};
}

Result<Standing> Sink::standing(const Call& call) {
  const bool due = deps_.clock->steady() - recounted_at_ >= recount_every_;
  if (recount_.exchange(false) || due) {
    if (auto done = recount(call); !done) {
      recount_ = true;
      return std::move(done).error();
    }
  }
  ARTCACHE_TRY(auto out, database_.read(call, [&](Session& session) -> Result<Standing> {
    ARTCACHE_TRY(Standing now, tables_.standings().find(session, owner_.element));
    ARTCACHE_TRY(auto dead, tables_.standings().list_dead(session, owner_.element));
    for (BuriedLetter& one : dead) now.dead.push_back(std::move(one.letter));
    return now;
  }));
  told_ = {};
  told_source_ = out.source;
  told_dead_.clear();
  for (const DeadLetter& letter : out.dead) told_dead_.emplace(letter.key, letter.hash);
  return out;
}

/// The rows are summed up where nobody has to wait for it. What others store meanwhile makes the
/// sums worthless: then they are made again the next time.
Result<void> Sink::recount(const Call& call) {
  Standing before, counted;
  ARTCACHE_CHECK(database_.read(call, [&](Session& session) -> Result<void> {
    ARTCACHE_TRY(before, tables_.standings().find(session, owner_.element));
    counted.source = before.source;
    return tables_.scan_files(session, owner_.element,
                              [&](std::string_view key, const ContentHash& hash) {
                                counted.digest += Digest::of(key, hash);
                                ++counted.count;
                              });
  }));
  if (!same_rows(counted, before)) {
    ARTCACHE_TRY(const bool stored, database_.write(call, [&](Session& session) -> Result<bool> {
      const Timestamp now = deps_.clock->now();
      ARTCACHE_TRY(const Standing held, tables_.standings().lock(session, owner_.element, now));
      if (!same_rows(held, before)) return false;
      ARTCACHE_CHECK(tables_.standings().store(session, owner_.element, counted, now));
      return true;
    }));
    if (!stored) {
      recount_ = true;
      return {};
    }
  }
  recounted_at_ = deps_.clock->steady();
  return {};
}

// --- Changes ------------------------------------------------------------------------------------

void Sink::add(Changes& changes, const std::string& key, const Record* record, std::uint64_t seq) {
  changes.keys.push_back(key);
  if (record == nullptr) {
    changes.removed.push_back(key);
    return;
  }
  auto file = believe(*record);
  if (file) {
    changes.puts.push_back(std::move(*file));
    changes.seqs.push_back(seq);
  } else {
    changes.dead.push_back(
        {.seq = seq, .key = key, .hash = record->hash, .kept = {}, .reason = file.error().message});
  }
}

Result<void> Sink::apply(std::span<const LogRow> rows, const Call& call) {
  if (rows.empty()) return {};
  Changes changes;
  for (const LogRow* row : last_of_each(rows))
    add(changes, row->record.key, row->kind == LogRow::Kind::put ? &row->record : nullptr,
        row->position.seq);
  changes.rows = rows;
  changes.position = rows.back().position;
  return carry_out(std::move(changes), call);
}

Result<void> Sink::mend(std::span<const Record> put, std::span<const std::string> removed,
                        const Call& call) {
  Changes changes;
  for (const Record& record : put) add(changes, record.key, &record, 0);
  for (const std::string& key : removed) add(changes, key, nullptr, 0);
  for (const Record& record : put)
    if (is_told_dead(record.key, record.hash)) changes.revived.push_back(record.key);
  for (const std::string& key : removed)
    if (is_told_dead(key, std::nullopt)) changes.revived.push_back(key);
  return carry_out(std::move(changes), call);
}

Result<void> Sink::stand_at(const Position& position, const Call& call) {
  Changes changes;
  changes.position = position;
  return carry_out(std::move(changes), call);
}

/// Of keys in buckets that nobody has asked for nothing was told.
bool Sink::is_as_told(const std::string& key, const Held* held) const {
  if (!std::ranges::binary_search(told_.buckets, bucket_of(key, told_.bits))) return true;
  const auto at = told_.hashes.find(key);
  if (held == nullptr) return at == told_.hashes.end();
  return at != told_.hashes.end() && at->second == held->hash.value_or(ContentHash());
}

void Sink::note_told(const Changes& changes) {
  for (const PreparedEntry& file : changes.puts)
    told_.hashes.insert_or_assign(to_string(file.entry.id), file.hash);
  for (const std::string& key : changes.removed) told_.hashes.erase(key);
}

bool Sink::is_told_dead(std::string_view key, const std::optional<ContentHash>& hash) const {
  const auto at = told_dead_.find(key);
  return at != told_dead_.end() && at->second == hash;
}

/// Without the revived ones that are no dead letters any more, or other ones: another process has
/// applied what came after them, which is newer than what the source told of them here.
Result<Sink::Changes> Sink::still_dead(Session& session, const Changes& changes) const {
  ARTCACHE_TRY(const auto now, tables_.standings().list_dead(session, owner_.element));
  std::unordered_set<std::string> gone(changes.revived.begin(), changes.revived.end());
  for (const BuriedLetter& one : now)
    if (is_told_dead(one.letter.key, one.letter.hash)) gone.erase(one.letter.key);
  const auto settled = [&](const std::string& key) { return gone.contains(key); };
  Changes out = changes;
  std::erase_if(out.keys, settled);
  std::erase_if(out.removed, settled);
  std::erase_if(out.dead, [&](const DeadLetter& letter) { return settled(letter.key); });
  out.puts.clear();
  out.seqs.clear();
  for (std::size_t i = 0; i < changes.puts.size(); ++i) {
    if (settled(to_string(changes.puts[i].entry.id))) continue;
    out.puts.push_back(changes.puts[i]);
    out.seqs.push_back(changes.seqs[i]);
  }
  return out;
}

/// All at once; one by one where the database refuses a file. What it refuses alone is buried.
Result<void> Sink::carry_out(Changes changes, const Call& call) {
  const auto done = commit(changes, call);
  if (done || !refuses_record(done.error()) || changes.puts.empty()) return done;
  // Each file for itself does not move the position, as mend(); the rest then does.
  auto puts = std::exchange(changes.puts, {});
  for (std::size_t i = 0; i < puts.size(); ++i) {
    const std::string key = to_string(puts[i].entry.id);
    const ContentHash hash = puts[i].hash;
    Changes one;
    one.keys.push_back(key);
    one.puts.push_back(std::move(puts[i]));
    one.seqs.push_back(changes.seqs[i]);
    one.revived = changes.revived;
    const auto alone = commit(one, call);
    if (!alone && !refuses_record(alone.error())) return alone;
    if (!alone)
      changes.dead.push_back({.seq = changes.seqs[i],
                              .key = key,
                              .hash = hash,
                              .kept = {},
                              .reason = alone.error().message});
  }
  return commit(changes, call);
}

Result<void> Sink::commit(const Changes& changes, const Call& call) {
  const auto begun = deps_.clock->steady();
  ARTCACHE_TRY(const Done done,
               database_.write(call, [&](Session& session) { return change(session, changes); }));
  added_ += done.counts.added;
  updated_ += done.counts.updated;
  deleted_ += done.counts.deleted;
  failed_ += done.counts.failed;
  if (changes.rows.empty()) note_told(changes);
  // Somebody else has taken away what the digest still counts.
  if (!done.unknown.empty()) recount_ = true;
  report(changes, done, deps_.clock->steady() - begun);
  return {};
}

Result<Sink::Done> Sink::change(Session& session, const Changes& asked) const {
  const Timestamp now = deps_.clock->now();
  Done out;
  SinkCounts& done = out.counts;
  ARTCACHE_TRY(Standing standing, tables_.standings().lock(session, owner_.element, now));
  std::optional<Changes> rest;
  if (!asked.revived.empty()) {
    ARTCACHE_TRY(rest, still_dead(session, asked));
  }
  const Changes& changes = rest ? *rest : asked;
  if (changes.position && !changes.rows.empty()) {
    const bool same = standing.source.epoch == changes.position->epoch;
    // Another process has done it.
    if (same && standing.source.seq >= changes.position->seq) return out;
    if (!same || standing.source.seq + 1 != changes.rows.front().position.seq)
      return Error{Errc::conflict, "follow: the replica does not stand where these changes begin"};
  }
  ARTCACHE_TRY(const auto held, tables_.find_held(session, owner_.element, changes.keys));
  std::unordered_map<std::string_view, const Held*> known;
  for (const Held& one : held) known.emplace(one.key, &one);
  if (changes.rows.empty())
    for (const std::string& key : changes.keys) {
      const auto at = known.find(key);
      if (!is_as_told(key, at == known.end() ? nullptr : at->second))
        return Error{Errc::conflict, "follow: somebody else has changed " + key +
                                         " in the replica since it was compared"};
    }
  const auto take_away = [&](std::string_view key) {
    const auto at = known.find(key);
    if (at == known.end()) return false;
    standing.digest -= Digest::of(key, at->second->hash.value_or(ContentHash()));
    --standing.count;
    return true;
  };
  const auto had = updated_keys(changes.rows, standing.source.digest);
  for (const PreparedEntry& file : changes.puts) {
    const std::string key = to_string(file.entry.id);
    const bool here = take_away(key);
    ++(here ? done.updated : done.added);
    if (!here && had.contains(key)) out.unknown.push_back(key);
    standing.digest += file.part;
    ++standing.count;
  }
  for (const std::string& key : changes.removed)
    if (take_away(key)) ++done.deleted;
  const auto is_update = [&](std::string_view key) {
    return changes.rows.empty() ? known.contains(key) : had.contains(key);
  };
  ARTCACHE_CHECK(tables_.put_files(session, owner_, changes.puts, held, now));
  ARTCACHE_CHECK(tables_.remove_files(session, owner_.element, changes.removed, held));
  ARTCACHE_CHECK(settle_dead(session, changes, held, out));
  done.failed = out.buried.size();
  for (const DeadLetter& letter : out.buried)
    if (is_update(letter.key)) ++out.refused_updates;
  // Others who have moved it since have applied rows in their order: only behind those is it known.
  const bool is_ahead = changes.rows.empty() && changes.position && told_source_ &&
                        standing.source != *told_source_ &&
                        standing.source.epoch == changes.position->epoch &&
                        standing.source.seq < changes.position->seq;
  if (changes.position && !is_ahead) standing.source = *changes.position;
  ARTCACHE_CHECK(tables_.standings().store(session, owner_.element, standing, now));
  return out;
}

/// Who can be applied leaves the dead letters, who cannot joins them. It is no wonder that what was
/// among them is not here.
Result<void> Sink::settle_dead(Session& session, const Changes& changes, std::span<const Held> held,
                               Done& done) const {
  ARTCACHE_TRY(const auto before, tables_.standings().list_dead(session, owner_.element));
  if (before.empty() && changes.dead.empty()) return {};
  std::erase_if(done.unknown, [&](const std::string& key) {
    return std::ranges::any_of(before,
                               [&](const BuriedLetter& one) { return one.letter.key == key; });
  });
  std::vector<std::string> alive;
  for (const std::string& key : changes.keys)
    if (std::ranges::none_of(changes.dead, [&](const DeadLetter& one) { return one.key == key; }))
      alive.push_back(key);
  std::erase_if(alive, [&](const std::string& key) {
    return std::ranges::none_of(before,
                                [&](const BuriedLetter& one) { return one.letter.key == key; });
  });
  ARTCACHE_CHECK(tables_.standings().forget_dead(session, owner_.element, alive));
  std::size_t count = before.size() - alive.size();
  for (DeadLetter letter : changes.dead) {
    const auto at = std::ranges::find(held, letter.key, &Held::key);
    if (at != held.end()) letter.kept = at->hash.value_or(ContentHash());
    const auto known = std::ranges::find(before, letter.key,
                                         [](const BuriedLetter& one) { return one.letter.key; });
    if (known != before.end() && known->letter.hash == letter.hash) {
      ARTCACHE_CHECK(tables_.standings().keep_dead(session, owner_.element, letter));
      continue;
    }
    if (known == before.end()) ++count;
    ARTCACHE_CHECK(tables_.standings().bury(session, owner_.element, letter, deps_.clock->now()));
    done.buried.push_back(std::move(letter));
  }
  if (count <= kDeadLettersMost) return {};
  return Error{Errc::no_space,
               "follow: there are more than " + std::to_string(kDeadLettersMost) + " dead letters"};
}

// --- Digests ------------------------------------------------------------------------------------

Result<std::vector<BucketDigest>> Sink::bucket_digests(unsigned bits, const Call& call) {
  std::vector<BucketDigest> out(std::size_t{1} << bits);
  ARTCACHE_CHECK(database_.read(call, [&](Session& session) {
    return tables_.scan_files(session, owner_.element,
                              [&](std::string_view key, const ContentHash& hash) {
                                BucketDigest& bucket = out[bucket_of(key, bits)];
                                bucket.digest += Digest::of(key, hash);
                                ++bucket.count;
                              });
  }));
  return out;
}

Result<void> Sink::keys(unsigned bits, std::span<const std::uint32_t> buckets, const KeySink& sink,
                        const Call& call) {
  std::vector<KeyHash> found;
  ARTCACHE_CHECK(database_.read(call, [&](Session& session) {
    return tables_.scan_files(session, owner_.element,
                              [&](std::string_view key, const ContentHash& hash) {
                                if (std::ranges::binary_search(buckets, bucket_of(key, bits)))
                                  found.push_back({std::string(key), hash});
                              });
  }));
  told_ = {.bits = bits, .buckets = {buckets.begin(), buckets.end()}, .hashes = {}};
  for (const KeyHash& one : found) told_.hashes.emplace(one.key, one.hash);
  return found.empty() ? Result<void>() : sink(found);
}

// --- What is told of it -------------------------------------------------------------------------

/// All are there from the beginning: what is there from its first event on seems never to have
/// moved.
void Sink::begin_metrics() const {
  const MetricLabel element[]{{"storage_element_id", owner_.element}};
  for (const std::string_view name : {kProcessed, kFailed}) count(name, element, 0);
  for (const std::string_view kind : kKinds) {
    const MetricLabel labels[]{{"event_type", kind}, {"storage_element_id", owner_.element}};
    for (const std::string_view name : {kReceived, kRefused}) count(name, labels, 0);
    deps_.metrics->observe(names_.metric(kDuration), labels,
                           std::numeric_limits<double>::quiet_NaN());
  }
}

void Sink::count(std::string_view name, Metrics::Labels labels, std::uint64_t count) const {
  deps_.metrics->count(names_.metric(name), labels, static_cast<double>(count));
}

void Sink::report(const Changes& changes, const Done& done, std::chrono::nanoseconds took) const {
  const SinkCounts& all = done.counts;
  const std::array<std::uint64_t, kKinds.size()> applied{all.added, all.updated, all.deleted},
      refused{all.failed - done.refused_updates, done.refused_updates, 0};
  const MetricLabel element[]{{"storage_element_id", owner_.element}};
  count(kProcessed, element, all.added + all.updated + all.deleted);
  count(kFailed, element, all.failed);
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const MetricLabel labels[]{{"event_type", kKinds[i]}, {"storage_element_id", owner_.element}};
    count(kReceived, labels, applied[i]);
    count(kRefused, labels, refused[i]);
    if (applied[i] > 0)
      deps_.metrics->observe(names_.metric(kDuration), labels,
                             std::chrono::duration<double>(took).count());
  }
  log(changes, done);
}

void Sink::log(const Changes& changes, const Done& done) const {
  const auto log = [&](LogLevel level, std::string_view message, std::span<const LogField> fields) {
    deps_.logger->log({.level = level,
                       .logger = names_.logger,
                       .message = message,
                       .fields = fields,
                       .request_id = {}});
  };
  const LogField element{"storage_element_id", std::string_view(owner_.element)};
  for (const DeadLetter& letter : done.buried) {
    const LogField fields[]{element,
                            {"file_id", std::string_view(letter.key)},
                            {"reason", std::string_view(letter.reason)}};
    log(LogLevel::error, "A change could not be applied and joins the dead letters", fields);
  }
  for (const std::string& key : done.unknown) {
    const LogField fields[]{element, {"file_id", std::string_view(key)}};
    log(LogLevel::warning, "A file that was not here was updated, and is here now", fields);
  }
  if (changes.keys.empty()) return;
  if (deps_.logger->enabled(LogLevel::debug))
    for (const std::string& key : changes.keys) {
      const LogField fields[]{element, {"file_id", std::string_view(key)}};
      log(LogLevel::debug, "Change applied", fields);
    }
  const LogField fields[]{element,
                          {"added", static_cast<std::int64_t>(done.counts.added)},
                          {"updated", static_cast<std::int64_t>(done.counts.updated)},
                          {"deleted", static_cast<std::int64_t>(done.counts.deleted)},
                          {"failed", static_cast<std::int64_t>(done.counts.failed)}};
  log(LogLevel::info, "Changes applied", fields);
}

}  // namespace artcache::replica
