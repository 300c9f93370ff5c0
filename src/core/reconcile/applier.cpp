// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/applier.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

Settled settled_of(ChangeOutcome outcome) {
  switch (outcome) {
    case ChangeOutcome::inserted:
      return Settled::inserted;
    case ChangeOutcome::updated:
      return Settled::updated;
    case ChangeOutcome::moved:
      return Settled::moved;
    case ChangeOutcome::older:
      return Settled::older;
    case ChangeOutcome::removed:
    case ChangeOutcome::unchanged:
      break;
  }
  return Settled::unchanged;
}

}  // namespace

/// Changes of one transaction: no id twice, because a transaction knows one path for an id.
struct Applier::Batch {
  std::vector<std::size_t> files;  // indices into the chunk
  std::vector<EntryChange> changes;
  std::vector<ScannedFile> scanned;
};

Result<std::vector<Settled>> Applier::put(Chunk& chunk) {
  std::vector<Settled> outcomes(chunk.files.size(), Settled::unreadable);
  statistics_.sidecars_opened += chunk.files.size();
  statistics_.bytes_read += chunk.bytes;
  ARTCACHE_TRY(std::vector<std::size_t> left, confirm(chunk, outcomes));
  const Freshness fresh = context_.fresh();
  std::unordered_map<FileId, std::uint64_t> own;  // where this chunk has put an id already
  while (!left.empty()) {
    Batch batch;
    std::unordered_set<FileId> ids;
    std::vector<std::size_t> later;
    for (const std::size_t i : left) {
      Opened& file = chunk.files[i];
      if (batch.files.size() == kApplyMost || !ids.insert(file.put->entry.id).second) {
        later.push_back(i);
        continue;
      }
      batch.files.push_back(i);
      batch.scanned.push_back(scanned_of(file));
      EntryChange& change = batch.changes.emplace_back();
      change.id = file.put->entry.id;
      change.put = std::move(*file.put);
      change.freshness = fresh;
      const auto before = own.find(change.id);
      change.as_of = before == own.end() ? chunk.as_of : before->second;
    }
    left = std::move(later);
    ARTCACHE_TRY(const Position at, put_batch(batch, outcomes));
    for (std::size_t n = 0; n < batch.files.size(); ++n) {
      if (!left.empty() && outcomes[batch.files[n]] != Settled::moved)
        own[batch.changes[n].id] = at.seq;
      chunk.files[batch.files[n]].put = std::move(batch.changes[n].put);
    }
  }
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    if (outcomes[i] == Settled::older) ARTCACHE_CHECK(yield_to_twin(chunk.files[i]));
  return outcomes;
}

/// Settles what could not be read, and what says what index and scan table know already: such an
/// entry is made fresh where it is time, and else nothing is written. Returns the others.
Result<std::vector<std::size_t>> Applier::confirm(Chunk& chunk, std::vector<Settled>& outcomes) {
  std::vector<std::size_t> left, known;
  std::vector<FileId> ids;
  for (std::size_t i = 0; i < chunk.files.size(); ++i) {
    const Opened& file = chunk.files[i];
    if (!file.put) {
      outcomes[i] = unread(file);
    } else if (file.is_as_known()) {
      known.push_back(i);
      ids.push_back(file.put->entry.id);
    } else {
      left.push_back(i);
    }
  }
  if (known.empty()) return left;
  ARTCACHE_TRY(const auto rows, context_.index.briefs(ids, session_.call()));
  const Freshness fresh = context_.fresh();
  const auto recent = fresh.refreshed_at - std::chrono::hours(fresh.ttl_hours) / kFreshPart;
  std::vector<FileId> stale;
  std::vector<std::size_t> stale_files;
  for (std::size_t n = 0; n < known.size(); ++n) {
    Opened& file = chunk.files[known[n]];
    const bool same = rows[n] && rows[n]->hash == file.put->hash &&
                      rows[n]->sidecar_path == file.path && file.known->stamp == file.stamp &&
                      file.known->text_hash == file.text_hash;
    if (!same) {
      left.push_back(known[n]);
    } else if (rows[n]->freshness.ttl_hours == fresh.ttl_hours &&
               rows[n]->freshness.refreshed_at > recent) {
      outcomes[known[n]] = Settled::unchanged;
      ++statistics_.entries_unchanged;
    } else {
      stale.push_back(ids[n]);
      stale_files.push_back(known[n]);
    }
  }
  ARTCACHE_CHECK(freshen(stale, chunk.as_of, stale_files, outcomes));
  return left;
}

