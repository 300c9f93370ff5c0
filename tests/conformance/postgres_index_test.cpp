// SPDX-License-Identifier: Apache-2.0
// What only an index in PostgreSQL knows: operators at its table, and tables that were there
// before.
#include <artcache/lock_manager.hpp>
#include <cstdlib>

#include "conformance/postgres_suite.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

std::string id_text(std::uint64_t n) { return "'" + to_string(sample_id(n)) + "'"; }

/// The table of the original system with its indexes, as its program creates it (facts 2.1).
std::string original_ddl(const std::string& p) {
  std::string sql = R"(
CREATE TABLE {p}files(
  file_id uuid NOT NULL PRIMARY KEY, original_filename varchar(500) NOT NULL,
  storage_filename varchar(500) NOT NULL, file_size bigint NOT NULL,
  content_type varchar(255) NOT NULL, created_at timestamptz DEFAULT now() NOT NULL,
  updated_at timestamptz DEFAULT now() NOT NULL,
  cache_updated_at timestamptz DEFAULT now() NOT NULL, cache_ttl_hours integer DEFAULT 24 NOT NULL,
  created_by_id varchar(255) NOT NULL, created_by_username varchar(255) NOT NULL,
  created_by_fullname varchar(500), description text, version varchar(50),
  storage_path varchar(1000) NOT NULL, checksum varchar(64) NOT NULL,
  search_vector tsvector, metadata_json jsonb);
CREATE INDEX ix_{p}files_file_id ON {p}files(file_id);
CREATE INDEX idx_{p}filename ON {p}files(original_filename);
CREATE UNIQUE INDEX ix_{p}files_storage_filename ON {p}files(storage_filename);
CREATE INDEX idx_{p}user_date ON {p}files(created_by_id, created_at);
CREATE INDEX idx_{p}search_vector ON {p}files USING gin(search_vector);
CREATE INDEX idx_{p}metadata ON {p}files USING gin(metadata_json);
INSERT INTO {p}files SELECT gen_random_uuid(), 'old ' || n || '.pdf',
  'old_' || n || '_x.pdf', 100 + n, 'application/pdf', now(), now(), now(), 24, 'u', 'user', NULL,
  NULL, '1', '2026/03/02/10/', repeat('ab', 32), NULL, '{"pages": 3}'
  FROM generate_series(1, 50) AS n;
)";
  for (std::size_t at = 0; (at = sql.find("{p}", at)) != std::string::npos;) sql.replace(at, 3, p);
  return sql;
}

}  // namespace

