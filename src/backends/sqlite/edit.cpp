// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/edit.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

/// Trimming keeps pace with what is added and no commit pays for a long backlog.
constexpr std::uint64_t kTrimBesides = 64;

}  // namespace

Edit::Edit(sql::Connection& connection, const Names& names, const HeadRow& head, Timestamp now)
    : connection_(connection),
      names_(names),
      head_(head),
      now_(now),
      rows_(connection, names, head.head.generation),
      scan_(connection, names, head.head.generation),
      log_(connection, names) {}

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

Result<void> put_intent(sql::Connection& connection, const Names& names, const Intent& intent) {
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text("INSERT OR REPLACE INTO {p}intent VALUES(?,?,?,?)")));
  s->bind(0, bytes_of(intent.id)).bind(1, std::string_view(intent.path));
  s->bind(2, std::int64_t{static_cast<int>(intent.operation)}).bind(3, intent.begun_at.micros());
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

  twins_ = request.twins;
  removed_after_.reset();
  std::unordered_set<FileId> moved_ids;
  ApplyResult result;
  result.outcomes.reserve(request.changes.size());
  for (const EntryChange& one : request.changes) {
    const auto at = found.find(one.id);
    const std::string_view path = at == found.end() ? std::string_view() : at->second.path;
    ARTCACHE_TRY(const ChangeOutcome outcome, change(one, path));
    result.outcomes.push_back(outcome);
    if (outcome == ChangeOutcome::moved) moved_ids.insert(one.id);
    if (outcome != ChangeOutcome::moved && outcome != ChangeOutcome::older)
      ARTCACHE_CHECK(touch(one.id));
    if (at == found.end()) continue;
    at->second.written = one.kind == EntryChange::Kind::put;
    at->second.moved = outcome == ChangeOutcome::moved;
    at->second.written &= outcome != ChangeOutcome::older;
  }
  for (const ScannedFile& file : request.scanned) {
    const auto at = found.find(file.id);
    // What was not applied must be read again, so it must not look as if it had been.
    if (at != found.end() && at->second.moved) continue;
    const bool told = at != found.end() && at->second.written && at->second.path == file.path;
    ARTCACHE_CHECK(touch(file.path));
    ARTCACHE_CHECK(told ? scan_.put(file) : note_path(file));
  }
  for (const std::string_view path : request.unscanned) {
    ARTCACHE_CHECK(touch(path));
    ARTCACHE_CHECK(forget_path(path));
  }
  for (const FileId& id : request.finished_intents) {
    if (moved_ids.contains(id)) continue;
    ARTCACHE_TRY(sql::Statement * s,
                 connection_.prepare(names_.text("DELETE FROM {p}intent WHERE file_id = ?")));
    s->bind(0, bytes_of(id));
    ARTCACHE_CHECK(s->run());
  }
  result.position = head_.head.position;
  return result;
}

Result<ChangeOutcome> Edit::change(const EntryChange& change, std::string_view sidecar_path) {
  if (change.kind == EntryChange::Kind::freshen && !change.base) return freshen(change);
  ARTCACHE_TRY(const auto old, rows_.glance(change.id));
  ARTCACHE_TRY(const bool has_moved, moved(change, old));
  if (has_moved) return ChangeOutcome::moved;
  switch (change.kind) {
    case EntryChange::Kind::put:
      return put(change, old, sidecar_path);
    case EntryChange::Kind::remove:
      return old ? remove(change) : Result<ChangeOutcome>(ChangeOutcome::unchanged);
    case EntryChange::Kind::freshen:
      if (old) ARTCACHE_CHECK(rows_.freshen(old->row, change.freshness));
      return ChangeOutcome::unchanged;
  }
  return Error{Errc::internal, "index: a change of no known kind"};
}

