// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/edit.hpp"

#include <algorithm>
#include <unordered_map>

#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

/// Trimming keeps pace with what is added and no commit pays for a long backlog.
constexpr std::uint64_t kTrimBesides = 64;

bool moved(const EntryChange& change, const std::optional<RowWriter::Current>& old) {
  return change.base && *change.base != (old ? old->entry.revision : 0);
}

}  // namespace

Edit::Edit(sql::Connection& connection, const Names& names, const HeadRow& head, Timestamp now)
    : connection_(connection),
      names_(names),
      head_(head),
      now_(now),
      rows_(connection, names, head.head.generation),
      scan_(connection, names, head.head.generation) {}

Result<void> check_fence(sql::Connection& connection, const Names& names, std::uint64_t fence) {
  if (fence == 0) return {};
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text("SELECT 1 FROM {p}holder WHERE fence = ?")));
  s->bind(0, to_sql(fence));
  ARTCACHE_TRY(const bool held, s->step());
  s->reset();
  if (held) return {};
  return Error{Errc::lease_lost, "index: the lock with fence " + std::to_string(fence) +
                                     " is no longer held; nothing was changed"};
}

Result<void> add_twin(sql::Connection& connection, const Names& names, std::uint64_t generation,
                      const FileId& id, std::string_view path) {
  ARTCACHE_TRY(
      sql::Statement * s,
      connection.prepare(names.text("INSERT OR IGNORE INTO {p}twin_{g} VALUES(?, ?)", generation)));
  s->bind(0, bytes_of(id)).bind(1, path);
  ARTCACHE_CHECK(s->run());
  return {};
}

Result<ApplyResult> Edit::apply(const ApplyRequest& request) {
  ARTCACHE_CHECK(check_fence(connection_, names_, request.fence));
  // Where an entry was found: its row shall tell the same path that its scan row stands under.
  struct Found {
    std::string_view path;
    bool written = false, moved = false;
  };
  std::unordered_map<FileId, Found> found;
  if (!request.changes.empty())
    for (const ScannedFile& file : request.scanned) found.emplace(file.id, Found{file.path});

  ApplyResult result;
  result.outcomes.reserve(request.changes.size());
  for (const EntryChange& one : request.changes) {
    const auto at = found.find(one.id);
    const std::string_view path = at == found.end() ? std::string_view() : at->second.path;
    ARTCACHE_TRY(const ChangeOutcome outcome, change(one, path));
    result.outcomes.push_back(outcome);
    if (at == found.end()) continue;
    at->second.written = one.kind == EntryChange::Kind::put;
    at->second.moved = outcome == ChangeOutcome::moved;
  }
  for (const ScannedFile& file : request.scanned) {
    const auto at = found.find(file.id);
    // What was not applied must be read again, so it must not look as if it had been.
    if (at != found.end() && at->second.moved) continue;
    const bool told = at != found.end() && at->second.written && at->second.path == file.path;
    ARTCACHE_CHECK(told ? scan_.put(file) : note_path(file));
  }
  for (const std::string_view path : request.unscanned) ARTCACHE_CHECK(forget_path(path));
  ARTCACHE_CHECK(scan_.flush());
  for (const FileId& id : request.finished_intents) {
    ARTCACHE_TRY(sql::Statement * s,
                 connection_.prepare(names_.text("DELETE FROM {p}intent WHERE file_id = ?")));
    s->bind(0, bytes_of(id));
    ARTCACHE_CHECK(s->run());
  }
  result.position = head_.head.position;
  return result;
}

Result<ChangeOutcome> Edit::change(const EntryChange& change, std::string_view sidecar_path) {
  ARTCACHE_TRY(auto old, rows_.find(change.id));
  if (moved(change, old)) return ChangeOutcome::moved;
  switch (change.kind) {
    case EntryChange::Kind::put:
      return put(change, std::move(old), sidecar_path);
    case EntryChange::Kind::remove:
      return old ? remove(change, *old) : Result<ChangeOutcome>(ChangeOutcome::unchanged);
    case EntryChange::Kind::freshen:
      if (old) ARTCACHE_CHECK(rows_.freshen(old->row, change.freshness));
      return ChangeOutcome::unchanged;
  }
  return Error{Errc::internal, "index: a change of no known kind"};
}

