// SPDX-License-Identifier: Apache-2.0
// A bulk load into PostgreSQL, with people at its tables.
#include <atomic>
#include <thread>

#include "conformance/postgres_suite.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

std::int64_t oid_of(Psql& psql, const std::string& table) {
  return psql.number("SELECT '" + table + "'::regclass::oid::bigint");
}

void check_holds(MetadataStore& index, std::uint64_t count) {
  const IndexHead head = good(index.head({}));
  CHECK(head.count == count);
  CHECK(head.position.digest == digest_of_rows(index));
}

}  // namespace

TEST_SUITE("postgres") {
  TEST_CASE("a bulk load puts a table of the same shape in the place of artcache's own") {
    const PostgresSite site;
    const auto index = site.open();
    Psql psql(site.address);
    const std::string shape = shape_of(psql, site.files());
    const std::string scan = shape_of(psql, site.prefix + "scan");
    for (std::uint64_t round = 0; round < 2; ++round) {
      const std::int64_t before = oid_of(psql, site.files());
      load(*index, round, round + 40);
      CHECK(oid_of(psql, site.files()) != before);
      CHECK(shape_of(psql, site.files()) == shape);
      CHECK(shape_of(psql, site.prefix + "scan") == scan);
      check_holds(*index, 40);
    }
    CHECK_FALSE(good(index->find(sample_id(0), {})).has_value());
    CHECK(good(index->find(sample_id(40), {}))->entry == sample_entry(40));
    // Its triggers watch as before.
    const Position at = good(index->head({})).position;
    psql("UPDATE " + site.files() + " SET file_size = 1");
    CHECK(log_of(*index, at).size() == 40);
    check_holds(*index, 40);
    psql("TRUNCATE " + site.files());
    check_holds(*index, 0);
  }

  TEST_CASE("a bulk load keeps what people have hung on its tables") {
    for (const char* addition :
         {"CREATE VIEW {p}seen AS SELECT file_id FROM {p}files",
          "CREATE VIEW {p}seen AS SELECT path FROM {p}scan", "GRANT SELECT ON {p}files TO PUBLIC",
          "GRANT SELECT ON {p}scan TO PUBLIC", "GRANT SELECT(file_id) ON {p}files TO PUBLIC",
          "CREATE INDEX ON {p}files(checksum)", "ALTER TABLE {p}files SET (fillfactor = 70)",
          "COMMENT ON TABLE {p}files IS 'ours'",
          "ALTER TABLE {p}files ADD COLUMN own bigint GENERATED ALWAYS AS IDENTITY",
          "ALTER TABLE {p}files ADD CHECK (file_size >= 0)",
          "ALTER TABLE {p}files DISABLE TRIGGER artcache_truncated",
          "CREATE RULE seen AS ON DELETE TO {p}files DO ALSO NOTIFY seen",
          "CREATE TABLE {p}referring(file_id uuid REFERENCES {p}files)"}) {
      CAPTURE(addition);
      const PostgresSite site;
      const auto index = site.open();
      Psql psql(site.address);
      std::string sql = addition;
      for (std::size_t at = 0; (at = sql.find("{p}", at)) != std::string::npos;)
        sql.replace(at, 3, site.prefix);
      psql(sql);
      const std::string shape = shape_of(psql, site.files());
      const std::int64_t files = oid_of(psql, site.files()),
                         scan = oid_of(psql, site.prefix + "scan");
      load(*index, 0, 40);
      CHECK(oid_of(psql, site.files()) == files);
      CHECK(oid_of(psql, site.prefix + "scan") == scan);
      CHECK(shape_of(psql, site.files()) == shape);
      check_holds(*index, 40);
    }
  }

  TEST_CASE("somebody who holds the table open does not stop a bulk load") {
    const PostgresSite site;
    const auto index = site.open();
    Psql idle(site.address), psql(site.address);
    idle("BEGIN; SELECT count(*) FROM " + site.files());
    const std::int64_t files = oid_of(psql, site.files());
    load(*index, 0, 40);
    CHECK(oid_of(psql, site.files()) == files);
    check_holds(*index, 40);
    CHECK(idle.number("SELECT count(*) FROM " + site.files()) == 40);
    idle("COMMIT");
  }

  TEST_CASE("[G1] readers see all rows of before a bulk load, or all of after it") {
    const PostgresSite site;
    const auto index = site.open();
    std::atomic<bool> over{false};
    std::atomic<int> wrong{0}, readings{0};
    std::vector<std::jthread> readers;
    for (int i = 0; i < 2; ++i)
      readers.emplace_back([&] {
        while (!over) {
          Digest digest;
          const auto add = [&](std::span<const KeyAndHash> rows) -> Result<void> {
            for (const KeyAndHash& row : rows) digest += Digest::of(to_string(row.id), row.hash);
            return {};
          };
          const auto at = index->scan(add, {});
          if (!at || at->digest != digest) ++wrong;
          const auto page = index->page({.limit = 1000}, {});
          if (!page || page->total != page->entries.size()) ++wrong;
          ++readings;
        }
      });
    for (std::uint64_t round = 0; round < 20; ++round) load(*index, round * 10, round * 10 + 300);
    over = true;
    readers.clear();
    CHECK(readings > 0);
    CHECK(wrong == 0);
    check_holds(*index, 300);
  }
}