/// The commonest change by far, in one statement.
Result<ChangeOutcome> Edit::freshen(const EntryChange& change) {
  const std::uint64_t newest = change.as_of.value_or(head_.head.position.seq);
  ARTCACHE_TRY(const bool done, rows_.freshen(change.id, newest, change.freshness));
  // A row that is not there has nothing to be made fresh.
  if (done || !change.as_of) return ChangeOutcome::unchanged;
  ARTCACHE_TRY(const auto old, rows_.glance(change.id));
  ARTCACHE_TRY(const bool has_moved, moved(change, old));
  return has_moved ? ChangeOutcome::moved : ChangeOutcome::unchanged;
}

Result<bool> Edit::moved(const EntryChange& change, const std::optional<RowWriter::Glance>& old) {
  if (change.base && *change.base != (old ? old->revision : 0)) return true;
  if (!change.as_of) return false;
  if (old) return old->revision > *change.as_of;
  return removed_since(*change.as_of, change.id);
}

/// Rows tell when they changed last; of a row that is not there only the log can tell.
Result<bool> Edit::removed_since(std::uint64_t seq, const FileId& id) {
  if (seq >= head_.head.position.seq) return false;
  if (head_.head.oldest_seq > seq + 1) return true;
  if (!removed_after_ || *removed_after_ > seq) {
    removed_.clear();
    ARTCACHE_TRY(
        sql::Statement * s,
        connection_.prepare(names_.text("SELECT file_id FROM {p}log WHERE seq > ? AND kind = ?")));
    s->bind(0, to_sql(seq)).bind(1, std::int64_t{static_cast<int>(LogRow::Kind::remove)});
    while (true) {
      ARTCACHE_TRY(const bool found, s->step());
      if (!found) break;
      ARTCACHE_TRY(const FileId removed, read_id(*s, 0));
      removed_.insert(removed);
    }
    removed_after_ = seq;
  }
  return removed_.contains(id);
}

Result<ChangeOutcome> Edit::put(const EntryChange& change,
                                const std::optional<RowWriter::Glance>& old,
                                std::string_view sidecar_path) {
  const PreparedEntry& prepared = change.put;
  const std::string_view kept_path = path_to_keep(sidecar_path, prepared.entry);
  if (!old) return insert(change, kept_path);
  if (old->hash == prepared.hash) {
    if (old->freshness != change.freshness)
      ARTCACHE_CHECK(rows_.freshen(old->row, change.freshness));
    if (old->sidecar_path != kept_path) {
      ARTCACHE_CHECK(rows_.set_sidecar_path(old->row, kept_path));
      ARTCACHE_CHECK(keep_twin(change.id, old->sidecar_path.empty()
                                              ? expected_sidecar_path(prepared.entry)
                                              : old->sidecar_path));
    }
    return ChangeOutcome::unchanged;
  }
  ARTCACHE_TRY(const auto current, rows_.find(change.id));
  if (twins_ == TwinRule::newest_wins && !sidecar_path.empty()) {
    const std::string known = current->path();
    const Timestamp theirs = current->entry.entry.updated_at, ours = prepared.entry.updated_at;
    const bool first = ours > theirs || (ours == theirs && sidecar_path < known);
    if (known != sidecar_path && !first) return ChangeOutcome::older;
  }
  if (!sidecar_path.empty() && current->path() != sidecar_path)
    ARTCACHE_CHECK(keep_twin(change.id, current->path()));
  return update(change, *current, kept_path);
}

/// The row tells another path from now on; where the sidecar was before, one may still stand.
Result<void> Edit::keep_twin(const FileId& id, const std::string& path) {
  ARTCACHE_TRY(const auto file, scan_.find(path));
  if (!file || file->id != id) return {};
  return add_twin(connection_, names_, head_.head.generation, id, path);
}