Result<ChangeOutcome> Edit::put(const EntryChange& change, std::optional<RowWriter::Current> old,
                                std::string_view sidecar_path) {
  const PreparedEntry& prepared = change.put;
  // Only a path that cannot be told from the entry is worth its bytes.
  if (sidecar_path == expected_sidecar_path(prepared.entry)) sidecar_path = {};
  if (old && old->entry.hash == prepared.hash) {
    if (old->entry.freshness != change.freshness)
      ARTCACHE_CHECK(rows_.freshen(old->row, change.freshness));
    if (old->sidecar_path != sidecar_path)
      ARTCACHE_CHECK(rows_.set_sidecar_path(old->row, sidecar_path));
    return ChangeOutcome::unchanged;
  }
  IndexHead& head = head_.head;
  if (old) {
    head.position.digest -= Digest::of(to_string(change.id), old->entry.hash);
    head.bytes -= old->entry.entry.file_size;
  } else {
    ++head.count;
  }
  head.position.digest += prepared.part;
  head.bytes += prepared.entry.file_size;
  ARTCACHE_CHECK(log(LogRow::Kind::put, change.id, &prepared.hash, prepared.content));

  const EntryRow row{&prepared, head.position.seq, change.freshness, sidecar_path};
  if (!old) {
    ARTCACHE_TRY(const std::int64_t number, rows_.insert(row));
    ARTCACHE_CHECK(rows_.add_words(number, prepared.tokens));
    return ChangeOutcome::inserted;
  }
  const SearchTokens words = search_tokens(old->entry.entry);
  if (words != prepared.tokens) {
    ARTCACHE_CHECK(rows_.remove_words(old->row, words));
    ARTCACHE_CHECK(rows_.add_words(old->row, prepared.tokens));
  }
  ARTCACHE_CHECK(rows_.update(*old, row));
  return ChangeOutcome::updated;
}

Result<ChangeOutcome> Edit::remove(const EntryChange& change, const RowWriter::Current& old) {
  IndexHead& head = head_.head;
  head.position.digest -= Digest::of(to_string(change.id), old.entry.hash);
  head.bytes -= old.entry.entry.file_size;
  --head.count;
  ARTCACHE_CHECK(log(LogRow::Kind::remove, change.id, &old.entry.hash, {}));
  ARTCACHE_CHECK(rows_.remove(old));
  return ChangeOutcome::removed;
}

Result<void> Edit::log(LogRow::Kind kind, const FileId& id, const ContentHash* hash,
                       std::string_view payload) {
  ++head_.head.position.seq;
  ++changes_;
  return append_log(connection_, names_, {head_.head.position, kind, &id, hash, payload, now_},
                    head_);
}

/// Keeps the twin table: every path of an id that is found under more than the one path which its
/// row tells. Rows of it that are no longer true do no harm, since readers check each.
Result<void> Edit::note_path(const ScannedFile& file) {
  ARTCACHE_TRY(const auto entry, rows_.find(file.id));
  const std::string known = entry ? entry->path() : std::string();
  if (known != file.path) {
    for (const std::string_view path : {std::string_view(file.path), std::string_view(known)})
      if (!path.empty())
        ARTCACHE_CHECK(add_twin(connection_, names_, head_.head.generation, file.id, path));
  }
  return scan_.put(file);
}

Result<void> Edit::forget_path(std::string_view path) {
  ARTCACHE_TRY(const auto file, scan_.find(path));
  if (!file) return {};
  ARTCACHE_TRY(sql::Statement * s, connection_.prepare(names_.text(
                                       "DELETE FROM {p}twin_{g} WHERE file_id = ? AND path = ?",
                                       head_.head.generation)));
  s->bind(0, bytes_of(file->id)).bind(1, path);
  ARTCACHE_CHECK(s->run());
  return scan_.remove(path);
}

Result<void> Edit::flush(const LogRetention& retention) {
  ARTCACHE_CHECK(trim_log(connection_, names_, retention, now_, changes_ + kTrimBesides, head_));
  return write_head(connection_, names_, head_);
}

}  // namespace artcache::sqlite
