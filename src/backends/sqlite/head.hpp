// SPDX-License-Identifier: Apache-2.0
// The one row that every commit moves.
#pragma once

#include <artcache/metadata_store.hpp>

#include "backends/sqlite/schema.hpp"
#include "backends/sqlite/tables.hpp"
#include "sql/sql.hpp"

namespace artcache::sqlite {

struct HeadRow {
  IndexHead head;
  std::uint64_t log_bytes = 0;
  /// The run of the machine in which somebody writes, or did and did not come to close the index;
  /// empty when everybody who wrote has closed it.
  std::string boot;
  bool loading = false;  ///< a bulk load runs, or was cut short: it must hear of what is written
};

/// Inside a transaction, so that it belongs to what else is read there.
/// Errors: corrupt, unsupported (a newer program has migrated the database meanwhile).
Result<HeadRow> read_head(sql::Connection& connection, const Names& names, sql::Need need);
Result<void> write_head(sql::Connection& connection, const Names& names, const HeadRow& row);

/// One row of the log.
struct LogEntry {
  Position position;
  LogRow::Kind kind = LogRow::Kind::put;
  const FileId* id = nullptr;
  const ContentHash* hash = nullptr;
  std::string_view payload;
  Timestamp committed_at;
};

/// For one transaction.
class LogWriter {
 public:
  LogWriter(sql::Connection& connection, const Names& names) : tables_(connection, names, 0) {}

  /// Counts its bytes in the head row.
  Result<void> append(const LogEntry& entry, HeadRow& row);

 private:
  const Tables tables_;
  sql::Statement* append_ = nullptr;
};

/// What the log keeps: the newest rows within all three limits.
struct LogRetention {
  std::uint64_t rows_most = 100'000;
  std::uint64_t bytes_most = 256 * 1024 * 1024;
  std::chrono::milliseconds age_most = std::chrono::hours(7 * 24);
};

/// Takes rows beyond the limits off the old end, at most `rows_at_once` of them, so that no commit
/// pays for many.
Result<void> trim_log(sql::Connection& connection, const Names& names, const LogRetention& keep,
                      Timestamp now, std::uint64_t rows_at_once, HeadRow& row);

/// SQLite has signed numbers only; these keep all 64 bits.
inline std::int64_t to_sql(std::uint64_t number) { return static_cast<std::int64_t>(number); }
inline std::uint64_t from_sql(std::int64_t number) { return static_cast<std::uint64_t>(number); }

}  // namespace artcache::sqlite
