// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <optional>
#include <vector>

#include "support/crash_vfs.hpp"
#include "unit/sql/database.hpp"

namespace artcache::sql {
namespace {

/// What a run has been promised, and what it asked for.
struct Progress {
  int acknowledged = 0;
  int attempted = 0;
};

Result<void> add(Connection& db, int value) {
  auto transaction = Transaction::begin(db, TransactionKind::write);
  if (!transaction) return std::move(transaction).error();
  auto insert = db.prepare("INSERT INTO t VALUES($1, printf('%0500d', $1))");
  if (!insert) return std::move(insert).error();
  if (auto done = (*insert)->bind(0, std::int64_t{value}).run(); !done)
    return std::move(done).error();
  // A row that was there before changes in the same transaction.
  if (auto done = db.execute("UPDATE sum SET n = n + 1"); !done) return done;
  return transaction->commit();
}

/// Commits numbered rows until the power fails; two connections, so that the log outlives one.
Progress work(const SqliteOptions& options, const Call& call) {
  Progress progress;
  auto first = open_sqlite(options, call);
  if (!first) return progress;
  (*first)->set_call(&call);
  if (!(*first)->execute("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b TEXT);"
                         "CREATE TABLE IF NOT EXISTS sum(n)") ||
      !(*first)->execute("INSERT INTO sum SELECT 0 WHERE NOT EXISTS(SELECT 1 FROM sum)"))
    return progress;
  for (int i = 1; i <= 12; ++i) {
    auto second = open_sqlite(options, call);
    if (!second) return progress;
    (*second)->set_call(&call);
    progress.attempted = i;
    const auto added = add(i % 2 == 0 ? **first : **second, i);
    if (!added) return progress;
    progress.acknowledged = i;
    if (i == 6) first->reset();
    if (i == 6) first = open_sqlite(options, call);
    if (!first) return progress;
    (*first)->set_call(&call);
  }
  return progress;
}

enum class Verdict { sound, lost, damaged };

Verdict judge(const SqliteOptions& options, const Progress& progress, const Call& call) {
  auto db = open_sqlite(options, call);
  if (!db) return Verdict::damaged;
  (*db)->set_call(&call);
  const auto ask = [&](std::string_view sql) -> std::optional<std::string> {
    auto statement = (*db)->prepare(sql);
    if (!statement) return std::nullopt;
    auto row = (*statement)->step();
    if (!row || !*row) return std::nullopt;
    std::string text((*statement)->text(0));
    (*statement)->reset();
    return text;
  };
  if (ask("PRAGMA integrity_check") != "ok") return Verdict::damaged;
  const auto known = ask("SELECT count(*) FROM sqlite_master WHERE name IN ('t', 'sum')");
  if (known != "2") return progress.acknowledged > 0 ? Verdict::lost : Verdict::sound;
  const auto count = ask("SELECT count(*) FROM t"), last = ask("SELECT ifnull(max(a), 0) FROM t");
  const auto sum = ask("SELECT ifnull(max(n), 0) FROM sum");
  if (!count || !last || !sum || *count != *last || *count != *sum) return Verdict::damaged;
  const int rows = std::stoi(*count);
  if (rows > progress.attempted) return Verdict::damaged;
  return rows < progress.acknowledged ? Verdict::lost : Verdict::sound;
}

struct Tally {
  int runs = 0, sound = 0, lost = 0, damaged = 0;
};

/// One run for every event at which the power can fail.
Tally cut_everywhere(Synchronous synchronous, std::uint64_t seeds) {
  const Call call = soon();
  Tally tally;
  bool finished = false;
  for (std::uint64_t cut = 1; !finished; ++cut) {
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
      test::CrashVfs vfs;
      SqliteOptions options;
      options.path = "x.db";
      options.vfs = vfs.name();
      options.synchronous = synchronous;
      options.checkpoint_pages = 5;
      vfs.cut_after(cut);
      const Progress progress = work(options, call);
      finished = finished || !vfs.is_cut();
      vfs.reboot(seed == 0 || seed == 1 ? seed : cut * 1000 + seed);
      const Verdict verdict = judge(options, progress, call);
      ++tally.runs;
      ++(verdict == Verdict::sound  ? tally.sound
         : verdict == Verdict::lost ? tally.lost
                                    : tally.damaged);
    }
  }
  return tally;
}

}  // namespace

TEST_SUITE("sql power cuts") {
  TEST_CASE("with synchronous full no commit is lost and no file damaged, wherever it happens") {
    const Tally tally = cut_everywhere(Synchronous::full, 3);
    CHECK(tally.runs > 300);
    CHECK(tally.lost == 0);
    CHECK(tally.damaged == 0);
  }

  TEST_CASE("with synchronous normal commits can be lost, but never out of order") {
    const Tally tally = cut_everywhere(Synchronous::normal, 2);
    CHECK(tally.lost > 0);
    CHECK(tally.damaged == 0);
  }

  TEST_CASE("with synchronous off commits are lost and files damaged: the test can tell") {
    const Tally tally = cut_everywhere(Synchronous::off, 3);
    CHECK(tally.lost > 0);
    CHECK(tally.damaged > 0);
  }

  TEST_CASE("a commit whose sync fails is undone, but may come back after a power cut") {
    const Call call = soon();
    std::array<bool, 2> came_back{};
    for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}}) {
      test::CrashVfs vfs;
      auto db = open_at("x.db", vfs.name());
      db->set_call(&call);
      must(db->execute("CREATE TABLE t(a)"));
      auto transaction = must(Transaction::begin(*db, TransactionKind::write));
      must(db->execute("INSERT INTO t VALUES(1)"));
      vfs.fail_sync(1);
      const auto commit = transaction.commit();
      CHECK(code_of(commit) == Errc::unavailable);
      CHECK(commit.error().outcome == Outcome::unknown);
      CHECK_FALSE(db->healthy());
      CHECK(number(*db, "SELECT count(*) FROM t") == 0);
      vfs.reboot(seed);
      db.reset();
      db = open_at("x.db", vfs.name());
      came_back[seed] = number(*db, "SELECT count(*) FROM t") == 1;
    }
    CHECK_FALSE(came_back[0]);
    CHECK(came_back[1]);
  }

  TEST_CASE("connections of before the cut fail and can be closed") {
    test::CrashVfs vfs;
    auto db = open_at("x.db", vfs.name());
    must(db->execute("CREATE TABLE t(a)"));
    vfs.cut_after(1);
    CHECK(code_of(db->execute("INSERT INTO t VALUES(1)")) == Errc::unavailable);
    CHECK(vfs.is_cut());
    vfs.reboot(0);
    CHECK_FALSE(db->execute("INSERT INTO t VALUES(1)"));
    db.reset();
    CHECK(number(*open_at("x.db", vfs.name()), "SELECT count(*) FROM t") == 0);
  }

  TEST_CASE("a page damaged on the disk is reported, not served") {
    test::CrashVfs vfs;
    {
      const auto db = open_at("x.db", vfs.name());
      must(db->execute("CREATE TABLE t(a); INSERT INTO t VALUES('kept')"));
    }
    const std::vector<std::uint8_t> garbage(100, 0x5a);
    vfs.damage("./x.db", 4096, garbage);
    const auto db = open_at("x.db", vfs.name());
    CHECK(code_of(must(db->prepare("SELECT a FROM t"))->step()) == Errc::corrupt);
  }
}

}  // namespace artcache::sql
