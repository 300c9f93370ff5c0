// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/edit.hpp"

#include <algorithm>

#include "backends/postgres/columns.hpp"
#include "sql/postgres/wire.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

using Type = sql::PostgresType;

std::string insert_text() {
  return "INSERT INTO {p}files(" + column_names() + ") SELECT " + column_values("n") + " FROM " +
         unnest_text();
}

std::string update_text() {
  return "UPDATE {p}files f SET (" + column_names() + ") = ROW(" + column_values("n") + ") FROM " +
         unnest_text() + " WHERE f.file_id = n.file_id";
}

}  // namespace

std::vector<FileId> Edit::ids_of(std::span<const ApplyRequest* const> requests) {
  std::set<FileId> ids;
  for (const ApplyRequest* request : requests)
    for (const EntryChange& change : request->changes) ids.insert(change.id);
  return {ids.begin(), ids.end()};
}

void Edit::know(const FileId& id, const StoredRow& row) {
  Row& mine = rows_[id];
  mine.before = row;
  mine.there = true;
  mine.hash = row.hash;
  mine.freshness = row.freshness;
  mine.updated_at = row.updated_at;
  mine.path = row.path;
}

std::vector<ChangeOutcome> Edit::apply(const ApplyRequest& request) {
  std::vector<ChangeOutcome> outcomes;
  outcomes.reserve(request.changes.size());
  // Where an entry was found: its row shall tell the path that its scan row stands under.
  std::unordered_map<FileId, std::string_view> paths;
  if (!request.changes.empty())
    for (const ScannedFile& file : request.scanned) paths.try_emplace(file.id, file.path);
  std::set<FileId> moved;
  for (const EntryChange& one : request.changes) {
    const auto at = paths.find(one.id);
    outcomes.push_back(
        change(one, at == paths.end() ? std::string_view() : at->second, request.twins));
    if (outcomes.back() == ChangeOutcome::moved)
      moved.insert(one.id);
    else
      moved.erase(one.id);
  }
  scan(request, moved);
  // An intent whose change found the entry moved is not finished.
  for (const FileId& id : request.finished_intents)
    if (!moved.contains(id)) finished_.push_back(id);
  return outcomes;
}

/// A row that this very commit changes has no revision yet that anybody could have compared with.
bool Edit::moved(const EntryChange& change, const Row& row) const {
  if (change.base) {
    const bool same = *change.base == 0
                          ? !row.there
                          : row.there && !row.changed && *change.base == row.before->revision;
    if (!same) return true;
  }
  if (!change.as_of) return false;
  if (row.changed) return true;
  if (row.there) return row.before->revision > *change.as_of;
  return row.removed_at > *change.as_of || oldest_seq_ > *change.as_of + 1;
}

void Edit::touch(const FileId& id, Row& row) {
  if (!row.changed) order_.push_back(id);
  row.changed = true;
}

ChangeOutcome Edit::change(const EntryChange& change, std::string_view path, TwinRule twins) {
  Row& row = rows_[change.id];
  if (moved(change, row)) return ChangeOutcome::moved;
  switch (change.kind) {
    case EntryChange::Kind::put:
      return put(change, row, path, twins);
    case EntryChange::Kind::remove:
      touched_[change.id] = true;
      if (!row.there) break;
      touch(change.id, row);
      row.there = false;
      row.put = nullptr;
      return ChangeOutcome::removed;
    case EntryChange::Kind::freshen:
      row.freshness = change.freshness;
      break;
  }
  return ChangeOutcome::unchanged;
}

ChangeOutcome Edit::put(const EntryChange& change, Row& row, std::string_view path,
                        TwinRule twins) {
  const FileEntry& entry = change.put.entry;
  const bool same = row.there && row.hash == change.put.hash;
  if (row.there && !same && twins == TwinRule::newest_wins && !path.empty() && row.path != path) {
    const bool newer = entry.updated_at > row.updated_at;
    const bool first = entry.updated_at == row.updated_at && path < row.path;
    if (!newer && !first) return ChangeOutcome::older;
  }
  touched_[change.id] = false;
  const bool was_there = std::exchange(row.there, true);
  row.freshness = change.freshness;
  row.path =
      path.empty() ? expected_path(entry.storage_path, entry.storage_filename) : std::string(path);
  if (same) return ChangeOutcome::unchanged;
  touch(change.id, row);
  row.put = &change.put;
  row.hash = change.put.hash;
  row.updated_at = entry.updated_at;
  return was_there ? ChangeOutcome::updated : ChangeOutcome::inserted;
}

/// What was not applied must be read again, so it must not look as if it had been.
void Edit::scan(const ApplyRequest& request, const std::set<FileId>& moved) {
  for (const ScannedFile& file : request.scanned)
    if (!moved.contains(file.id)) scanned_[file.path] = &file;
  for (const std::string_view path : request.unscanned) scanned_[std::string(path)] = nullptr;
}

Result<std::vector<sql::Statement*>> Edit::statements(sql::Connection& connection,
                                                      const Names& names) const {
  std::vector<sql::Statement*> out;
  ARTCACHE_CHECK(rows(connection, names, out));
  ARTCACHE_CHECK(scanned(connection, names, out));
  if (!finished_.empty()) {
    sql::PostgresArray ids(Type::uuid);
    for (const FileId& id : finished_) ids.add().bytes(id.bytes());
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names.text("DELETE FROM {p}intent WHERE file_id = ANY($1)")));
    ids.bind(*s, 0);
    out.push_back(s);
  }
  if (loading_) ARTCACHE_CHECK(touched(connection, names, out));
  return out;
}

