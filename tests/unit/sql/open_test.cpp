// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "sql/sqlite/place.hpp"
#include "support/crash_vfs.hpp"
#include "support/temp_dir.hpp"
#include "unit/sql/database.hpp"

namespace artcache::sql {
namespace {

Result<std::unique_ptr<Connection>> try_open(const std::string& path,
                                             SqliteMode mode = SqliteMode::read_write_create) {
  SqliteOptions options;
  options.path = path;
  options.mode = mode;
  return open_sqlite(options, soon());
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

void fill(Connection& db, int rows) {
  must(db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)"));
  must(db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT " +
                  std::to_string(rows) + ") INSERT INTO t SELECT i, printf('%0800d', i) FROM n"));
}

bool contains(const Error& error, std::string_view part) {
  return error.message.find(part) != std::string::npos;
}

/// Runs `check` as a user to whom permissions mean something; true if it returned true.
template <class F>
bool as_nobody(const F& check) {
  std::fflush(nullptr);  // or the child writes it once more
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    const bool ready = ::geteuid() != 0 || (::setgid(kNobody) == 0 && ::setuid(kNobody) == 0);
    ::_exit(ready && check() ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status == 0;
}

}  // namespace

TEST_SUITE("sql open") {
  TEST_CASE("a database is made, found again, and never made by accident") {
    test::TempDir folder;
    CHECK(code_of(try_open(folder / "x.db", SqliteMode::read_write)) == Errc::not_found);
    CHECK(code_of(try_open(folder / "x.db", SqliteMode::read_only)) == Errc::not_found);
    fill(*open_at(folder / "x.db"), 3);
    for (const auto mode : {SqliteMode::read_write, SqliteMode::read_only})
      CHECK(number(*must(try_open(folder / "x.db", mode)), "SELECT count(*) FROM t") == 3);
    const auto reader = must(try_open(folder / "x.db", SqliteMode::read_only));
    CHECK(code_of(reader->execute("DELETE FROM t")) == Errc::unavailable);
  }

  TEST_CASE("every connection is set up alike") {
    test::TempDir folder;
    const auto db = open_at(folder / "x.db");
    CHECK(word(*db, "PRAGMA journal_mode") == "wal");
    CHECK(number(*db, "PRAGMA synchronous") == 3);
    CHECK(number(*db, "PRAGMA page_size") == 4096);
    CHECK(number(*db, "PRAGMA mmap_size") == 0);
    CHECK(number(*db, "PRAGMA temp_store") == 2);
    CHECK(number(*db, "PRAGMA foreign_keys") == 0);
    CHECK(number(*db, "PRAGMA secure_delete") == 0);
  }

  TEST_CASE("names with a meaning to SQLite or to URIs are plain names") {
    test::TempDir folder;
    const std::string name = folder / "a?b#c%20d.db";
    fill(*open_at(name), 1);
    CHECK(::access(name.c_str(), F_OK) == 0);
    CHECK(code_of(try_open("")) == Errc::invalid_argument);
    CHECK(code_of(try_open(std::string("a\0b", 3))) == Errc::invalid_argument);
    test::CrashVfs vfs;
    fill(*open_at(":memory:", vfs.name()), 1);
    CHECK_FALSE(vfs.content("./:memory:").empty());
    fill(*open_at("file:x.db?mode=memory", vfs.name()), 1);
    CHECK_FALSE(vfs.content("./file:x.db?mode=memory").empty());
  }

  TEST_CASE("a folder, a missing folder and a folder that is a file are told apart") {
    test::TempDir folder;
    const auto is_folder = try_open(folder.path());
    CHECK(code_of(is_folder) == Errc::invalid_argument);
    CHECK(contains(is_folder.error(), "is a folder"));
    const auto no_folder = try_open(folder / "missing/x.db");
    CHECK(code_of(no_folder) == Errc::not_found);
    CHECK(contains(no_folder.error(), "create it first"));
    write_file(folder / "file", "x");
    CHECK(code_of(try_open(folder / "file/x.db")) == Errc::invalid_argument);
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    CHECK(code_of(try_open(folder / "pipe")) == Errc::invalid_argument);
  }

  TEST_CASE("a file that is no database is named and left as it is") {
    test::TempDir folder;
    const std::string content(5000, 'x');
    write_file(folder / "x.db", content);
    for (const auto mode : {SqliteMode::read_write_create, SqliteMode::read_only}) {
      const auto opened = try_open(folder / "x.db", mode);
      CHECK(code_of(opened) == Errc::corrupt);
      CHECK(contains(opened.error(), "x.db': is no SQLite database"));
    }
    std::ifstream file(folder / "x.db", std::ios::binary);
    CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == content);
  }

