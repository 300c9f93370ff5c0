// SPDX-License-Identifier: Apache-2.0
#include "common/replica_sink.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

namespace artcache::replica {
namespace {

/// Why a record cannot be applied, whatever is tried.
bool is_poison(const Error& error) {
  return error.code == Errc::invalid_argument || error.code == Errc::corrupt;
}

/// A record is believed only when its payload has its hash and speaks of its key.
Result<PreparedEntry> believe(std::string_view key, const Record& record) {
  ARTCACHE_TRY(const FileId id, FileId::parse(key));
  ARTCACHE_TRY(FileEntry entry, parse_content(record.payload));
  PreparedEntry file = prepare(std::move(entry));
  if (file.entry.id != id || to_string(id) != key)
    return Error{Errc::corrupt, "follow: the record speaks of another file"};
  if (file.hash != record.hash)
    return Error{Errc::corrupt, "follow: the record does not have the hash it came with"};
  return file;
}

/// Of one replica at two times.
bool same_rows(const Standing& a, const Standing& b) {
  return a.source == b.source && a.digest == b.digest && a.count == b.count;
}

std::uint32_t bucket_of(std::string_view key, unsigned bits) {
  return bits == 0 ? 0 : static_cast<std::uint32_t>(key_hash(key) >> (64 - bits));
}

}  // namespace

/// What becomes of some keys, none of which stands twice.
struct Sink::Changes {
  std::vector<std::string> keys;  ///< all of them
  std::vector<PreparedEntry> puts;
  std::vector<std::uint64_t> seqs;  ///< of the puts
  std::vector<std::string> removed;
  std::vector<DeadLetter> dead;
  std::optional<Position> position;  ///< where the replica stands afterwards; nothing: where it did
  std::uint64_t from = 0;            ///< with a position: the first seq in here; 0: whatever it was
};

Sink::Sink(const Replica& replica, Owner owner, std::chrono::milliseconds recount_every,
           const Deps& deps)
    : database_(*replica.database),
      tables_(*replica.tables),
      names_(replica.names),
      owner_(std::move(owner)),
      recount_every_(recount_every),
      deps_(deps) {}

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
  return database_.read(call, [&](Session& session) -> Result<Standing> {
    ARTCACHE_TRY(Standing out, tables_.standings().find(session, owner_.element));
    ARTCACHE_TRY(auto dead, tables_.standings().list_dead(session, owner_.element));
    for (BuriedLetter& one : dead) out.dead.push_back(std::move(one.letter));
    return out;
  });
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
  auto file = believe(key, *record);
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
  // Of several changes of a key only the last one is left to see afterwards.
  std::unordered_map<std::string_view, const LogRow*> last;
  for (const LogRow& row : rows)
    if (row.kind != LogRow::Kind::reset) last[row.record.key] = &row;
  Changes changes;
  for (const LogRow& row : rows)
    if (const auto at = last.find(row.record.key); at != last.end() && at->second == &row)
      add(changes, row.record.key, row.kind == LogRow::Kind::put ? &row.record : nullptr,
          row.position.seq);
  changes.from = rows.front().position.seq;
  changes.position = rows.back().position;
  return carry_out(std::move(changes), call);
}

Result<void> Sink::mend(std::span<const Record> put, std::span<const std::string> removed,
                        const Call& call) {
  Changes changes;
  for (const Record& record : put) add(changes, record.key, &record, 0);
  for (const std::string& key : removed) add(changes, key, nullptr, 0);
  return carry_out(std::move(changes), call);
}

Result<void> Sink::stand_at(const Position& position, const Call& call) {
  Changes changes;
  changes.position = position;
  return carry_out(std::move(changes), call);
}