Result<void> Applier::freshen(std::span<const FileId> ids, std::uint64_t as_of,
                              const std::vector<std::size_t>& files,
                              std::vector<Settled>& outcomes) {
  if (ids.empty()) return {};
  std::vector<EntryChange> changes(ids.size());
  for (std::size_t n = 0; n < ids.size(); ++n) {
    changes[n].kind = EntryChange::Kind::freshen;
    changes[n].id = ids[n];
    changes[n].freshness = context_.fresh();
    changes[n].as_of = as_of;
  }
  ARTCACHE_TRY(
      const ApplyResult applied,
      context_.index.apply({.changes = changes, .fence = session_.fence()}, session_.call()));
  for (std::size_t n = 0; n < ids.size(); ++n) {
    outcomes[files[n]] = settled_of(applied.outcomes[n]);
    statistics_.entries_unchanged += applied.outcomes[n] == ChangeOutcome::unchanged;
  }
  return {};
}

Result<Position> Applier::put_batch(Batch& batch, std::vector<Settled>& outcomes) {
  ARTCACHE_TRY(const ApplyResult applied, context_.index.apply({.changes = batch.changes,
                                                                .fence = session_.fence(),
                                                                .scanned = batch.scanned,
                                                                .twins = TwinRule::newest_wins},
                                                               session_.call()));
  for (std::size_t n = 0; n < batch.files.size(); ++n) {
    const Settled outcome = settled_of(applied.outcomes[n]);
    outcomes[batch.files[n]] = outcome;
    count(outcome);
  }
  return applied.position;
}

Settled Applier::unread(const Opened& file) {
  const Error& error = file.put.error();
  if (error.code == Errc::not_found) return Settled::forgotten;
  ++statistics_.unreadable;
  // A sidecar that cannot be opened may say anything; one that can, and is broken, says nothing.
  if (error.code == Errc::unavailable)
    tally_.not_seen(file.path, error);
  else
    tally_.message(to_string(error));
  return Settled::unreadable;
}

void Applier::count(Settled outcome) {
  switch (outcome) {
    case Settled::inserted:
      ++statistics_.entries_inserted;
      break;
    case Settled::updated:
    case Settled::replaced:
      ++statistics_.entries_changed;
      break;
    case Settled::removed:
      ++statistics_.entries_deleted;
      break;
    case Settled::unchanged:
      ++statistics_.entries_unchanged;
      break;
    default:
      break;
  }
}

/// The one that is newer may be gone by now, or tell of another file: then this one takes its
/// place.
Result<void> Applier::yield_to_twin(const Opened& file) {
  const FileId id = file.put->entry.id;
  ARTCACHE_TRY(const auto rows, context_.index.briefs({&id, 1}, session_.call()));
  if (!rows.front()) return {};
  ARTCACHE_TRY(const Standing own, context_.standing(rows.front()->sidecar_path, id, session_));
  if (own == Standing::may_tell) return {};
  ARTCACHE_CHECK(replace(id, *rows.front(), own));
  return {};
}

Result<std::vector<Settled>> Applier::settle_owned(std::vector<std::string> paths,
                                                   std::span<const FileId> owners) {
  const std::vector<std::string_view> views(paths.begin(), paths.end());
  ARTCACHE_TRY(auto scanned, context_.index.find_scanned(views, session_.call()));
  std::vector<Wanted> wanted;
  for (std::size_t i = 0; i < paths.size(); ++i)
    wanted.push_back({std::move(paths[i]), std::move(scanned[i])});
  const WalkPlan plan = context_.plan(session_);
  ARTCACHE_TRY(Chunk chunk, read_chunk(plan, std::move(wanted), session_.call()));
  const std::vector<Bereft> bereft = bereft_by(chunk, owners);
  ARTCACHE_TRY(auto outcomes, put(chunk));
  ARTCACHE_CHECK(settle_gone(chunk, outcomes));
  ARTCACHE_CHECK(settle_bereft(bereft, chunk, owners, outcomes));
  return outcomes;
}

