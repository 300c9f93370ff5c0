// SPDX-License-Identifier: Apache-2.0
// What SQLite's result codes mean to a caller of artcache: decided here and nowhere else.
#pragma once

#include <artcache/result.hpp>
#include <optional>
#include <string>

struct sqlite3;

namespace artcache::sql {

/// What SQLite said, taken before the next call on the connection changes it.
struct SqliteFailure {
  int code = 0;        ///< extended result code
  int os_error = 0;    ///< the errno behind it; 0 when there is none
  std::string detail;  ///< SQLite's own words, without values

  static SqliteFailure of(sqlite3* db, int code);
  /// The result code without its extension.
  [[nodiscard]] int primary() const { return code & 0xff; }
};

/// `path` names the database, `operation` what was being done ("step", "commit"), `over` is set
/// when the call had ended: timed_out or cancelled. Throws std::bad_alloc when memory is short.
Error sqlite_error(const SqliteFailure& failure, const std::string& path, const char* operation,
                   std::optional<Errc> over);

}  // namespace artcache::sql