TEST_SUITE("postgres") {
  TEST_CASE("a lock held on another machine lasts until its time is over by the server's clock") {
    const PostgresSite site;
    const Backends backends = Backends::builtin();
    const Url url = good(Url::parse(site.address));
    const auto here = good(backends.open_locks(url, {}, {}));
    const auto there = good(backends.open_locks(url, {}, {}));
    LockRequest request;
    request.element = "se-01";
    request.lock_class = LockClass::manual_rebuild;
    request.operation = "test";
    request.ttl = std::chrono::seconds(10);
    Lease lease = good(there->try_acquire(request, {}));
    Psql psql(site.address);
    const std::string elsewhere =
        "holder SET record = regexp_replace(record, '\"place\":\"[^/]*', '\"place\":\"other')";
    psql("UPDATE " + site.prefix + elsewhere);
    CHECK(here->try_acquire(request, {}).error().code == Errc::busy);
    CHECK(good(there->renew(lease, "", {})) == RenewOutcome::renewed);
    const LockHolder holder = good(here->list("se-01", {})).at(0);
    CHECK(holder.fence == lease.fence);
    CHECK(holder.expires_in <= *request.ttl);
    auto granted = here->try_acquire(request, {});
    while (!granted) granted = here->try_acquire(request, {});
    CHECK(good(std::move(granted)).fence > lease.fence);
    CHECK(there->renew(lease, "", {}).error().code == Errc::lease_lost);
  }

  TEST_CASE("rows changed, added and removed in psql are logged and count as different") {
    const PostgresSite site;
    const auto index = site.open();
    const Position before = put(*index, 0, 10).position;
    Psql psql(site.address);
    psql("UPDATE " + site.files() + " SET description = 'by hand' WHERE file_id = " + id_text(1));
    psql("DELETE FROM " + site.files() + " WHERE file_id = " + id_text(2));
    psql("INSERT INTO " + site.files() +
         "(file_id, original_filename, storage_filename, file_size, content_type, created_by_id, "
         "created_by_username, storage_path, checksum) VALUES(gen_random_uuid(), 'n', 'n', 5, 't', "
         "'u', 'u', 'a', 'no checksum')");
    const auto log = log_of(*index, before);
    REQUIRE(log.size() == 3);
    CHECK(log[0].kind == LogRow::Kind::put);
    CHECK(log[0].record.key == to_string(sample_id(1)));
    CHECK(log[0].record.hash != content_hash(sample_entry(1)));
    CHECK(log[0].record.payload.empty());
    CHECK(log[1].kind == LogRow::Kind::remove);
    CHECK(log[2].kind == LogRow::Kind::put);
    const IndexHead head = good(index->head({}));
    CHECK(head.position == log[2].position);
    CHECK(head.count == 10);
    CHECK(head.position.digest == digest_of_rows(*index));
    const auto shown = good(index->find(sample_id(1), {}));
    CHECK(shown->entry.description == "by hand");
    CHECK(shown->hash == log[0].record.hash);
    CHECK(shown->revision == log[0].position.seq);
  }

  TEST_CASE("what was changed in psql looks unread to an incremental rebuild") {
    const PostgresSite site;
    const auto index = site.open();
    put(*index, 0, 3);
    Psql psql(site.address);
    psql("UPDATE " + site.files() + " SET file_size = 1 WHERE file_id = " + id_text(1));
    psql("DELETE FROM " + site.files() + " WHERE file_id = " + id_text(2));
    const auto stamp = [&](std::uint64_t n) {
      const std::string path = scanned_of(prepare(sample_entry(n))).path;
      return good(index->find_scanned({{std::string_view(path)}}, {})).front()->stamp;
    };
    CHECK(stamp(0) == scanned_of(prepare(sample_entry(0))).stamp);
    CHECK(stamp(1).mark == decltype(Stamp::mark){});
    CHECK(stamp(2).mark == decltype(Stamp::mark){});
  }

  TEST_CASE("a content that does not fit its hash is corrupt for that row alone, until deleted") {
    const PostgresSite site;
    const auto index = site.open();
    put(*index, 0, 3);
    Psql psql(site.address);
    // Behind the back of the triggers, as a disk would.
    psql("ALTER TABLE " + site.files() + " DISABLE TRIGGER USER");
    for (const char* place : {"length(artcache_content) - 2", "1"}) {
      psql("UPDATE " + site.files() + " SET artcache_content = set_byte(artcache_content, " +
           place + ", get_byte(artcache_content, " + place +
           ") # 1) WHERE file_id = " + id_text(1));
      const auto found = index->find(sample_id(1), {});
      REQUIRE_FALSE(found.has_value());
      CHECK(found.error().code == Errc::corrupt);
      CHECK(found.error().message.find(to_string(sample_id(1))) != std::string::npos);
      CHECK(good(index->find(sample_id(2), {}))->entry == sample_entry(2));
    }
    psql("ALTER TABLE " + site.files() + " ENABLE TRIGGER USER");
    psql("DELETE FROM " + site.files() + " WHERE file_id = " + id_text(1));
    put(*index, 1, 2);
    CHECK(good(index->find(sample_id(1), {}))->entry == sample_entry(1));
  }

  TEST_CASE("freshness set by hand shows at once and moves neither log nor digest") {
    const PostgresSite site;
    const auto index = site.open();
    const Position before = put(*index, 0, 20).position;
    Psql psql(site.address);
    psql("UPDATE " + site.files() +
         " SET cache_updated_at = '2020-01-01', cache_ttl_hours = 5 "
         "WHERE file_id IN (" +
         id_text(3) + ", " + id_text(4) + ")");
    CHECK(good(index->head({})).position == before);
    const auto entry = good(index->find(sample_id(3), {}));
    CHECK(entry->freshness.ttl_hours == 5);
    CHECK(entry->hash == content_hash(sample_entry(3)));
    EntryFilter expired;
    expired.expired_at = sample_freshness().refreshed_at;
    CHECK(good(index->page({.filter = expired}, {})).total == 2);
  }

  TEST_CASE("TRUNCATE CASCADE is one reset, empties the scan table and makes the index suspect") {
    const PostgresSite site;
    const auto index = site.open();
    const Position before = put(*index, 0, 20).position;
    good(index->set_suspect("", 0, {}));
    Psql psql(site.address);
    psql("TRUNCATE " + site.files() + " CASCADE");
    const auto log = log_of(*index, before);
    REQUIRE(log.size() == 1);
    CHECK(log.front().kind == LogRow::Kind::reset);
    CHECK(log.front().position.digest == Digest());
    const IndexHead head = good(index->head({}));
    CHECK(head.count == 0);
    CHECK(head.bytes == 0);
    CHECK_FALSE(head.suspect_reason.empty());
    const std::string path = scanned_of(prepare(sample_entry(1))).path;
    CHECK_FALSE(good(index->find_scanned({{std::string_view(path)}}, {})).front().has_value());
    put(*index, 0, 5);
    CHECK(good(index->head({})).position.digest == digest_of_rows(*index));
    // What has compared everything may say so, but not of an index that is emptied once more.
    const IndexHead seen = good(index->head({}));
    psql("TRUNCATE " + site.files() + " CASCADE");
    good(index->trust(seen, 0, {}));
    CHECK_FALSE(good(index->head({})).suspect_reason.empty());
    good(index->trust(good(index->head({})), 0, {}));
    CHECK(good(index->head({})).suspect_reason.empty());
  }

  TEST_CASE("many rows changed at once by hand are one reset") {
    const PostgresSite site;
    const auto index = site.open();
    Psql psql(site.address);
    psql("INSERT INTO " + site.files() +
         "(file_id, original_filename, storage_filename, file_size, content_type, created_by_id, "
         "created_by_username, storage_path, checksum) SELECT gen_random_uuid(), 'n', 'n', 5, 't', "
         "'u', 'u', 'a/', '' FROM generate_series(1, 10001)");
    psql("UPDATE " + site.files() + " SET file_size = 6");
    const auto log = log_of(*index, start_of(*index));
    REQUIRE(log.size() == 2);
    CHECK(log[0].kind == LogRow::Kind::reset);
    CHECK(log[1].kind == LogRow::Kind::reset);
    const IndexHead head = good(index->head({}));
    CHECK(head.count == 10'001);
    CHECK(head.bytes == 60'006);
    CHECK(head.position.digest == digest_of_rows(*index));
  }

  TEST_CASE("more than a twentieth of the rows changed by hand is one reset, a batch never is") {
    const PostgresSite site;
    const auto index = site.open();
    Psql psql(site.address);
    psql("INSERT INTO " + site.files() +
         "(file_id, original_filename, storage_filename, file_size, content_type, created_by_id, "
         "created_by_username, storage_path, checksum) SELECT gen_random_uuid(), 'n', 'n', 5, 't', "
         "'u', 'u', 'a/', '' FROM generate_series(1, 50000)");
    Position before = good(index->head({})).position;
    const auto changed = [&](const std::string& statement, int rows) {
      psql(statement + " WHERE file_id IN (SELECT file_id FROM " + site.files() + " LIMIT " +
           std::to_string(rows) + ")");
      const auto log = log_of(*index, before);
      before = good(index->head({})).position;
      const bool reset = log.size() == 1 && log.front().kind == LogRow::Kind::reset;
      return reset ? -1 : static_cast<int>(log.size());
    };
    const std::string update = "UPDATE " + site.files() + " SET file_size = file_size + 1";
    CHECK(changed(update, 2500) == 2500);
    CHECK(changed(update, 2501) == -1);
    CHECK(changed("DELETE FROM " + site.files(), 2501) == -1);
    CHECK(good(index->head({})).count == 47'499);
    CHECK(good(index->head({})).position.digest == digest_of_rows(*index));
    psql("DELETE FROM " + site.files() + " WHERE file_id NOT IN (SELECT file_id FROM " +
         site.files() + " LIMIT 2000)");
    before = good(index->head({})).position;
    CHECK(changed(update, 2000) == 2000);
  }

  TEST_CASE("the table of the original system is adopted with its rows") {
    const PostgresSite site;
    Psql psql(site.address);
    psql(original_ddl(site.prefix));
    psql("GRANT SELECT ON " + site.files() + " TO PUBLIC");
    const auto index = site.open();
    const IndexHead head = good(index->head({}));
    CHECK(head.count == 50);
    CHECK(head.bytes == 50 * 100 + 50 * 51 / 2);
    CHECK(head.position.digest == digest_of_rows(*index));
    CHECK_FALSE(head.suspect_reason.empty());
    const auto log = log_of(*index, start_of(*index));
    REQUIRE(log.size() == 1);
    CHECK(log.front().kind == LogRow::Kind::reset);
    const auto page = good(index->page({.filter = {.filename = "old 7.pdf"}}, {}));
    REQUIRE(page.entries.size() == 1);
    CHECK(page.entries.front().entry.storage_filename == "old_7_x.pdf");
    CHECK(page.entries.front().entry.metadata == "{\"pages\":3}");

    EntryChange change = put_of(sample_entry(1));
    change.put.entry.id = page.entries.front().entry.id;
    change.put = prepare(change.put.entry);
    change.id = change.put.entry.id;
    change.base = page.entries.front().revision;
    CHECK(good(index->apply({.changes = {{change}}}, {})).outcomes.front() ==
          ChangeOutcome::updated);
    CHECK(good(index->find(change.id, {}))->entry == change.put.entry);
    CHECK(good(index->head({})).position.digest == digest_of_rows(*index));
  }

  TEST_CASE("a table that cannot be adopted is refused by the name of what is wrong, and kept") {
    const auto is_refused = [](const std::string& change, const std::string& says) {
      CAPTURE(change);
      const PostgresSite site;
      Psql psql(site.address);
      psql(original_ddl(site.prefix));
      std::string sql = change;
      for (std::size_t at = 0; (at = sql.find("{p}", at)) != std::string::npos;)
        sql.replace(at, 3, site.prefix);
      psql(sql);
      const std::string shape = shape_of(psql, site.files());
      const auto opened =
          Backends::builtin().open_index(good(Url::parse(site.address)), {}, Call().within(5min));
      REQUIRE_FALSE(opened.has_value());
      CHECK(opened.error().code == Errc::unsupported);
      CHECK(opened.error().message.find(says) != std::string::npos);
      CHECK(shape_of(psql, site.files()) == shape);
      CHECK(psql.number("SELECT count(*) FROM " + site.files()) == 50);
    };
    is_refused("ALTER TABLE {p}files DROP COLUMN storage_path", "storage_path is missing");
    is_refused("ALTER TABLE {p}files ALTER COLUMN created_at TYPE timestamp",
               "created_at is timestamp without time zone");
    is_refused("ALTER TABLE {p}files ADD COLUMN tags jsonb", "tags is jsonb, not text[]");
    is_refused("ALTER TABLE {p}files DROP CONSTRAINT {p}files_pkey", "file_id is not unique");
    is_refused("CREATE VIEW {p}names AS SELECT original_filename FROM {p}files", "view");
    is_refused("ALTER TABLE {p}files RENAME TO {p}rows; CREATE VIEW {p}files AS TABLE {p}rows",
               "no plain table");
  }

  TEST_CASE("an older table, without freshness and with small numbers, is adopted too") {
    const PostgresSite site;
    Psql psql(site.address);
    psql(original_ddl(site.prefix));
    psql("ALTER TABLE " + site.files() +
         " DROP COLUMN cache_updated_at, DROP COLUMN cache_ttl_hours, "
         "ALTER COLUMN file_size TYPE integer");
    const auto index = site.open();
    CHECK(good(index->head({})).count == 50);
    const auto page = good(index->page({.filter = {.filename = "old 7.pdf"}}, {}));
    REQUIRE(page.entries.size() == 1);
    CHECK(page.entries.front().freshness.ttl_hours == 24);
    FileEntry large = sample_entry(1);
    large.file_size = std::uint64_t{1} << 40;
    good(index->apply({.changes = {{put_of(large)}}}, {}));
    CHECK(good(index->find(large.id, {}))->entry == large);
    CHECK(good(index->head({})).position.digest == digest_of_rows(*index));
  }

  TEST_CASE("no operation changes columns, defaults, grants, indexes or triggers of the table") {
    const PostgresSite site;
    Psql psql(site.address);
    psql(original_ddl(site.prefix));
    psql("GRANT SELECT ON " + site.files() + " TO PUBLIC");
    const auto index = site.open();
    const std::string shape = shape_of(psql, site.files());
    put(*index, 0, 3);
    load(*index, 0, 40);
    CHECK(good(site.open()->head({})).count == 40);
    CHECK(shape_of(psql, site.files()) == shape);
  }

  TEST_CASE("a bulk load over a few old rows is one reset, and brings no deleted row back") {
    const PostgresSite site;
    const auto index = site.open();
    const Position before = put(*index, 100, 103).position;
    const auto bulk = good(index->bulk_load(1000, 0, {}));
    good(bulk->add(load_rows(101, 110), {}));
    const EntryChange remove = remove_of(sample_id(101));
    good(index->apply({.changes = {{remove}}}, {}));
    good(bulk->finish({}));
    CHECK_FALSE(good(index->find(sample_id(100), {})).has_value());
    CHECK_FALSE(good(index->find(sample_id(101), {})).has_value());
    CHECK(good(index->find(sample_id(102), {})).has_value());
    const auto log = log_of(*index, before);
    REQUIRE(log.size() == 2);
    CHECK(log[0].kind == LogRow::Kind::remove);
    CHECK(log[1].kind == LogRow::Kind::reset);
    CHECK(good(index->head({})).count == 8);
    CHECK(good(index->head({})).position.digest == digest_of_rows(*index));
  }

  TEST_CASE(
      "an index of an older version is refused until it is migrated, and is as a new one then") {
    std::uint32_t version = 0;
    SUBCASE("1") { version = 1; }
    SUBCASE("2") { version = 2; }
    const PostgresSite site;
    put(*site.open(), 0, 10);
    Psql psql(site.address);
    const std::string number = "pg_get_functiondef('" + site.prefix + "number'::regproc)",
                      scan = site.prefix + "scan", is_now = psql.text("SELECT " + number);
    // The first builds notified without a word, and a migration to version 2 left that so.
    const std::string said = "lpad(to_hex(h.epoch), 16, ''0'') || ''/'' || (h.seq + n)";
    psql("DO $do$ BEGIN EXECUTE replace(" + number + ", '" + said + "', ''''''); END $do$");
    CHECK(psql.text("SELECT " + number) != is_now);
    if (version == 1) psql("ALTER TABLE " + scan + " DROP COLUMN text_hash");
    const std::string text = std::to_string(version);
    psql("UPDATE " + site.prefix + "schema SET version = " + text + ", reader = " + text +
         ", writer = " + text);
    const Backends backends = Backends::builtin();
    const Url url = good(Url::parse(site.address));
    CHECK(backends.open_index(url, {}, {}).error().code == Errc::unsupported);
    const Migrated migrated = good(backends.migrate_index(url, {}, {}));
    CHECK(migrated.before == version);
    CHECK(migrated.after == 3);
    CHECK(psql.text("SELECT " + number) == is_now);
    const auto index = site.open();
    CHECK(put(*index, 10, 20).position.seq == 20);
    CHECK(good(index->head({})).position.digest == digest_of_rows(*index));
  }

  TEST_CASE("a role with rights on the table alone is watched like any other") {
    const PostgresSite site;
    const auto index = site.open();
    const Position before = put(*index, 0, 3).position;
    const std::string role = site.prefix + "operator";
    std::string superuser = std::getenv("ARTCACHE_TEST_POSTGRES_SUPERUSER");
    superuser.replace(superuser.rfind('/'), std::string::npos, "/artstore");
    Psql psql(superuser);
    psql("CREATE ROLE " + role + "; GRANT SELECT, DELETE, TRUNCATE ON " + site.files() + " TO " +
         role + "; SET ROLE " + role);
    CHECK(psql.error_of("SELECT 1 FROM " + site.prefix + "log").find("42501") != std::string::npos);
    psql("DELETE FROM " + site.files() + " WHERE file_id = " + id_text(1));
    CHECK(log_of(*index, before).size() == 1);
    psql("TRUNCATE " + site.files());
    CHECK(log_of(*index, before).size() == 2);
    CHECK(good(index->head({})).count == 0);
  }
}
