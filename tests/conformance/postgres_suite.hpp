// SPDX-License-Identifier: Apache-2.0
// What the tests of the index in PostgreSQL share: a server, and sessions like those of psql.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/index_suite.hpp"
#include "sql/postgres/connection.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"

namespace artcache::test {

/// A session of an operator.
class Psql {
 public:
  explicit Psql(const std::string& address) {
    const Url url = good(Url::parse(address.substr(0, address.find('?'))));
    connection_ = good(sql::open_postgres(good(sql::postgres_options(url, {})), {}));
    connection_->set_call(&call_);
  }
  void operator()(const std::string& sql) { good(connection_->execute(sql)); }
  [[nodiscard]] std::string error_of(const std::string& sql) {
    const auto done = connection_->execute(sql);
    return done ? "" : to_string(done.error());
  }
  /// The first column of the first row, as a number and as a text.
  std::int64_t number(const std::string& sql) {
    sql::Statement* const s = good(connection_->prepare(sql));
    REQUIRE(good(s->step()));
    const std::int64_t number = s->integer(0);
    s->reset();
    return number;
  }
  std::string text(const std::string& sql) {
    sql::Statement* const s = good(connection_->prepare(sql));
    REQUIRE(good(s->step()));
    const std::string text(s->text(0));
    s->reset();
    return text;
  }

 private:
  const Call call_;
  std::unique_ptr<sql::PostgresConnection> connection_;
};

/// An index of its own on the server under test.
struct PostgresSite {
  PostgresSite() : server(base()), address(fresh_prefix(server) + "&owners=" + folder.path()) {
    const std::size_t begin = address.find("prefix=") + 7;
    prefix = address.substr(begin, address.find('&') - begin) + "_";
  }
  static std::string base() {
    const auto servers = named_servers();
    REQUIRE_MESSAGE(!servers.empty(), "ARTCACHE_TEST_INDEXES names no server");
    return servers.front();
  }
  [[nodiscard]] std::unique_ptr<MetadataStore> open() const { return open_index(address); }
  [[nodiscard]] std::string files() const { return prefix + "files"; }

  TempDir folder;
  std::string server, address, prefix;
};

inline ApplyResult put(MetadataStore& index, std::uint64_t from, std::uint64_t to) {
  std::vector<EntryChange> changes;
  std::vector<ScannedFile> scanned;
  for (std::uint64_t n = from; n < to; ++n) {
    changes.push_back(put_of(sample_entry(n)));
    scanned.push_back(scanned_of(changes.back().put));
  }
  return good(index.apply({.changes = changes, .scanned = scanned}, {}));
}

inline std::vector<BulkLoad::Row> load_rows(std::uint64_t from, std::uint64_t to) {
  std::vector<BulkLoad::Row> rows;
  for (std::uint64_t n = from; n < to; ++n) {
    PreparedEntry one = prepare(sample_entry(n));
    ScannedFile scanned = scanned_of(one);
    rows.push_back({std::move(one), sample_freshness(), std::move(scanned)});
  }
  return rows;
}

/// A whole bulk load into an index of at most a thousand entries.
inline void load(MetadataStore& index, std::uint64_t from, std::uint64_t to) {
  const auto bulk = good(index.bulk_load(10'000, 0, {}));
  good(bulk->add(load_rows(from, to), {}));
  good(bulk->finish({}));
}

/// Names, defaults, grants, indexes and triggers of the table, as one text.
inline std::string shape_of(Psql& psql, const std::string& table) {
  return psql.text(
      "SELECT coalesce(string_agg(part, E'\\n' ORDER BY part), '') FROM ("
      "SELECT attname || ' ' || atttypid::regtype::text || ' ' || "
      "coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS part FROM pg_attribute a "
      "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
      "WHERE a.attrelid = '" +
      table +
      "'::regclass AND attnum > 0 AND NOT attisdropped "
      "UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename = '" +
      table +
      "' "
      "UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger "
      "WHERE tgrelid = '" +
      table +
      "'::regclass "
      "UNION ALL SELECT coalesce(relacl::text, '') FROM pg_class "
      "WHERE oid = '" +
      table + "'::regclass) AS parts");
}

/// The digest over all rows, by looking at each.
inline Digest digest_of_rows(MetadataStore& index) {
  Digest digest;
  good(index.scan(
      [&](std::span<const KeyAndHash> rows) -> Result<void> {
        for (const KeyAndHash& row : rows) digest += Digest::of(to_string(row.id), row.hash);
        return {};
      },
      {}));
  return digest;
}

inline std::vector<LogRow> log_of(MetadataStore& index, const Position& from) {
  return good(index.read_after(from, 10'000, {})).rows;
}

inline Position start_of(MetadataStore& index) {
  return {good(index.head({})).position.epoch, 0, Digest()};
}

}  // namespace artcache::test
