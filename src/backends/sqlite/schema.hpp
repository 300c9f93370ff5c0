// SPDX-License-Identifier: Apache-2.0
// The tables of an index in SQLite. docs/formats/sqlite.md describes them for people.
#pragma once

#include <artcache/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "sql/migrate.hpp"
#include "sql/sql.hpp"

namespace artcache::sqlite {

/// What this program writes, and the newest that it reads.
inline constexpr std::uint32_t kSchemaVersion = 3;

/// Tables whose names carry a generation are replaced as a whole by a bulk load: `entry_7`,
/// `words_7`, `scan_7`, `twin_7`. The view `entry` shows those of the generation in the head.
class Names {
 public:
  /// Errors: invalid_argument unless the prefix is at most 40 letters, digits and underscores.
  static Result<Names> with_prefix(std::string_view prefix);

  /// `text` with {p} replaced by the prefix and {g} by the generation.
  [[nodiscard]] std::string text(std::string_view text, std::uint64_t generation = 0) const;
  [[nodiscard]] const std::string& prefix() const { return prefix_; }

 private:
  std::string prefix_;
};

/// Makes the tables in an empty database; safe when several processes do it at once. Errors:
/// unsupported (an older program's, to be migrated; a newer one's), and those of the engine.
Result<void> create(sql::Connection& connection, const Names& names, const Call& call);
/// Brings an empty or older database up to what this program writes; safe when several processes
/// do it at once. Errors: unsupported (made by a newer program), and those of the engine.
Result<void> migrate(sql::Connection& connection, const Names& names, const Call& call);
/// What migrate() found or left behind. Errors: those of the engine.
Result<sql::SchemaVersions> read_versions(sql::Connection& connection, const Names& names);
/// Fails when a newer program has migrated the database meanwhile. Errors: unsupported.
Result<void> check_schema(sql::Connection& connection, const Names& names, sql::Need need);
/// The same for versions read together with something else.
Result<void> check_versions(const sql::SchemaVersions& found, const Names& names, sql::Need need);

/// The tables of one generation; its indexes are made later, which is quicker.
Result<void> create_generation(sql::Connection& connection, const Names& names,
                               std::uint64_t generation);
/// Errors: conflict when two rows have one id.
Result<void> create_id_index(sql::Connection& connection, const Names& names,
                             std::uint64_t generation);
Result<void> create_other_indexes(sql::Connection& connection, const Names& names,
                                  std::uint64_t generation);
Result<void> drop_indexes(sql::Connection& connection, const Names& names,
                          std::uint64_t generation);
Result<void> drop_generation(sql::Connection& connection, const Names& names,
                             std::uint64_t generation);
/// Makes the view show a generation. The head is the caller's to move.
Result<void> point_view(sql::Connection& connection, const Names& names, std::uint64_t generation);

}  // namespace artcache::sqlite
