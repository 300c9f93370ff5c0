// SPDX-License-Identifier: Apache-2.0
#include "sql/migrate.hpp"

#include <algorithm>
#include <utility>

#include "util/try.hpp"

namespace artcache::sql {
namespace {

std::string subject(const Schema& schema) { return "schema: '" + schema.name + "': "; }

std::uint32_t to_version(std::int64_t number) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(number, 0, 0xffffffff));
}

std::string select_text(const Schema& schema) {
  return "SELECT version, reader, writer FROM " + schema.table + " WHERE name = $1";
}

/// The row, or nothing; the table must be there.
Result<SchemaVersions> select_row(Connection& connection, const Schema& schema) {
  ARTCACHE_TRY(Statement * row, connection.prepare(select_text(schema)));
  ARTCACHE_TRY(const bool found, row->bind(0, schema.name).step());
  if (!found) return SchemaVersions{};
  const SchemaVersions versions{to_version(row->integer(0)), to_version(row->integer(1)),
                                to_version(row->integer(2))};
  row->reset();
  return versions;
}

Result<void> store_row(Connection& connection, const Schema& schema, std::uint32_t version,
                       const SchemaVersions& before) {
  ARTCACHE_TRY(Statement * row,
               connection.prepare("INSERT INTO " + schema.table +
                                  "(name, version, reader, writer) VALUES($1, $2, $3, $4) "
                                  "ON CONFLICT(name) DO UPDATE SET version = excluded.version, "
                                  "reader = excluded.reader, writer = excluded.writer"));
  // Between two steps the tables are already none that an older program knows.
  row->bind(0, schema.name)
      .bind(1, std::int64_t{version})
      .bind(2, std::int64_t{std::max(schema.reader, before.reader)})
      .bind(3, std::int64_t{std::max(schema.writer, before.writer)});
  ARTCACHE_CHECK(row->run());
  return {};
}

/// In one transaction, unless the tables are of version `done` already. `found` is what is there
/// afterwards, whoever did it.
Result<void> run_step(Connection& connection, const Schema& schema, const Migration& step,
                      std::uint32_t done, SchemaVersions* found) {
  ARTCACHE_TRY(Transaction transaction, Transaction::begin(connection, TransactionKind::write));
  ARTCACHE_CHECK(connection.execute("CREATE TABLE IF NOT EXISTS " + schema.table +
                                    "(name TEXT PRIMARY KEY, version BIGINT NOT NULL, "
                                    "reader BIGINT NOT NULL, writer BIGINT NOT NULL)"));
  ARTCACHE_TRY(*found, select_row(connection, schema));
  if (found->version >= done) return {};  // another process was faster
  ARTCACHE_CHECK(connection.execute(step.sql));
  ARTCACHE_CHECK(store_row(connection, schema, step.version, *found));
  ARTCACHE_CHECK(transaction.commit());
  found->version = step.version;
  return {};
}

/// A newer program's tables may still be such that this one can write them.
Result<void> check_newer(const SchemaVersions& found, const Schema& schema, Need need) {
  const std::uint32_t wanted = need == Need::read ? found.reader : found.writer;
  if (wanted <= schema.version()) return {};
  return Error{Errc::unsupported, subject(schema) + "made by a newer artcache (schema " +
                                      (need == Need::read ? "reader " : "writer ") +
                                      std::to_string(wanted) + "), this one " +
                                      (need == Need::read ? "reads" : "writes") + " up to " +
                                      std::to_string(schema.version()) + ": upgrade artcache"};
}

}  // namespace

Result<SchemaVersions> read_versions(Connection& connection, const Schema& schema) {
  ARTCACHE_TRY(const bool there, connection.has_table(schema.table));
  if (!there) return SchemaVersions{};
  return select_row(connection, schema);
}

Result<void> migrate(Connection& connection, const Schema& schema, const Call& call) {
  connection.set_call(&call);
  ARTCACHE_TRY(SchemaVersions found, read_versions(connection, schema));
  for (const Migration& step : schema.migrations) {
    if (step.version <= found.version) continue;
    if (auto done = run_step(connection, schema, step, step.version, &found); !done)
      return std::move(done).error().in("migrate to " + schema.name + " " +
                                        std::to_string(step.version));
  }
  return check_newer(found, schema, Need::write);
}

Result<void> create(Connection& connection, const Schema& schema, const Call& call) {
  connection.set_call(&call);
  ARTCACHE_TRY(SchemaVersions found, read_versions(connection, schema));
  if (found.version == 0) {
    if (auto done = run_step(connection, schema, schema.migrations.back(), 1, &found); !done)
      return std::move(done).error().in("make " + schema.name);
  }
  return check_versions(found, schema, Need::write);
}

Result<void> check_versions(const SchemaVersions& found, const Schema& schema, Need need) {
  if (found.version == 0)
    return Error{Errc::not_found, subject(schema) +
                                      "its tables are not there: run 'artcache "
                                      "migrate'"};
  if (found.version < schema.version())
    return Error{Errc::unsupported, subject(schema) + "made by an older artcache (schema " +
                                        std::to_string(found.version) + "), this one needs " +
                                        std::to_string(schema.version()) +
                                        ": run 'artcache migrate'"};
  return check_newer(found, schema, need);
}

Result<void> check_schema(Connection& connection, const Schema& schema, Need need) {
  auto found = select_row(connection, schema);
  if (!found && found.error().code == Errc::internal) {
    // A missing table shows only as a text that cannot be prepared.
    ARTCACHE_TRY(const bool there, connection.has_table(schema.table));
    if (!there) return check_versions({}, schema, need);
  }
  if (!found) return std::move(found).error();
  return check_versions(*found, schema, need);
}

}  // namespace artcache::sql
