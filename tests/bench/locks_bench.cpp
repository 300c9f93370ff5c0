// SPDX-License-Identifier: Apache-2.0
// Taking and releasing a lock that nobody else wants, against what no lock can do without: a
// durable commit, or a way to the server and back for each of the two.
#include <array>
#include <artcache/backends.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <filesystem>

#include "bench/bench.hpp"
#include "bench/raw_sqlite.hpp"
#include "bench/servers.hpp"
#if ARTCACHE_WITH_REDIS
#include "redis/connection.hpp"
#endif
#if ARTCACHE_WITH_POSTGRES
#include "sql/postgres/connection.hpp"
#endif

namespace artcache::bench {
namespace {

constexpr int kRounds = 5, kPairs = 200;
/// Where no disk is waited for a round is over in milliseconds, and whatever else the machine does
/// would be seen in each of a few.
constexpr int kShortRounds = 40;

void take_and_release(LockManager& locks) {
  LockRequest request;
  request.element = "se-01";
  request.operation = "bench";
  for (int i = 0; i < kPairs; ++i) must(locks.release(must(locks.try_acquire(request, {})), {}));
}

Figure figure(std::string name, Pair times, std::string floor_name, double most, double aim) {
  return {.group = "locks",
          .name = std::move(name),
          .value = times.ours / kPairs * 1e6,
          .floor = times.floor / kPairs * 1e6,
          .unit = "us",
          .floor_name = std::move(floor_name),
          .must = most,
          .aim = aim};
}

std::unique_ptr<MetadataStore> open_index(const std::string& address) {
  return must(Backends::builtin().open_index(must(Url::parse(address)), {}, {}));
}

Figure in_sqlite(const std::string& folder) {
  const auto index = open_index("sqlite://" + folder + "/locks.db");
  const auto locks = must(make_lock_manager(*index->locks(), {}));
  RawSqlite raw(folder + "/raw.db");
  raw.execute("CREATE TABLE IF NOT EXISTS bench_lock(n INTEGER)");
  raw.execute("INSERT INTO bench_lock VALUES(0)");
  const Pair times = best_of(
      kRounds, [&] { take_and_release(*locks); },
      [&] {
        for (int i = 0; i < kPairs; ++i) raw.execute("UPDATE bench_lock SET n = n + 1");
      });
  return figure("acquire and release, in SQLite", times, "one raw durable commit", 2, 2);
}

#if ARTCACHE_WITH_REDIS
/// Mints fences and forgets who has them: what is left is what Redis costs.
class FencesAlone final : public LockStore {
 public:
  explicit FencesAlone(LockStore& index) : index_(index) {}
  Result<LockRows> lock_rows(std::string_view, const Call&) override {
    LockRows rows;
    rows.fence = fence_;
    return rows;
  }
  Result<void> change_locks(std::string_view element, const Decide& decide, Durability,
                            const Call& call) override {
    const auto rows = lock_rows(element, call);
    const auto edit = decide(*rows);
    if (!edit) return edit.error();
    fence_ = std::max(fence_, edit->minted);
    return {};
  }
  [[nodiscard]] std::string owners_path() const override { return index_.owners_path(); }

 private:
  LockStore& index_;
  std::uint64_t fence_ = 0;
};

void ways_and_back(redis::Connection& connection) {
  const std::string value(400, 'x');
  const std::array<std::string_view, 3> set{"SET", "artcache:bench", value};
  for (int i = 0; i < 2 * kPairs; ++i) must(connection.command(set, {}));
}

void in_redis(const std::string& folder, const std::string& address, std::vector<Figure>& out) {
  const Url url = must(Url::parse(address));
  const auto connection =
      must(redis::Connection::open(must(redis::options_of(url, system_clock())), {}));
  const auto index = open_index("sqlite://" + folder + "/beside.db?sync=off");
  FencesAlone fences(*index->locks());
  const auto alone = must(Backends::builtin().open_locks(url, fences, {}, {}));
  out.push_back(figure(
      "acquire and release, in Redis without the index",
      best_of(
          kShortRounds, [&] { take_and_release(*alone); }, [&] { ways_and_back(*connection); }),
      "two raw round trips", 1.5, 1.1));
  const auto locks = must(Backends::builtin().open_locks(url, *index->locks(), {}, {}));
  const auto kept = must(make_lock_manager(*index->locks(), {}));
  out.push_back(figure("acquire and release, in Redis and an index",
                       best_of(
                           kShortRounds, [&] { take_and_release(*locks); },
                           [&] {
                             take_and_release(*kept);
                             ways_and_back(*connection);
                           }),
                       "the same in the index alone, and two raw round trips", 1.5, 1.1));
}
#endif

#if ARTCACHE_WITH_POSTGRES
Figure in_postgres(const std::string& folder, const std::string& address) {
  const auto index = open_index(address + "?prefix=bench_locks&owners=" + folder);
  const auto locks = must(make_lock_manager(*index->locks(), {}));
  const auto raw =
      must(sql::open_postgres(must(sql::postgres_options(must(Url::parse(address)), {})), {}));
  must(raw->execute("DROP TABLE IF EXISTS bench_lock"));
  must(raw->execute("CREATE TABLE bench_lock AS SELECT 0 AS n"));
  const Pair times = best_of(
      kRounds, [&] { take_and_release(*locks); },
      [&] {
        for (int i = 0; i < kPairs; ++i) must(raw->execute("UPDATE bench_lock SET n = n + 1"));
      });
  must(raw->execute("DROP TABLE bench_lock"));
  return figure("acquire and release, in PostgreSQL", times, "one raw UPDATE", 2.5, 2.5);
}
#endif

}  // namespace

std::vector<Figure> locks_figures(const Options& options) {
  std::vector<Figure> figures;
  const std::string folder = options.folder + "/artcache-bench-locks";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  figures.push_back(in_sqlite(folder));
#if ARTCACHE_WITH_REDIS
  if (const Servers server("redis"); server.running())
    in_redis(folder, server.value("ARTCACHE_TEST_REDIS"), figures);
#endif
#if ARTCACHE_WITH_POSTGRES
  if (const Servers server("postgres"); server.running())
    figures.push_back(in_postgres(folder, server.value("ARTCACHE_TEST_POSTGRES")));
#endif
  std::filesystem::remove_all(folder);
  return figures;
}

}  // namespace artcache::bench
