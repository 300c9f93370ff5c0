// SPDX-License-Identifier: Apache-2.0
// The tables of an index in PostgreSQL. docs/formats/postgresql.md describes them for people.
#pragma once

#include <artcache/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "sql/migrate.hpp"
#include "sql/sql.hpp"

namespace artcache::postgres {

/// What this program writes, and the newest that it reads.
inline constexpr std::uint32_t kSchemaVersion = 3;

class Names {
 public:
  /// Errors: invalid_argument unless the prefix is at most 40 small letters, digits and
  /// underscores and begins with a letter.
  static Result<Names> with_prefix(std::string_view prefix);

  /// `text` with {p} replaced by the prefix and an underscore.
  [[nodiscard]] std::string text(std::string_view text) const;
  [[nodiscard]] const std::string& prefix() const { return prefix_; }

 private:
  std::string prefix_;
};

/// Makes the tables where there are none, as migrate() does. Errors: also unsupported for tables of
/// an older program, to be migrated.
Result<void> create(sql::Connection& connection, const Names& names, const Call& call);

/// What migrate() found or left behind. Errors: those of the engine.
Result<sql::SchemaVersions> read_versions(sql::Connection& connection, const Names& names);

/// Brings an empty database, or one that holds the table of the original system, up to what this
/// program writes; safe when several processes do it at once. Errors: unsupported (made by a newer
/// program), and those of the engine.
Result<void> migrate(sql::Connection& connection, const Names& names, const Call& call);

/// Whether this program may read or write what it found. Errors: unsupported.
Result<void> check_versions(const sql::SchemaVersions& found, const Names& names, sql::Need need);

/// The text that makes tables, functions and triggers.
std::string first_version(const Names& names);
/// What a migration adds to those of an older program, one step after the other. A step that was
/// landed once stays as it is: what it should have done is another one.
std::string second_version(const Names& names);
std::string third_version(const Names& names);
/// The last part of the first: the triggers of {p}files.
std::string_view trigger_text();

}  // namespace artcache::postgres