/// All at once; one by one where the database refuses a file. What it refuses alone is buried.
Result<void> Sink::carry_out(Changes changes, const Call& call) {
  const auto done = commit(changes, call);
  if (done || !is_poison(done.error()) || changes.puts.empty()) return done;
  // Each file for itself does not move the position, as mend(); the rest then does.
  auto puts = std::exchange(changes.puts, {});
  for (std::size_t i = 0; i < puts.size(); ++i) {
    const std::string key = to_string(puts[i].entry.id);
    const ContentHash hash = puts[i].hash;
    Changes one;
    one.keys.push_back(key);
    one.puts.push_back(std::move(puts[i]));
    one.seqs.push_back(changes.seqs[i]);
    const auto alone = commit(one, call);
    if (!alone && !is_poison(alone.error())) return alone;
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
  ARTCACHE_TRY(const SinkCounts done,
               database_.write(call, [&](Session& session) { return change(session, changes); }));
  added_ += done.added;
  updated_ += done.updated;
  deleted_ += done.deleted;
  failed_ += done.failed;
  report(changes, done, deps_.clock->steady() - begun);
  return {};
}

Result<SinkCounts> Sink::change(Session& session, const Changes& changes) const {
  const Timestamp now = deps_.clock->now();
  SinkCounts done;
  ARTCACHE_TRY(Standing standing, tables_.standings().lock(session, owner_.element, now));
  if (changes.position && changes.from > 0) {
    const bool same = standing.source.epoch == changes.position->epoch;
    // Another process has done it.
    if (same && standing.source.seq >= changes.position->seq) return done;
    if (!same || standing.source.seq + 1 != changes.from)
      return Error{Errc::conflict, "follow: the replica does not stand where these changes begin"};
  }
  ARTCACHE_TRY(const auto held, tables_.find_held(session, owner_.element, changes.keys));
  std::unordered_map<std::string_view, const Held*> known;
  for (const Held& one : held) known.emplace(one.key, &one);
  const auto take_away = [&](std::string_view key) {
    const auto at = known.find(key);
    if (at == known.end()) return false;
    standing.digest -= Digest::of(key, at->second->hash.value_or(ContentHash()));
    --standing.count;
    return true;
  };
  for (const PreparedEntry& file : changes.puts) {
    ++(take_away(to_string(file.entry.id)) ? done.updated : done.added);
    standing.digest += file.part;
    ++standing.count;
  }
  for (const std::string& key : changes.removed)
    if (take_away(key)) ++done.deleted;
  done.failed = changes.dead.size();
  ARTCACHE_CHECK(tables_.put_files(session, owner_, changes.puts, held, now));
  ARTCACHE_CHECK(tables_.remove_files(session, owner_.element, changes.removed, held));
  ARTCACHE_CHECK(settle_dead(session, changes, held));
  if (changes.position) standing.source = *changes.position;
  ARTCACHE_CHECK(tables_.standings().store(session, owner_.element, standing, now));
  return done;
}

/// Who can be applied leaves the dead letters, who cannot joins them.
Result<void> Sink::settle_dead(Session& session, const Changes& changes,
                               std::span<const Held> held) const {
  ARTCACHE_TRY(const auto before, tables_.standings().list_dead(session, owner_.element));
  if (before.empty() && changes.dead.empty()) return {};
  std::vector<std::string> alive;
  for (const std::string& key : changes.keys)
    if (std::ranges::none_of(changes.dead, [&](const DeadLetter& one) { return one.key == key; }))
      alive.push_back(key);
  std::erase_if(alive, [&](const std::string& key) {
    return std::ranges::none_of(before,
                                [&](const BuriedLetter& one) { return one.letter.key == key; });
  });
  ARTCACHE_CHECK(tables_.standings().forget_dead(session, owner_.element, alive));
  if (before.size() - alive.size() + changes.dead.size() > kDeadLettersMost)
    return Error{Errc::no_space, "follow: there are more than " + std::to_string(kDeadLettersMost) +
                                     " dead letters"};
  for (DeadLetter letter : changes.dead) {
    const auto at = std::ranges::find(held, letter.key, &Held::key);
    if (at != held.end()) letter.kept = at->hash.value_or(ContentHash());
    ARTCACHE_CHECK(tables_.standings().bury(session, owner_.element, letter, deps_.clock->now()));
  }
  return {};
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
  return found.empty() ? Result<void>() : sink(found);
}

// --- What is told of it -------------------------------------------------------------------------

void Sink::report(const Changes& changes, const SinkCounts& done, std::chrono::nanoseconds took) {
  const std::pair<std::string_view, std::uint64_t> kinds[]{
      {"file:created", done.added}, {"file:updated", done.updated}, {"file:deleted", done.deleted}};
  const double seconds = std::chrono::duration<double>(took).count();
  const auto metric = [&](std::string_view name) {
    return std::string(names_.metrics).append(name);
  };
  const auto count_all = [&](std::string_view name, std::uint64_t count) {
    const MetricLabel labels[]{{"storage_element_id", owner_.element}};
    if (count > 0) deps_.metrics->count(metric(name), labels, static_cast<double>(count));
  };
  count_all("stream_events_processed_total", done.added + done.updated + done.deleted);
  count_all("stream_events_failed_total", changes.dead.size());
  for (const auto& [kind, count] : kinds) {
    if (count == 0) continue;
    const MetricLabel labels[]{{"event_type", kind}, {"storage_element_id", owner_.element}};
    deps_.metrics->count(metric("events_received_total"), labels, static_cast<double>(count));
    deps_.metrics->observe(metric("cache_sync_duration_seconds"), labels, seconds);
  }
  const std::pair<std::string_view, std::size_t> failed{"file:updated", changes.dead.size()};
  if (failed.second > 0) {
    const MetricLabel labels[]{{"event_type", failed.first},
                               {"storage_element_id", owner_.element}};
    deps_.metrics->count(metric("events_processing_failures_total"), labels,
                         static_cast<double>(failed.second));
  }
  const auto log = [&](LogLevel level, std::string_view message, std::span<const LogField> fields) {
    deps_.logger->log({.level = level,
                       .logger = names_.logger,
                       .message = message,
                       .fields = fields,
                       .request_id = {}});
  };
  for (const DeadLetter& letter : changes.dead) {
    const LogField fields[]{{"storage_element_id", std::string_view(owner_.element)},
                            {"file_id", std::string_view(letter.key)},
                            {"reason", std::string_view(letter.reason)}};
    log(LogLevel::error, "A change could not be applied and joins the dead letters", fields);
  }
  if (changes.keys.empty()) return;
  if (deps_.logger->enabled(LogLevel::debug))
    for (const std::string& key : changes.keys) {
      const LogField fields[]{{"storage_element_id", std::string_view(owner_.element)},
                              {"file_id", std::string_view(key)}};
      log(LogLevel::debug, "Change applied", fields);
    }
  const LogField fields[]{{"storage_element_id", std::string_view(owner_.element)},
                          {"added", static_cast<std::int64_t>(done.added)},
                          {"updated", static_cast<std::int64_t>(done.updated)},
                          {"deleted", static_cast<std::int64_t>(done.deleted)},
                          {"failed", static_cast<std::int64_t>(done.failed)}};
  log(LogLevel::info, "Changes applied", fields);
}

}  // namespace artcache::replica
