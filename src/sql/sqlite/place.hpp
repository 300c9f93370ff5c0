// SPDX-License-Identifier: Apache-2.0
// Looks at where a database shall be before SQLite does, so that errors say what is wrong there.
#pragma once

#include <sys/stat.h>

#include <artcache/result.hpp>
#include <string>

#include "sql/sqlite/connection.hpp"

namespace artcache::sql {

/// Errors: as open_sqlite().
Result<void> check_place(const SqliteOptions& options);

/// The folder that a path is in.
std::string folder_of(const std::string& path);

/// A database in a folder where nothing can be created: SQLite cannot share it, only read it as
/// if nobody ever wrote. Whoever nevertheless can write there is noticed.
class FrozenFile {
 public:
  /// True when the folder cannot be written and no log lies beside the database.
  static bool is_frozen(const std::string& path);

  explicit FrozenFile(std::string path);
  /// Errors: unavailable (it changed since the construction).
  [[nodiscard]] Result<void> check() const;

 private:
  std::string path_;
  struct stat seen_ {};
};

}  // namespace artcache::sql