Result<ChangeOutcome> Edit::insert(const EntryChange& change, std::string_view sidecar_path) {
  const PreparedEntry& prepared = change.put;
  IndexHead& head = head_.head;
  ++head.count;
  head.bytes += prepared.entry.file_size;
  head.position.digest += prepared.part;
  ARTCACHE_CHECK(log(LogRow::Kind::put, change.id, &prepared.hash, prepared.content));
  ARTCACHE_TRY(const std::int64_t number,
               rows_.insert({&prepared, head.position.seq, change.freshness, sidecar_path}));
  ARTCACHE_CHECK(rows_.add_words(number, prepared.tokens));
  // From now on the row tells.
  removed_.erase(change.id);
  return ChangeOutcome::inserted;
}

Result<ChangeOutcome> Edit::update(const EntryChange& change, const RowWriter::Current& old,
                                   std::string_view sidecar_path) {
  const PreparedEntry& prepared = change.put;
  IndexHead& head = head_.head;
  head.bytes -= old.entry.entry.file_size;
  head.bytes += prepared.entry.file_size;
  head.position.digest -= Digest::of(to_string(change.id), old.entry.hash);
  head.position.digest += prepared.part;
  ARTCACHE_CHECK(log(LogRow::Kind::put, change.id, &prepared.hash, prepared.content));
  const SearchTokens words = search_tokens(old.entry.entry);
  if (words != prepared.tokens) {
    ARTCACHE_CHECK(rows_.remove_words(old.row, words));
    ARTCACHE_CHECK(rows_.add_words(old.row, prepared.tokens));
  }
  ARTCACHE_CHECK(rows_.update(old, {&prepared, head.position.seq, change.freshness, sidecar_path}));
  return ChangeOutcome::updated;
}

Result<ChangeOutcome> Edit::remove(const EntryChange& change) {
  ARTCACHE_TRY(const auto old, rows_.find(change.id));
  IndexHead& head = head_.head;
  head.position.digest -= Digest::of(to_string(change.id), old->entry.hash);
  head.bytes -= old->entry.entry.file_size;
  --head.count;
  ARTCACHE_CHECK(log(LogRow::Kind::remove, change.id, &old->entry.hash, {}));
  ARTCACHE_CHECK(rows_.remove(*old));
  return ChangeOutcome::removed;
}

Result<void> Edit::log(LogRow::Kind kind, const FileId& id, const ContentHash* hash,
                       std::string_view payload) {
  ++head_.head.position.seq;
  ++changes_;
  return log_.append({head_.head.position, kind, &id, hash, payload, now_}, head_);
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

Result<void> Edit::touch(const FileId& id) { return touch(Touched::entry, bytes_of(id)); }

Result<void> Edit::touch(std::string_view path) {
  return touch(Touched::path, {reinterpret_cast<const std::uint8_t*>(path.data()), path.size()});
}

Result<void> Edit::touch(Touched kind, sql::Bytes key) {
  if (!head_.loading) return {};
  touched_ = true;
  ARTCACHE_TRY(
      sql::Statement * s,
      connection_.prepare(names_.text("INSERT OR IGNORE INTO {p}touched(kind, key) VALUES(?, ?)")));
  s->bind(0, std::int64_t{static_cast<int>(kind)}).bind(1, key);
  ARTCACHE_CHECK(s->run());
  return {};
}

/// Nobody may ever go on with it, and what is touched must not grow without end.
Result<void> Edit::end_load_left_behind() {
  if (!touched_) return {};
  ARTCACHE_TRY(
      sql::Statement * s,
      connection_.prepare(names_.text("SELECT max(number) - min(number) FROM {p}touched")));
  ARTCACHE_CHECK(s->step());
  const bool too_many = s->integer(0) >= kTouchedMost;
  s->reset();
  if (!too_many) return {};
  return connection_.execute(
      names_.text("UPDATE {p}load SET generation = 0; DELETE FROM {p}touched;"));
}

Result<void> Edit::flush(const LogRetention& retention) {
  ARTCACHE_CHECK(scan_.flush());
  ARTCACHE_CHECK(end_load_left_behind());
  ARTCACHE_CHECK(trim_log(connection_, names_, retention, now_, changes_ + kTrimBesides, head_));
  return write_head(connection_, names_, head_);
}

}  // namespace artcache::sqlite