Result<void> Edit::touched(sql::Connection& connection, const Names& names,
                           std::vector<sql::Statement*>& out) const {
  if (touched_.empty() && scanned_.empty()) return {};
  sql::PostgresArray ids(Type::uuid), gone(Type::boolean), paths(Type::bytea);
  for (const auto& [id, removed] : touched_) {
    ids.add().bytes(id.bytes());
    gone.add().truth(removed);
  }
  // In one order for all, so that two writers never wait for each other.
  std::set<std::string_view> sorted;
  for (const auto& [path, file] : scanned_) sorted.insert(path);
  for (const std::string_view path : sorted) paths.add().bytes(path);
  ARTCACHE_TRY(
      sql::Statement * s,
      connection.prepare(names.text("SELECT {p}touch($1::uuid[], $2::boolean[], $3::bytea[])")));
  int parameter = 0;
  for (const auto* array : {&ids, &gone, &paths}) array->bind(*s, parameter++);
  out.push_back(s);
  return {};
}

Result<void> Edit::rows(sql::Connection& connection, const Names& names,
                        std::vector<sql::Statement*>& out) const {
  sql::PostgresArray removed(Type::uuid);
  ColumnArrays inserted, updated;
  for (const FileId& id : order_) {
    const Row& row = rows_.at(id);
    if (row.before && !row.there) removed.add().bytes(id.bytes());
    if (!row.there || row.put == nullptr) continue;
    if (!row.before)
      inserted.add(*row.put, row.freshness, row.path);
    else if (row.before->hash != row.hash)
      updated.add(*row.put, row.freshness, row.path);
  }
  static const std::string insert = insert_text(), update = update_text();
  if (!removed.empty()) {
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names.text("DELETE FROM {p}files WHERE file_id = ANY($1)")));
    removed.bind(*s, 0);
    out.push_back(s);
  }
  for (const auto& [arrays, text] : {std::pair(&inserted, &insert), {&updated, &update}}) {
    if (arrays->empty()) continue;
    ARTCACHE_TRY(sql::Statement * s, connection.prepare(names.text(*text)));
    arrays->bind(*s);
    out.push_back(s);
  }
  return freshened(connection, names, out);
}

/// What is beside the content of rows that keep theirs.
Result<void> Edit::freshened(sql::Connection& connection, const Names& names,
                             std::vector<sql::Statement*>& out) const {
  sql::PostgresArray ids(Type::uuid), times(Type::timestamptz), hours(Type::int4),
      paths(Type::bytea);
  for (const auto& [id, row] : rows_) {
    if (!row.before || !row.there || row.before->hash != row.hash) continue;
    if (row.before->freshness == row.freshness && row.before->path == row.path) continue;
    ids.add().bytes(id.bytes());
    times.add().time(row.freshness.refreshed_at.micros());
    hours.add().small(row.freshness.ttl_hours);
    row.before->path == row.path ? paths.add().null() : paths.add().bytes(row.path);
  }
  if (ids.empty()) return {};
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text(
                   "UPDATE {p}files f SET cache_updated_at = n.at, cache_ttl_hours = n.hours, "
                   "artcache_path = coalesce(n.path, f.artcache_path) "
                   "FROM unnest($1::uuid[], $2::timestamptz[], $3::integer[], $4::bytea[]) "
                   "AS n(id, at, hours, path) WHERE f.file_id = n.id")));
  int parameter = 0;
  for (const auto* array : {&ids, &times, &hours, &paths}) array->bind(*s, parameter++);
  out.push_back(s);
  return {};
}

Result<void> Edit::scanned(sql::Connection& connection, const Names& names,
                           std::vector<sql::Statement*>& out) const {
  sql::PostgresArray gone(Type::bytea), paths(Type::bytea), sizes(Type::int8), marks(Type::bytea),
      ids(Type::uuid), hashes(Type::bytea), times(Type::timestamptz), texts(Type::int8);
  // In one order for all, so that two writers never wait for each other.
  std::vector<std::pair<std::string_view, const ScannedFile*>> sorted(scanned_.begin(),
                                                                      scanned_.end());
  std::ranges::sort(sorted);
  for (const auto& [path, file] : sorted) {
    if (file == nullptr) {
      gone.add().bytes(path);
      continue;
    }
    paths.add().bytes(path);
    sizes.add().number(to_sql(file->stamp.size));
    marks.add().bytes(sql::Bytes(file->stamp.mark));
    ids.add().bytes(file->id.bytes());
    hashes.add().bytes(sql::Bytes(file->hash.bytes));
    times.add().time(file->updated_at.micros());
    texts.add().number(to_sql(file->text_hash));
  }
  if (!gone.empty()) {
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names.text("DELETE FROM {p}scan WHERE path = ANY($1)")));
    gone.bind(*s, 0);
    out.push_back(s);
  }
  if (paths.empty()) return {};
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text(
                   "INSERT INTO {p}scan(path, size, mark, file_id, hash, updated_at, text_hash) "
                   "SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::uuid[], "
                   "$5::bytea[], $6::timestamptz[], $7::bigint[]) ON CONFLICT (path) DO UPDATE SET "
                   "size = excluded.size, mark = excluded.mark, file_id = excluded.file_id, "
                   "hash = excluded.hash, updated_at = excluded.updated_at, "
                   "text_hash = excluded.text_hash")));
  int parameter = 0;
  for (const auto* array : {&paths, &sizes, &marks, &ids, &hashes, &times, &texts})
    array->bind(*s, parameter++);
  out.push_back(s);
  return {};
}

}  // namespace artcache::postgres
