// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/checkpointer.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <string>
#include <thread>

#include "sql/sqlite/connection.hpp"
#include "support/temp_dir.hpp"

namespace artcache::sqlite {
namespace {

constexpr std::uintmax_t kMuch = 1'000'000;

struct Database {
  explicit Database(sql::Synchronous synchronous = sql::Synchronous::full) {
    options.path = folder / "x.db";
    options.synchronous = synchronous;
    options.checkpoint_pages = 0;  // by no commit
    auto opened = sql::open_sqlite(options, {});
    REQUIRE(opened.has_value());
    writer = std::move(*opened);
    REQUIRE(writer->execute("CREATE TABLE t(a)").has_value());
    REQUIRE(writer->execute("INSERT INTO t VALUES(zeroblob(1000000))").has_value());
    REQUIRE(size() < kMuch);
  }
  [[nodiscard]] std::uintmax_t size() const { return std::filesystem::file_size(options.path); }
  [[nodiscard]] std::uintmax_t log_size() const {
    return std::filesystem::file_size(options.path + "-wal");
  }

  test::TempDir folder;
  sql::SqliteOptions options;
  std::unique_ptr<sql::Connection> writer;
};

TEST_SUITE("checkpointer") {
  TEST_CASE("once nudged it moves what is committed into the database, with a writer at work") {
    Database database;
    sql::Pool pool(
        {.open = [&](const Call& call) { return sql::open_sqlite(database.options, call); }});
    Checkpointer checkpointer(pool);
    REQUIRE(database.writer->begin(sql::TransactionKind::write).has_value());
    checkpointer.nudge();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (database.size() < kMuch && std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
    CHECK(database.size() >= kMuch);
    CHECK(database.writer->commit().has_value());
  }

  TEST_CASE("who settles after each write has a log that begins anew, and does not grow") {
    constexpr std::uintmax_t kRounds = 20;
    Database database(sql::Synchronous::off);  // no disk is slow
    sql::Pool pool(
        {.open = [&](const Call& call) { return sql::open_sqlite(database.options, call); }});
    Checkpointer checkpointer(pool);
    for (std::uintmax_t i = 0; i < kRounds; ++i) {
      REQUIRE(database.writer->execute("INSERT INTO t VALUES(zeroblob(1000000))").has_value());
      checkpointer.nudge();
      checkpointer.settle();
    }
    CHECK(database.log_size() < kRounds * kMuch / 2);
    CHECK(database.size() > kRounds * kMuch / 2);
  }

  TEST_CASE("who settles is kept for a moment, not until a connection can be had") {
    const Database database;
    std::promise<void> settled;
    sql::Pool pool({.open = [&](const Call&) -> Result<std::unique_ptr<sql::Connection>> {
      settled.get_future().wait();
      return Error{Errc::unavailable, "a test says so"};
    }});
    Checkpointer checkpointer(pool);
    checkpointer.nudge();
    checkpointer.settle();
    settled.set_value();
  }

  TEST_CASE("where no connection can be had it does nothing, and ends") {
    Database database;
    sql::Pool pool({.open = [](const Call&) -> Result<std::unique_ptr<sql::Connection>> {
      return Error{Errc::unavailable, "a test says so"};
    }});
    Checkpointer checkpointer(pool);
    checkpointer.nudge();
    checkpointer.nudge();
    CHECK(database.size() < kMuch);
  }
}

}  // namespace
}  // namespace artcache::sqlite
