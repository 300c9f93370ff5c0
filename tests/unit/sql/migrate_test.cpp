// SPDX-License-Identifier: Apache-2.0
#include "sql/migrate.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <thread>
#include <vector>

#include "support/crash_vfs.hpp"
#include "support/temp_dir.hpp"
#include "unit/sql/database.hpp"

namespace artcache::sql {
namespace {

constexpr std::array kSteps = {
    Migration{1, "CREATE TABLE item(a INTEGER PRIMARY KEY); INSERT INTO item VALUES(1)"},
    Migration{2, "ALTER TABLE item ADD COLUMN b TEXT; UPDATE item SET b = 'two'"},
    Migration{3, "CREATE TABLE extra(c); INSERT INTO extra SELECT a FROM item"},
};

/// What a program of this version knows.
Schema schema_of(std::size_t version, std::uint32_t reader = 1, std::uint32_t writer = 1) {
  Schema schema;
  schema.name = "test";
  schema.migrations = std::span(kSteps).first(version);
  schema.reader = reader;
  schema.writer = writer;
  return schema;
}

std::uint32_t version_of(Connection& connection) {
  return must(read_versions(connection, schema_of(3))).version;
}

/// The tables are those of the version in the row.
void check_tables(Connection& connection) {
  const std::uint32_t version = version_of(connection);
  CHECK(must(connection.has_table("item")) == (version >= 1));
  if (version >= 1)
    CHECK(number(connection, "SELECT count(*) FROM pragma_table_info('item')") ==
          (version >= 2 ? 2 : 1));
  CHECK(must(connection.has_table("extra")) == (version >= 3));
  if (version >= 3) CHECK(number(connection, "SELECT count(*) FROM extra") == 1);
}

}  // namespace

TEST_SUITE("sql migrations") {
  TEST_CASE("an empty and an older database become the newest, once") {
    test::TempDir folder;
    const Call call = soon();
    const auto db = open_at(folder / "x.db");
    CHECK(version_of(*db) == 0);
    must(migrate(*db, schema_of(1), call));
    CHECK(version_of(*db) == 1);
    must(migrate(*db, schema_of(3, 2, 3), call));
    CHECK(version_of(*db) == 3);
    check_tables(*db);
    must(migrate(*db, schema_of(3, 2, 3), call));
    check_tables(*db);
    const SchemaVersions found = must(read_versions(*db, schema_of(3)));
    CHECK(found.reader == 2);
    CHECK(found.writer == 3);
  }

  TEST_CASE("parts of one database have versions of their own") {
    test::TempDir folder;
    const Call call = soon();
    const auto db = open_at(folder / "x.db");
    must(migrate(*db, schema_of(2), call));
    constexpr std::array kOther = {Migration{1, "CREATE TABLE other(a)"}};
    Schema other;
    other.name = "other";
    other.migrations = kOther;
    must(migrate(*db, other, call));
    CHECK(version_of(*db) == 2);
    CHECK(must(read_versions(*db, other)).version == 1);
  }

  TEST_CASE("an older program stops after a migration, unless the newer tables allow it") {
    test::TempDir folder;
    const Call call = soon();
    const auto db = open_at(folder / "x.db");
    const auto old_program = open_at(folder / "x.db");
    old_program->set_call(&call);
    CHECK(code_of(check_schema(*old_program, schema_of(1), Need::read)) == Errc::not_found);
    must(migrate(*db, schema_of(1), call));
    must(check_schema(*old_program, schema_of(1), Need::write));

    must(migrate(*db, schema_of(2, 1, 2), call));  // readable by version 1, not writable
    must(check_schema(*old_program, schema_of(1), Need::read));
    auto stopped = check_schema(*old_program, schema_of(1), Need::write);
    CHECK(code_of(stopped) == Errc::unsupported);
    CHECK(stopped.error().message ==
          "schema: 'test': made by a newer artcache (schema writer 2), this one writes up to 1: "
          "upgrade artcache");
    CHECK(code_of(migrate(*old_program, schema_of(1), call)) == Errc::unsupported);

    must(migrate(*db, schema_of(3, 3, 3), call));
    stopped = check_schema(*old_program, schema_of(1), Need::read);
    CHECK(code_of(stopped) == Errc::unsupported);
    CHECK(stopped.error().message.find("(schema reader 3), this one reads up to 1") !=
          std::string::npos);
    check_tables(*db);
  }

  TEST_CASE("a newer program does not use older tables before they are migrated") {
    test::TempDir folder;
    const Call call = soon();
    const auto db = open_at(folder / "x.db");
    must(migrate(*db, schema_of(1), call));
    const auto needed = check_schema(*db, schema_of(3), Need::read);
    CHECK(code_of(needed) == Errc::unsupported);
    CHECK(needed.error().message.find("artcache migrate") != std::string::npos);
  }

  TEST_CASE(
      "tables are made where there are none, older ones are left to who was asked to migrate") {
    test::TempDir folder;
    const Call call = soon();
    const std::string all = std::string(kSteps[0].sql) + ";" + std::string(kSteps[1].sql);
    const std::array whole{Migration{2, all}};
    Schema schema = schema_of(2);
    schema.migrations = whole;
    const auto fresh = open_at(folder / "new.db");
    must(create(*fresh, schema, call));
    CHECK(version_of(*fresh) == 2);
    check_tables(*fresh);
    must(create(*fresh, schema, call));
    must(migrate(*fresh, schema_of(3), call));
    check_tables(*fresh);

    const auto old = open_at(folder / "old.db");
    must(migrate(*old, schema_of(1), call));
    const auto refused = create(*old, schema, call);
    CHECK(code_of(refused) == Errc::unsupported);
    CHECK(refused.error().message.find("artcache migrate") != std::string::npos);
    CHECK(version_of(*old) == 1);
    check_tables(*old);
  }

  TEST_CASE("a step that fails leaves the version before it and is named") {
    test::TempDir folder;
    const Call call = soon();
    const auto db = open_at(folder / "x.db");
    constexpr std::array kBroken = {kSteps[0], Migration{2, "CREATE TABLE extra(c); nonsense"}};
    Schema schema = schema_of(1);
    schema.migrations = kBroken;
    const auto failed = migrate(*db, schema, call);
    CHECK(code_of(failed) == Errc::internal);
    CHECK(failed.error().message.find("migrate to test 2") != std::string::npos);
    CHECK(version_of(*db) == 1);
    check_tables(*db);
    must(migrate(*db, schema_of(3), call));
    check_tables(*db);
  }

  TEST_CASE("processes that migrate at once do every step once") {
    for (int round = 0; round < 5; ++round) {
      test::TempDir folder;
      // Nothing of SQLite is open here when the children begin.
      std::fflush(nullptr);
      std::vector<pid_t> children;
      for (int i = 0; i < 4; ++i) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
          const Call call = soon();
          SqliteOptions options;
          options.path = folder / "x.db";
          auto db = open_sqlite(options, call);
          const bool done = db && migrate(**db, schema_of(3), call);
          if (db) db->reset();
          ::_exit(done ? 0 : 1);  // without the destructors and reports of the parent
        }
        children.push_back(child);
      }
      for (const pid_t child : children) {
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
      }
      const auto db = open_at(folder / "x.db");
      CHECK(version_of(*db) == 3);
      check_tables(*db);
    }
  }

  TEST_CASE("threads that migrate at once do every step once") {
    test::TempDir folder;
    const Call call = soon();
    std::array<Result<void>, 4> results;
    {
      std::vector<std::jthread> threads;
      for (auto& result : results)
        threads.emplace_back([&] {
          SqliteOptions options;
          options.path = folder / "x.db";
          auto db = open_sqlite(options, call);
          result = db ? migrate(**db, schema_of(3), call) : Result<void>(std::move(db).error());
        });
    }
    for (const auto& result : results) must(result);
    check_tables(*open_at(folder / "x.db"));
  }

  TEST_CASE("a power cut at any moment leaves the tables of one version, and can be gone on from") {
    const Call call = soon();
    std::array<int, 4> seen{};
    for (std::uint64_t cut = 1;; ++cut) {
      bool finished = false;
      for (std::uint64_t seed = 0; seed < 4; ++seed) {
        test::CrashVfs vfs;
        SqliteOptions options;
        options.path = "x.db";
        options.vfs = vfs.name();
        vfs.cut_after(cut);
        {
          auto db = open_sqlite(options, call);
          if (db && migrate(**db, schema_of(3), call)) finished = true;
        }
        vfs.reboot(seed);
        const auto db = open_at("x.db", vfs.name());
        CHECK(word(*db, "PRAGMA integrity_check") == "ok");
        if (finished) CHECK(version_of(*db) == 3);
        ++seen[version_of(*db)];
        check_tables(*db);
        must(migrate(*db, schema_of(3), call));
        check_tables(*db);
      }
      if (finished) break;
    }
    for (const int count : seen) CHECK(count > 0);
  }
}

}  // namespace artcache::sql
