// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/schema.hpp"

#include <algorithm>
#include <array>

#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

constexpr std::size_t kPrefixMost = 40;

// The log and the head outlive every generation. `log_bytes` and `oldest_seq` spare a count.
constexpr std::string_view kVersion1 = R"(
CREATE TABLE {p}head(
  one INTEGER PRIMARY KEY CHECK(one = 1),
  epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  digest_high INTEGER NOT NULL, digest_low INTEGER NOT NULL,
  count INTEGER NOT NULL, bytes INTEGER NOT NULL,
  fence INTEGER NOT NULL, generation INTEGER NOT NULL,
  oldest_seq INTEGER NOT NULL, log_bytes INTEGER NOT NULL,
  suspect TEXT);
CREATE TABLE {p}log(
  seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, file_id BLOB, hash BLOB,
  digest_high INTEGER NOT NULL, digest_low INTEGER NOT NULL,
  committed_at INTEGER NOT NULL, payload BLOB);
CREATE TABLE {p}load(
  one INTEGER PRIMARY KEY CHECK(one = 1), token INTEGER NOT NULL,
  generation INTEGER NOT NULL, begun_seq INTEGER NOT NULL, next_row INTEGER NOT NULL,
  words_row INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
  digest_high INTEGER NOT NULL, digest_low INTEGER NOT NULL);
CREATE TABLE {p}note(name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE {p}intent(
  file_id BLOB PRIMARY KEY, path TEXT NOT NULL, operation INTEGER NOT NULL,
  begun_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE {p}holder(
  fence INTEGER PRIMARY KEY, element TEXT NOT NULL, class INTEGER NOT NULL, record TEXT NOT NULL);
CREATE TABLE {p}waiter(
  element TEXT NOT NULL, class INTEGER NOT NULL, name TEXT NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY(element, class, name)) WITHOUT ROWID;
)";

// Of a load begun before nobody has noted what was written meanwhile.
constexpr std::string_view kVersion2 = R"(
ALTER TABLE {p}head ADD COLUMN boot TEXT;
CREATE TABLE {p}touched(
  number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key BLOB NOT NULL, UNIQUE(kind, key));
DELETE FROM {p}load;
)";

// Leaves with text hashes, which older programs cannot read, come as they are written.
constexpr std::string_view kVersion3 = "UPDATE {p}head SET suspect = suspect;";

constexpr std::string_view kGeneration = R"(
CREATE TABLE {p}entry_{g}(
  row INTEGER PRIMARY KEY, file_id BLOB NOT NULL, hash BLOB NOT NULL, revision INTEGER NOT NULL,
  refreshed_at INTEGER NOT NULL, ttl_hours INTEGER NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, file_size INTEGER NOT NULL,
  original_filename TEXT NOT NULL, storage_filename TEXT NOT NULL, storage_path TEXT NOT NULL,
  content_type TEXT NOT NULL, created_by_id TEXT NOT NULL, created_by_username TEXT NOT NULL,
  created_by_fullname TEXT, description TEXT, version TEXT, checksum BLOB NOT NULL, tags TEXT,
  retention_policy TEXT, ttl_days INTEGER, retention_expires_at INTEGER,
  metadata TEXT, custom_attributes TEXT, unknown_members TEXT, sidecar_path TEXT);
CREATE VIRTUAL TABLE {p}words_{g} USING fts5(
  name, tags, rest, content='', columnsize=0, detail='column', tokenize='ascii');
CREATE TABLE {p}scan_{g}(
  row INTEGER PRIMARY KEY, folder TEXT NOT NULL, low TEXT NOT NULL, files BLOB NOT NULL);
CREATE UNIQUE INDEX {p}scan_{g}_place ON {p}scan_{g}(folder, low);
CREATE TABLE {p}twin_{g}(
  file_id BLOB NOT NULL, path TEXT NOT NULL, PRIMARY KEY(file_id, path)) WITHOUT ROWID;
)";

// For find() and every put.
constexpr std::string_view kIdIndex =
    "CREATE UNIQUE INDEX IF NOT EXISTS {p}entry_{g}_id ON {p}entry_{g}(file_id);";
// For page() by time.
constexpr std::string_view kOtherIndexes =
    "CREATE INDEX IF NOT EXISTS {p}entry_{g}_created ON {p}entry_{g}(created_at, file_id);";

/// What this program knows; the text of a migration only matters to migrate().
sql::Schema schema_of(const Names& names, std::span<const sql::Migration> steps) {
  return {.name = "index",
          .migrations = steps,
          .reader = kSchemaVersion,
          .writer = kSchemaVersion,
          .table = names.prefix() + "schema"};
}

constexpr std::array kVersionsKnown{sql::Migration{kSchemaVersion, ""}};

