// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/schema.hpp"

#include <algorithm>
#include <array>

#include "util/try.hpp"

namespace artcache::postgres {
namespace {

constexpr std::size_t kPrefixMost = 40;

/// What this program knows; the text of a migration only matters to migrate().
sql::Schema schema_of(const Names& names, std::span<const sql::Migration> steps) {
  return {.name = "index",
          .migrations = steps,
          .reader = kSchemaVersion,
          .writer = kSchemaVersion,
          .table = names.prefix() + "schema"};
}

constexpr std::array kVersionsKnown{sql::Migration{kSchemaVersion, ""}};

/// Held while tables are made: CREATE TABLE IF NOT EXISTS alone is no protection.
struct MigrationLock {
  sql::Connection& connection;
  std::string key;
  ~MigrationLock() { (void)connection.execute("SELECT pg_advisory_unlock(" + key + ")"); }
};

}  // namespace

Result<Names> Names::with_prefix(std::string_view prefix) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  const bool begins = prefix.empty() || (prefix.front() >= 'a' && prefix.front() <= 'z');
  if (prefix.size() > kPrefixMost || !begins || !std::ranges::all_of(prefix, plain))
    return Error{Errc::invalid_argument,
                 "postgresql: prefix: at most 40 small letters, digits and underscores, the first "
                 "a letter"};
  Names names;
  names.prefix_ = prefix;
  if (!prefix.empty()) names.prefix_.push_back('_');
  return names;
}

std::string Names::text(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + 64);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) != "{p}") {
      out.push_back(text[i]);
      continue;
    }
    out.append(prefix_);
    i += 2;
  }
  return out;
}

Result<sql::SchemaVersions> read_versions(sql::Connection& connection, const Names& names) {
  return sql::read_versions(connection, schema_of(names, kVersionsKnown));
}

Result<void> create(sql::Connection& connection, const Names& names, const Call& call) {
  connection.set_call(&call);
  ARTCACHE_TRY(const sql::SchemaVersions found, read_versions(connection, names));
  if (found.version == 0) return migrate(connection, names, call);
  return check_versions(found, names, sql::Need::write);
}

Result<void> migrate(sql::Connection& connection, const Names& names, const Call& call) {
  connection.set_call(&call);
  ARTCACHE_TRY(const auto found, read_versions(connection, names));
  const std::string first = first_version(names);
  const std::string second = second_version(names);
  const std::string third = third_version(names);
  const std::array steps{sql::Migration{1, first}, sql::Migration{2, second},
                         sql::Migration{kSchemaVersion, third}};
  const sql::Schema schema = schema_of(names, steps);
  if (found.version >= kSchemaVersion) return sql::migrate(connection, schema, call);
  const std::string key = "hashtextextended('artcache " + names.prefix() + "', 0)";
  ARTCACHE_CHECK(connection.execute("SELECT pg_advisory_lock(" + key + ")"));
  const MigrationLock lock{connection, key};
  return sql::migrate(connection, schema, call);
}

Result<void> check_versions(const sql::SchemaVersions& found, const Names& names, sql::Need need) {
  return sql::check_versions(found, schema_of(names, kVersionsKnown), need);
}

}  // namespace artcache::postgres