Result<void> Applier::settle_bereft(std::span<const Bereft> entries, const Chunk& chunk,
                                    std::span<const FileId> owners,
                                    std::vector<Settled>& outcomes) {
  if (entries.empty()) return {};
  ARTCACHE_TRY(const auto settled, succession().settle(entries, chunk));
  for (std::size_t n = 0; n < entries.size(); ++n) {
    if (settled[n]) count(*settled[n]);
    const std::size_t file = entries[n].file;
    if (!owners.empty() && owners[file] == entries[n].id)
      outcomes[file] = settled[n].value_or(Settled::moved);
  }
  return {};
}

/// What the sidecars of a chunk leave behind that are gone, in as few transactions as can be.
Result<void> Applier::settle_gone(const Chunk& chunk, std::vector<Settled>& outcomes) {
  std::vector<std::size_t> files;
  std::vector<FileId> ids;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i] != Settled::forgotten || !chunk.files[i].known) continue;
    files.push_back(i);
    ids.push_back(chunk.files[i].known->id);
  }
  if (files.empty()) return {};
  ARTCACHE_TRY(const auto rows, context_.index.briefs(ids, session_.call()));
  std::vector<std::string_view> stale;
  std::vector<Gone> gone;
  std::vector<std::size_t> gone_files;
  for (std::size_t n = 0; n < files.size(); ++n) {
    const std::string& path = chunk.files[files[n]].path;
    if (!rows[n] || rows[n]->sidecar_path != path) {
      stale.push_back(path);
      continue;
    }
    // An entry that has changed since then may have a sidecar again.
    outcomes[files[n]] = Settled::moved;
    if (rows[n]->revision > chunk.as_of) continue;
    ARTCACHE_TRY(const auto paths, context_.index.scanned_paths_of(ids[n], session_.call()));
    if (paths.size() > 1) {
      ARTCACHE_TRY(outcomes[files[n]], replace(ids[n], *rows[n], Standing::gone));
    } else {
      gone.push_back({ids[n], rows[n]->revision, path});
      gone_files.push_back(files[n]);
    }
  }
  ARTCACHE_CHECK(forget_paths(stale));
  if (gone.empty()) return {};
  ARTCACHE_TRY(const auto removed, remove(gone));
  for (std::size_t n = 0; n < gone.size(); ++n)
    if (removed[n] != 0) outcomes[gone_files[n]] = Settled::removed;
  return {};
}

Succession Applier::succession() const {
  return {.plan = context_.plan(session_),
          .index = context_.index,
          .fresh = context_.fresh(),
          .fence = session_.fence(),
          .call = session_.call()};
}

Result<Settled> Applier::replace(const FileId& id, const RowBrief& row, Standing own) {
  ARTCACHE_TRY(const Settled settled, succession().replace(id, row, own));
  count(settled);
  return settled;
}

Result<std::vector<char>> Applier::remove(std::span<const Gone> gone) {
  ARTCACHE_TRY(auto removed, succession().remove(gone));
  for (const char one : removed)
    if (one != 0) count(Settled::removed);
  return removed;
}

/// An entry that is still there has come since its folder was listed, or its sidecar could not be
/// looked for. Without its row nobody would see that the sidecar goes.
Result<void> Applier::forget(std::span<const ScannedFile> stale) {
  std::vector<FileId> ids;
  for (const ScannedFile& file : stale) ids.push_back(file.id);
  ARTCACHE_TRY(const auto rows, context_.index.briefs(ids, session_.call()));
  std::vector<std::string_view> paths;
  for (std::size_t i = 0; i < stale.size(); ++i)
    if (!rows[i] || rows[i]->sidecar_path != stale[i].path) paths.push_back(stale[i].path);
  return forget_paths(paths);
}

Result<void> Applier::forget_paths(std::span<const std::string_view> paths) {
  if (paths.empty()) return {};
  ARTCACHE_CHECK(
      context_.index.apply({.fence = session_.fence(), .unscanned = paths}, session_.call()));
  return {};
}

}  // namespace artcache::reconcile
