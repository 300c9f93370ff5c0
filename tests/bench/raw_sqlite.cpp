// SPDX-License-Identifier: Apache-2.0
#include "bench/raw_sqlite.hpp"

#include <unistd.h>

#include "bench/bench.hpp"

namespace artcache::bench {
namespace {

constexpr const char* kTables = R"(
PRAGMA journal_mode = WAL; PRAGMA synchronous = EXTRA; PRAGMA cache_size = -4096;
CREATE TABLE entry(
  row INTEGER PRIMARY KEY, file_id BLOB NOT NULL, hash BLOB NOT NULL, revision INTEGER NOT NULL,
  refreshed_at INTEGER NOT NULL, ttl_hours INTEGER NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, file_size INTEGER NOT NULL,
  original_filename TEXT NOT NULL, storage_filename TEXT NOT NULL, storage_path TEXT NOT NULL,
  content_type TEXT NOT NULL, created_by_id TEXT NOT NULL, created_by_username TEXT NOT NULL,
  created_by_fullname TEXT, description TEXT, version TEXT, checksum BLOB NOT NULL, tags TEXT,
  retention_policy TEXT, ttl_days INTEGER, retention_expires_at INTEGER,
  metadata TEXT, custom_attributes TEXT, unknown_members TEXT);
CREATE VIRTUAL TABLE words USING fts5(
  name, tags, rest, content='', columnsize=0, detail='column', tokenize='ascii');
CREATE TABLE log(
  seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, file_id BLOB, hash BLOB,
  digest_high INTEGER NOT NULL, digest_low INTEGER NOT NULL,
  committed_at INTEGER NOT NULL, payload BLOB);
)";

void text(sqlite3_stmt* s, int i, std::string_view value) {
  sqlite3_bind_text(s, i, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
}

void maybe(sqlite3_stmt* s, int i, const std::optional<std::string>& value) {
  value ? text(s, i, *value) : static_cast<void>(sqlite3_bind_null(s, i));
}

template <class Bytes>
void blob(sqlite3_stmt* s, int i, const Bytes& bytes) {
  sqlite3_bind_blob(s, i, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
}

void run(sqlite3_stmt* s) {
  if (sqlite3_step(s) != SQLITE_DONE) give_up(sqlite3_errmsg(sqlite3_db_handle(s)));
  sqlite3_reset(s);
}

}  // namespace

RawSqlite::RawSqlite(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path + suffix).c_str());
  if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) give_up("cannot open " + path);
  execute(kTables);
}

RawSqlite::~RawSqlite() {
  for (sqlite3_stmt* s : {entry_, words_, log_, find_}) sqlite3_finalize(s);
  sqlite3_close(db_);
}

void RawSqlite::execute(const char* sql) {
  char* message = nullptr;
  if (sqlite3_exec(db_, sql, nullptr, nullptr, &message) != SQLITE_OK) give_up(message);
}

void RawSqlite::create_indexes() {
  execute(
      "CREATE UNIQUE INDEX IF NOT EXISTS entry_id ON entry(file_id);"
      "CREATE INDEX IF NOT EXISTS entry_created ON entry(created_at, file_id);");
}

sqlite3_stmt* RawSqlite::prepare(const char* sql) {
  sqlite3_stmt* s = nullptr;
  if (sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, nullptr) != SQLITE_OK)
    give_up(sqlite3_errmsg(db_));
  return s;
}

void RawSqlite::bind_entry(sqlite3_stmt* s, std::int64_t row, const PreparedEntry& put) {
  const FileEntry& e = put.entry;
  sqlite3_bind_int64(s, 1, row);
  blob(s, 2, e.id.bytes());
  blob(s, 3, put.hash.bytes);
  sqlite3_bind_int64(s, 4, 1);
  sqlite3_bind_int64(s, 5, e.updated_at.micros());
  sqlite3_bind_int64(s, 6, 24);
  sqlite3_bind_int64(s, 7, e.created_at.micros());
  sqlite3_bind_int64(s, 8, e.updated_at.micros());
  sqlite3_bind_int64(s, 9, static_cast<std::int64_t>(e.file_size));
  text(s, 10, e.original_filename);
  text(s, 11, e.storage_filename);
  text(s, 12, e.storage_path);
  text(s, 13, e.content_type);
  text(s, 14, e.created_by_id);
  text(s, 15, e.created_by_username);
  maybe(s, 16, e.created_by_fullname);
  maybe(s, 17, e.description);
  maybe(s, 18, e.version);
  blob(s, 19, e.checksum.bytes);
  e.tags.empty() ? static_cast<void>(sqlite3_bind_null(s, 20)) : text(s, 20, e.tags.front());
  maybe(s, 21, e.retention_policy);
  sqlite3_bind_null(s, 22);
  sqlite3_bind_null(s, 23);
  text(s, 24, e.metadata);
  text(s, 25, e.custom_attributes);
  text(s, 26, e.unknown_members);
}

void RawSqlite::insert(std::int64_t row, const PreparedEntry& put) {
  if (entry_ == nullptr) {
    entry_ = prepare(
        "INSERT INTO entry VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
        "ON CONFLICT DO UPDATE SET hash = excluded.hash, revision = excluded.revision");
    words_ = prepare("INSERT INTO words(rowid, name, tags, rest) VALUES(?, ?, ?, ?)");
  }
  bind_entry(entry_, row, put);
  run(entry_);
  sqlite3_bind_int64(words_, 1, row);
  text(words_, 2, put.tokens.name);
  text(words_, 3, put.tokens.tags);
  text(words_, 4, put.tokens.rest);
  run(words_);
}

void RawSqlite::insert_log(std::int64_t seq, const PreparedEntry& put) {
  if (log_ == nullptr) log_ = prepare("INSERT INTO log VALUES(?, 0, ?, ?, 1, 2, 3, ?)");
  sqlite3_bind_int64(log_, 1, seq);
  blob(log_, 2, put.entry.id.bytes());
  blob(log_, 3, put.hash.bytes);
  blob(log_, 4, put.content);
  run(log_);
}

bool RawSqlite::find(const FileId& id) {
  if (find_ == nullptr) find_ = prepare("SELECT * FROM entry WHERE file_id = ?");
  blob(find_, 1, id.bytes());
  const bool found = sqlite3_step(find_) == SQLITE_ROW;
  // A reader of a row takes its texts out; nine of them are never empty.
  std::string taken;
  for (int column = 9; found && column < 15; ++column)
    taken.assign(reinterpret_cast<const char*>(sqlite3_column_text(find_, column)),
                 static_cast<std::size_t>(sqlite3_column_bytes(find_, column)));
  sqlite3_reset(find_);
  return found;
}

}  // namespace artcache::bench