  TEST_CASE("damaged pages are corrupt, and the connection is not worth keeping") {
    test::TempDir folder;
    fill(*open_at(folder / "x.db"), 2000);
    {
      std::fstream file(folder / "x.db", std::ios::binary | std::ios::in | std::ios::out);
      for (int page = 2; page < 300; ++page) {
        file.seekp(page * 4096);
        file << std::string(64, '\x5a');
      }
    }
    const auto db = open_at(folder / "x.db");
    const auto read = must(db->prepare("SELECT sum(length(b)) FROM t"))->run();
    CHECK(code_of(read) == Errc::corrupt);
    CHECK(contains(read.error(), folder / "x.db"));
    CHECK_FALSE(db->healthy());
  }

  TEST_CASE("network file systems are refused by name") {
    test::TempDir folder;
    SqliteOptions options;
    options.path = folder / "x.db";
    for (const auto probe : {+[](const std::string&) -> std::uint64_t { return 0x6969; },
                             +[](const std::string&) -> std::uint64_t { return 0xff534d42; },
                             +[](const std::string&) -> std::uint64_t { return 0xfe534d42; }}) {
      options.probe = probe;
      const auto opened = open_sqlite(options, soon());
      CHECK(code_of(opened) == Errc::unsupported);
      CHECK(contains(opened.error(), "network file system ("));
      CHECK(contains(opened.error(), "use a local disk"));
    }
    CHECK(::access(options.path.c_str(), F_OK) != 0);
    options.probe = [](const std::string&) -> std::uint64_t { return 0xef53; };  // ext4
    must(open_sqlite(options, soon()));
    CHECK(file_system_type(folder.path()) != 0);
  }

  TEST_CASE("a folder that cannot be written can still be read from") {
    test::TempDir folder;
    fill(*open_at(folder / "x.db"), 3);
    REQUIRE(::chmod((folder / "x.db").c_str(), 0666) == 0);
    REQUIRE(::chmod(folder.path().c_str(), 0555) == 0);
    CHECK(as_nobody([&] {
      const auto writer = try_open(folder / "x.db");
      return !writer && writer.error().code == Errc::unavailable &&
             contains(writer.error(), "cannot be written") &&
             contains(writer.error(), "give write access");
    }));
    CHECK(as_nobody([&] {
      auto reader = try_open(folder / "x.db", SqliteMode::read_only);
      return reader && number(**reader, "SELECT count(*) FROM t") == 3 &&
             (*reader)->begin(TransactionKind::read) && (*reader)->commit();
    }));
    REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  }

  TEST_CASE("who reads a file in such a folder notices that somebody writes it") {
    test::TempDir folder;
    fill(*open_at(folder / "x.db"), 3);
    const FrozenFile file(folder / "x.db");
    must(file.check());
    CHECK_FALSE(FrozenFile::is_frozen(folder / "x.db"));
    {
      const auto writer = open_at(folder / "x.db");
      must(writer->execute("INSERT INTO t VALUES(4, '')"));
      CHECK(code_of(file.check()) == Errc::unavailable);  // its log is there
    }
    CHECK(code_of(file.check()) == Errc::unavailable);  // its log has been moved into the file
  }

  TEST_CASE("a file that cannot be written is not opened for writing") {
    test::TempDir folder;
    fill(*open_at(folder / "x.db"), 3);
    REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
    REQUIRE(::chmod((folder / "x.db").c_str(), 0444) == 0);
    CHECK(as_nobody([&] {
      const auto writer = try_open(folder / "x.db");
      return !writer && writer.error().code == Errc::unavailable &&
             contains(writer.error(), "give write access");
    }));
    CHECK(as_nobody([&] {
      const auto reader = try_open(folder / "x.db", SqliteMode::read_only);
      return reader && number(**reader, "SELECT count(*) FROM t") == 3;
    }));
  }

  TEST_CASE("a full disk ends a transaction with no_space, and what was there stays") {
    const Call call = soon();
    for (std::int64_t room = 0; room < 40'000; room += 1777) {
      test::CrashVfs vfs;
      const auto db = open_at("x.db", vfs.name());
      db->set_call(&call);
      fill(*db, 10);
      vfs.limit_growth(room);
      auto transaction = must(Transaction::begin(*db, TransactionKind::write));
      auto done = db->execute(
          "INSERT INTO t SELECT a + 10, b FROM t;"
          "INSERT INTO t SELECT a + 20, b FROM t;"
          "INSERT INTO t SELECT a + 40, b FROM t");
      if (done) done = transaction.commit();
      REQUIRE_FALSE(done);
      CHECK(code_of(done) == Errc::no_space);
      CHECK(done.error().outcome == Outcome::not_applied);
      CHECK(number(*db, "SELECT count(*) FROM t") == 10);
      vfs.limit_growth(-1);
      must(db->execute("INSERT INTO t VALUES(11, 'room again')"));
      CHECK(word(*db, "PRAGMA integrity_check") == "ok");
    }
  }

  TEST_CASE("a call that is over opens nothing") {
    test::TempDir folder;
    SqliteOptions options;
    options.path = folder / "x.db";
    const Call call = soon(std::chrono::milliseconds(0));
    CHECK(code_of(open_sqlite(options, call)) == Errc::timed_out);
    CHECK(::access(options.path.c_str(), F_OK) != 0);
  }
}

}  // namespace artcache::sql
