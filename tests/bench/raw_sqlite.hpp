// SPDX-License-Identifier: Apache-2.0
// The floor of the index: the same rows through plain prepared statements of SQLite, with the same
// columns, indexes, words table and settings, and nothing else.
#pragma once

#include <sqlite3.h>
#include <artcache/content.hpp>

#include <cstdint>
#include <span>
#include <string>

namespace artcache::bench {

class RawSqlite {
 public:
  explicit RawSqlite(const std::string& path);
  ~RawSqlite();
  RawSqlite(const RawSqlite&) = delete;
  RawSqlite& operator=(const RawSqlite&) = delete;

  void execute(const char* sql);
  /// The two indexes of the entry table.
  void create_indexes();
  /// Entry and words.
  void insert(std::int64_t row, const PreparedEntry& put);
  /// One row as the log of changes has it.
  void insert_log(std::int64_t seq, const PreparedEntry& put);
  /// Steps through all columns of one entry; false when it is not there.
  bool find(const FileId& id);

 private:
  sqlite3_stmt* prepare(const char* sql);
  void bind_entry(sqlite3_stmt* s, std::int64_t row, const PreparedEntry& put);

  sqlite3* db_ = nullptr;
  sqlite3_stmt *entry_ = nullptr, *words_ = nullptr, *log_ = nullptr, *find_ = nullptr;
};

}  // namespace artcache::bench
