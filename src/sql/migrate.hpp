// SPDX-License-Identifier: Apache-2.0
// Which tables a database has, who may use them, and how an older one becomes a newer one.
#pragma once

#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sql/sql.hpp"

namespace artcache::sql {

/// What one program knows of the tables of one part (`name`) of a database. Its own version is
/// that of its last migration.
struct Schema {
  std::string name;
  std::span<const Migration> migrations;  ///< at least one, versions growing from 1
  /// What a program must know at least to read, and to write, the tables as the last migration
  /// leaves them. Neither ever falls.
  std::uint32_t reader = 1;
  std::uint32_t writer = 1;
  /// Holds one row for each part; made by the first migration.
  std::string table = "artcache_schema";

  [[nodiscard]] std::uint32_t version() const { return migrations.back().version; }
};

/// The row of one part.
struct SchemaVersions {
  std::uint32_t version = 0;  ///< of the last migration applied; 0: there are no tables yet
  std::uint32_t reader = 0;
  std::uint32_t writer = 0;
};

enum class Need : std::uint8_t { read, write };

/// Runs what is missing, each step in a transaction of its own together with its number, so a kill
/// at any moment leaves the tables as before or after a step. Several processes may do it at once:
/// each step happens once. Does nothing, and does not wait for writers, when nothing is missing.
/// The call stays set on the connection.
/// Errors: unsupported (a newer program's tables, which this one may not write), and those of the
/// statements, which name the step.
Result<void> migrate(Connection& connection, const Schema& schema, const Call& call);

/// Makes the tables where there are none, in one step; older ones are left to migrate(), newer ones
/// to newer programs. `schema` has that step alone. Several processes may do it at once. The call
/// stays set on the connection.
/// Errors: unsupported (tables of an older or a newer program), and those of the statements.
Result<void> create(Connection& connection, const Schema& schema, const Call& call);

/// Whether this program may still read or write the tables: one point read, to be made in every
/// transaction. Errors: unsupported (newer than the program, or not migrated yet), not_found (no
/// tables at all), and those of the statement.
Result<void> check_schema(Connection& connection, const Schema& schema, Need need);

/// The same for a row read together with something else.
Result<void> check_versions(const SchemaVersions& found, const Schema& schema, Need need);

/// Errors: those of the statement. No row, or no table: version 0.
Result<SchemaVersions> read_versions(Connection& connection, const Schema& schema);

}  // namespace artcache::sql