std::string first_version(const Names& names) {
  std::array<std::uint8_t, 8> random{};
  util::fill_random(random);
  std::int64_t epoch = 0;
  for (const std::uint8_t byte : random)
    epoch = static_cast<std::int64_t>(static_cast<std::uint64_t>(epoch) << 8 | byte);
  if (epoch == 0) epoch = 1;
  return names.text(kVersion1) + names.text(kGeneration, 1) + names.text(kIdIndex, 1) +
         names.text(kOtherIndexes, 1) +
         names.text("CREATE VIEW {p}entry AS SELECT * FROM {p}entry_1;\n") +
         names.text("INSERT INTO {p}head VALUES(1, ") + std::to_string(epoch) +
         ", 0, 0, 0, 0, 0, 0, 1, 1, 0, 'no complete rebuild yet');";
}

}  // namespace

Result<Names> Names::with_prefix(std::string_view prefix) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (prefix.size() > kPrefixMost || !std::ranges::all_of(prefix, plain))
    return Error{Errc::invalid_argument,
                 "sqlite: prefix: at most 40 letters, digits and underscores"};
  // Names in SQL begin with no digit, and SQLite keeps `sqlite_` in any case for itself.
  const bool reserved =
      std::ranges::equal(prefix.substr(0, 6), std::string_view("sqlite"),
                         [](char a, char b) { return static_cast<char>(a | 0x20) == b; });
  if (!prefix.empty() && ((prefix.front() >= '0' && prefix.front() <= '9') || reserved))
    return Error{Errc::invalid_argument,
                 "sqlite: prefix: begins neither with a digit nor with 'sqlite'"};
  Names names;
  names.prefix_ = prefix;
  if (!prefix.empty()) names.prefix_.push_back('_');
  return names;
}

std::string Names::text(std::string_view text, std::uint64_t generation) const {
  std::string out;
  out.reserve(text.size() + 64);
  for (std::size_t brace = 0; (brace = text.find('{')) != std::string_view::npos;) {
    const std::string_view mark = text.substr(brace, 3);
    out.append(text.substr(0, brace));
    const bool known = mark == "{p}" || mark == "{g}";
    if (mark == "{p}")
      out.append(prefix_);
    else
      out.append(known ? std::to_string(generation) : "{");
    text.remove_prefix(brace + (known ? mark.size() : 1));
  }
  return out.append(text);
}

Result<void> create(sql::Connection& connection, const Names& names, const Call& call) {
  const std::string whole = first_version(names) + names.text(kVersion2);
  const std::array steps{sql::Migration{kSchemaVersion, whole}};
  return sql::create(connection, schema_of(names, steps), call);
}

Result<sql::SchemaVersions> read_versions(sql::Connection& connection, const Names& names) {
  return sql::read_versions(connection, schema_of(names, kVersionsKnown));
}

Result<void> migrate(sql::Connection& connection, const Names& names, const Call& call) {
  const std::string first = first_version(names);
  const std::string second = names.text(kVersion2);
  const std::string third = names.text(kVersion3);
  const std::array steps{sql::Migration{1, first}, sql::Migration{2, second},
                         sql::Migration{kSchemaVersion, third}};
  return sql::migrate(connection, schema_of(names, steps), call);
}

Result<void> check_schema(sql::Connection& connection, const Names& names, sql::Need need) {
  return sql::check_schema(connection, schema_of(names, kVersionsKnown), need);
}

Result<void> check_versions(const sql::SchemaVersions& found, const Names& names, sql::Need need) {
  return sql::check_versions(found, schema_of(names, kVersionsKnown), need);
}

Result<void> create_generation(sql::Connection& connection, const Names& names,
                               std::uint64_t generation) {
  return connection.execute(names.text(kGeneration, generation));
}

Result<void> create_id_index(sql::Connection& connection, const Names& names,
                             std::uint64_t generation) {
  return connection.execute(names.text(kIdIndex, generation));
}

Result<void> create_other_indexes(sql::Connection& connection, const Names& names,
                                  std::uint64_t generation) {
  return connection.execute(names.text(kOtherIndexes, generation));
}

Result<void> drop_indexes(sql::Connection& connection, const Names& names,
                          std::uint64_t generation) {
  return connection.execute(
      names.text("DROP INDEX IF EXISTS {p}entry_{g}_id; DROP INDEX IF EXISTS {p}entry_{g}_created;",
                 generation));
}

Result<void> drop_generation(sql::Connection& connection, const Names& names,
                             std::uint64_t generation) {
  return connection.execute(
      names.text("DROP TABLE IF EXISTS {p}entry_{g}; DROP TABLE IF EXISTS {p}words_{g};"
                 "DROP TABLE IF EXISTS {p}scan_{g}; DROP TABLE IF EXISTS {p}twin_{g};",
                 generation));
}

Result<void> point_view(sql::Connection& connection, const Names& names, std::uint64_t generation) {
  return connection.execute(names.text(
      "DROP VIEW IF EXISTS {p}entry; CREATE VIEW {p}entry AS SELECT * FROM {p}entry_{g};",
      generation));
}

}  // namespace artcache::sqlite
