// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <thread>
#include <vector>

#include "support/fake_clock.hpp"
#include "support/temp_dir.hpp"
#include "unit/sql/database.hpp"

namespace artcache::sql {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kCount = "SELECT count(*) FROM t";

/// Two connections to one database with a table t(a).
struct Two {
  test::TempDir folder;
  Call call = soon();
  std::unique_ptr<Connection> one = open_at(folder / "x.db");
  std::unique_ptr<Connection> other = open_at(folder / "x.db");
  Two() {
    one->set_call(&call);
    other->set_call(&call);
    must(one->execute("CREATE TABLE t(a)"));
  }
};

/// And a third one, whose call has an hour by a clock of its own, however slow the machine is.
struct TimedTwo : Two {
  test::ImpatientClock clock;
  Call hour = Call().within(std::chrono::hours(1), clock);
  std::unique_ptr<Connection> timed;
  TimedTwo() {
    SqliteOptions options;
    options.path = folder / "x.db";
    options.clock = &clock;
    timed = must(open_sqlite(options, hour));
    timed->set_call(&hour);
  }
};

/// Runs for as long as nobody stops it.
constexpr std::string_view kEndless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n";

}  // namespace

TEST_SUITE("sql transactions") {
  TEST_CASE("a transaction that is left without commit changes nothing") {
    Two db;
    {
      auto transaction = must(Transaction::begin(*db.one, TransactionKind::write));
      must(db.one->execute("INSERT INTO t VALUES(1)"));
      CHECK(number(*db.one, kCount) == 1);
      CHECK(number(*db.other, kCount) == 0);
    }
    CHECK_FALSE(db.one->in_transaction());
    CHECK(number(*db.one, kCount) == 0);
    auto transaction = must(Transaction::begin(*db.one, TransactionKind::write));
    must(db.one->execute("INSERT INTO t VALUES(1)"));
    must(transaction.commit());
    CHECK(number(*db.other, kCount) == 1);
  }

  TEST_CASE("a read transaction sees one moment, also with statements half read") {
    Two db;
    must(db.one->execute("INSERT INTO t VALUES(1),(2)"));
    auto transaction = must(Transaction::begin(*db.other, TransactionKind::read));
    Statement* half = must(db.other->prepare("SELECT a FROM t"));
    REQUIRE(must(half->step()));
    must(db.one->execute("INSERT INTO t VALUES(3)"));
    CHECK(number(*db.other, kCount) == 2);
    must(transaction.commit());  // resets `half`, which would keep the old moment
    CHECK(number(*db.other, kCount) == 3);
    must(db.other->execute("INSERT INTO t VALUES(4)"));
    CHECK(number(*db.one, kCount) == 4);
  }

  TEST_CASE("writing in a read transaction is a mistake, whether or not others write") {
    Two db;
    auto transaction = must(Transaction::begin(*db.one, TransactionKind::read));
    CHECK(code_of(db.one->execute("INSERT INTO t VALUES(1)")) == Errc::internal);
    CHECK(number(*db.one, kCount) == 0);
    must(transaction.commit());
    CHECK(code_of(db.one->commit()) == Errc::internal);
  }

  TEST_CASE("a writer waits for another until its deadline and is told so") {
    Two db;
    must(db.one->begin(TransactionKind::write));
    const Call call = soon(milliseconds(30));
    db.other->set_call(&call);
    const auto before = steady_clock::now();
    const auto late = db.other->begin(TransactionKind::write);
    const auto waited = steady_clock::now() - before;
    CHECK(code_of(late) == Errc::timed_out);
    CHECK(late.error().outcome == Outcome::not_applied);
    CHECK(waited >= milliseconds(29));
    CHECK(code_of(db.other->execute("INSERT INTO t VALUES(1)")) == Errc::timed_out);
    CHECK(db.other->healthy());

    db.other->set_call(nullptr);  // nobody said how long
    CHECK(code_of(db.other->begin(TransactionKind::write)) == Errc::busy);
    must(db.one->commit());
    must(db.other->begin(TransactionKind::write));
  }

  TEST_CASE("the deadline is one of the clock that was given") {
    TimedTwo db;
    must(db.one->begin(TransactionKind::write));
    std::jthread time([&] {
      std::this_thread::sleep_for(milliseconds(5));
      db.clock.advance(std::chrono::hours(2));
    });
    CHECK(code_of(db.timed->begin(TransactionKind::write)) == Errc::timed_out);
  }

  TEST_CASE("a writer that waits can be stopped") {
    Two db;
    must(db.one->begin(TransactionKind::write));
    std::stop_source source;
    Call call = soon();
    call.stop = source.get_token();
    db.other->set_call(&call);
    std::jthread stopper([&] {
      std::this_thread::sleep_for(milliseconds(5));
      source.request_stop();
    });
    CHECK(code_of(db.other->begin(TransactionKind::write)) == Errc::cancelled);
  }

  TEST_CASE("a long statement ends at its deadline and when it is stopped") {
    Two db;
    const Call call = soon(milliseconds(30));
    db.one->set_call(&call);
    CHECK(code_of(must(db.one->prepare(kEndless))->step()) == Errc::timed_out);

    std::stop_source source;
    Call stopped = soon();
    stopped.stop = source.get_token();
    db.one->set_call(&stopped);
    std::jthread stopper([&] {
      std::this_thread::sleep_for(milliseconds(5));
      source.request_stop();
    });
    CHECK(code_of(must(db.one->prepare(kEndless))->step()) == Errc::cancelled);
  }

  TEST_CASE("what undid a transaction meets all that follows in it, and nothing slips out") {
    TimedTwo db;
    const Call patient = Call().within(std::chrono::hours(1000), db.clock);
    auto transaction = must(Transaction::begin(*db.timed, TransactionKind::write));
    must(db.timed->execute("INSERT INTO t VALUES(1)"));
    const std::string endless = "INSERT INTO t " + std::string(kEndless);
    db.clock.step(std::chrono::minutes(1));  // over in the middle of the statement
    CHECK(code_of(db.timed->execute(endless)) == Errc::timed_out);
    db.clock.step(std::chrono::minutes(0));
    db.timed->set_call(&patient);
    CHECK(code_of(db.timed->execute("INSERT INTO t VALUES(2)")) == Errc::timed_out);
    const auto commit = transaction.commit();
    CHECK(code_of(commit) == Errc::timed_out);
    CHECK(commit.error().outcome == Outcome::not_applied);
    CHECK(number(*db.timed, kCount) == 0);
    must(db.timed->execute("INSERT INTO t VALUES(3)"));
    CHECK(number(*db.other, kCount) == 1);
  }

  TEST_CASE("a commit after the deadline applies nothing and says so") {
    TimedTwo db;
    auto transaction = must(Transaction::begin(*db.timed, TransactionKind::write));
    must(db.timed->execute("INSERT INTO t VALUES(1)"));
    db.clock.advance(std::chrono::hours(2));
    const auto commit = transaction.commit();
    CHECK(code_of(commit) == Errc::timed_out);
    CHECK(commit.error().outcome == Outcome::not_applied);
    CHECK(number(*db.other, kCount) == 0);
    must(db.other->begin(TransactionKind::write));  // the lock is free
  }

  TEST_CASE("eight threads open, write and read one file, and nobody is told it is locked") {
    test::TempDir folder;
    const Call call = soon();
    std::atomic<int> failures{0};
    const auto work = [&](int thread) -> Result<void> {
      SqliteOptions options;
      options.path = folder / "x.db";
      options.checkpoint_pages = 4;  // many checkpoints and restarts of the log
      auto connection = open_sqlite(options, call);
      if (!connection) return std::move(connection).error();
      (*connection)->set_call(&call);
      auto made = (*connection)->execute("CREATE TABLE IF NOT EXISTS t(a)");
      if (!made) return made;
      for (int i = 0; i < 20; ++i) {
        auto transaction = Transaction::begin(**connection, TransactionKind::write);
        if (!transaction) return std::move(transaction).error();
        auto insert = (*connection)->prepare("INSERT INTO t VALUES($1)");
        if (!insert) return std::move(insert).error();
        auto done = (*insert)->bind(0, std::int64_t{thread * 1000 + i}).run();
        if (!done) return std::move(done).error();
        if (auto commit = transaction->commit(); !commit) return commit;
        auto written = (*connection)->execute("INSERT INTO t SELECT max(a) FROM t");
        if (!written) return written;
      }
      return {};
    };
    {
      std::vector<std::jthread> threads;
      for (int thread = 0; thread < 8; ++thread)
        threads.emplace_back([&, thread] {
          if (const auto done = work(thread); !done) {
            ++failures;
            MESSAGE(to_string(done.error()));
          }
        });
    }
    CHECK(failures == 0);
    const auto connection = open_at(folder / "x.db");
    CHECK(number(*connection, kCount) == 320);
  }

  TEST_CASE("a connection for itself alone needs no shared memory and keeps others out") {
    test::TempDir folder;
    SqliteOptions options;
    options.path = folder / "x.db";
    options.sharing = Sharing::exclusive;
    const auto alone = must(open_sqlite(options, soon()));
    must(alone->execute("CREATE TABLE t(a)"));
    options.sharing = Sharing::shared;
    CHECK(code_of(open_sqlite(options, soon(milliseconds(20)))) == Errc::timed_out);
    CHECK(number(*alone, kCount) == 0);
  }
}

}  // namespace artcache::sql
