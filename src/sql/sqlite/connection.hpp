// SPDX-License-Identifier: Apache-2.0
// Opens SQLite databases the one way artcache does: WAL, nothing lost, nobody told to come back.
#pragma once

#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "sql/sql.hpp"

namespace artcache::sql {

enum class SqliteMode : std::uint8_t {
  read_write_create,  ///< makes the file if it is missing, never its folder
  read_write,
  read_only,
};

/// What a power cut can take. The file stays sound with full and normal.
enum class Synchronous : std::uint8_t {
  full,    ///< nothing that was committed
  normal,  ///< the latest commits
  off,     ///< the file: only for what is thrown away at a crash
};

enum class Sharing : std::uint8_t {
  shared,     ///< with other connections and processes
  exclusive,  ///< this connection alone, which saves the shared memory and its locks
};

/// Where a sort, or an index that is made, puts what it gathers.
enum class Temporary : std::uint8_t {
  memory,
  file,  ///< one without a name, which the kernel removes: for what grows with the database
};

/// The `f_type` of the file system that a folder is on, 0 when it cannot be told.
using FileSystemProbe = std::uint64_t (*)(const std::string& folder);
std::uint64_t file_system_type(const std::string& folder);

struct SqliteOptions {
  std::string path;
  SqliteMode mode = SqliteMode::read_write_create;
  Synchronous synchronous = Synchronous::full;
  Sharing sharing = Sharing::shared;
  Temporary temporary = Temporary::memory;
  /// Threads that help a sort which is done in a file, beside the caller's; they end with it.
  int sort_threads = 0;
  /// Pages kept in memory, for each connection.
  std::int64_t cache_kib = 4096;
  /// A commit that leaves the log longer than so many pages also moves them into the database,
  /// as far as readers let it; 0: never, then somebody must run `PRAGMA wal_checkpoint`.
  std::int64_t checkpoint_pages = 1000;
  const Clock* clock = &system_clock();
  /// Registered with SQLite; empty: the operating system's. Any other one answers for its files
  /// by itself: they are not looked at before.
  std::string vfs;
  FileSystemProbe probe = &file_system_type;
};

/// Prepared statements that a connection keeps.
inline constexpr std::size_t kSqliteStatementsMost = 256;

/// The call bounds the opening; it is not kept, set_call() comes next.
/// Errors: invalid_argument (a folder, an empty path), not_found (no such file or folder),
/// unavailable (no permission, a read-only folder), corrupt (no database, or a damaged one),
/// unsupported (a network file system), no_space, timed_out, cancelled.
Result<std::unique_ptr<Connection>> open_sqlite(const SqliteOptions& options, const Call& call);

}  // namespace artcache::sql
