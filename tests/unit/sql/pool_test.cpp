// SPDX-License-Identifier: Apache-2.0
#include "sql/pool.hpp"

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "support/temp_dir.hpp"
#include "unit/sql/database.hpp"

namespace artcache::sql {
namespace {

using std::chrono::milliseconds;

struct Pooled {
  test::TempDir folder;
  std::atomic<int> opened{0};
  std::atomic<bool> broken{false};
  Pool pool;

  explicit Pooled(std::size_t most)
      : pool({[this](const Call& call) -> Result<std::unique_ptr<Connection>> {
                if (broken) return Error{Errc::unavailable, "open: no"};
                ++opened;
                SqliteOptions options;
                options.path = folder / "x.db";
                return open_sqlite(options, call);
              },
              most, "readers_most"}) {}
};

}  // namespace

TEST_SUITE("sql pool") {
  TEST_CASE("connections are opened when needed, kept, and not opened again") {
    Pooled pooled(3);
    const Call call = soon();
    {
      const Lease first = must(pooled.pool.acquire(call));
      const Lease second = must(pooled.pool.acquire(call));
      CHECK(pooled.pool.counts().open == 2);
    }
    CHECK(pooled.pool.counts().idle == 2);
    const Lease again = must(pooled.pool.acquire(call));
    CHECK(number(*again, "SELECT 7") == 7);
    CHECK(pooled.opened == 2);
  }

  TEST_CASE("when all are in use the deadline ends the wait and the limit is named") {
    Pooled pooled(1);
    const Call call = soon();
    const Lease only = must(pooled.pool.acquire(call));
    const Call brief = soon(milliseconds(20));
    const auto late = pooled.pool.acquire(brief);
    CHECK(code_of(late) == Errc::timed_out);
    CHECK(late.error().message.find("readers_most") != std::string::npos);

    std::stop_source source;
    Call stopped = soon();
    stopped.stop = source.get_token();
    std::jthread stopper([&] {
      std::this_thread::sleep_for(milliseconds(5));
      source.request_stop();
    });
    CHECK(code_of(pooled.pool.acquire(stopped)) == Errc::cancelled);
    CHECK(pooled.pool.counts().waiting == 0);
  }

  TEST_CASE("who waits longest is served first") {
    Pooled pooled(1);
    const Call call = soon();
    std::optional<Lease> held = must(pooled.pool.acquire(call));
    util::Mutex mutex;
    std::vector<int> order;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        const auto lease = pooled.pool.acquire(call);
        const util::MutexLock lock(mutex);
        order.push_back(lease ? i : -1);
      });
      while (pooled.pool.counts().waiting < static_cast<std::size_t>(i) + 1)
        std::this_thread::yield();
    }
    held.reset();
    threads.clear();
    CHECK(order == std::vector{0, 1, 2, 3});
  }

  TEST_CASE("a lease that ends rolls back what was left open") {
    Pooled pooled(1);
    const Call call = soon();
    {
      const Lease lease = must(pooled.pool.acquire(call));
      must(lease->execute("CREATE TABLE t(a)"));
      must(lease->begin(TransactionKind::write));
      must(lease->execute("INSERT INTO t VALUES(1)"));
    }
    const Lease lease = must(pooled.pool.acquire(call));
    CHECK_FALSE(lease->in_transaction());
    CHECK(number(*lease, "SELECT count(*) FROM t") == 0);
    CHECK(pooled.opened == 1);
  }

  TEST_CASE("discarded connections are closed and their places used again") {
    Pooled pooled(1);
    const Call call = soon();
    {
      Lease lease = must(pooled.pool.acquire(call));
      lease.discard();
    }
    CHECK(pooled.pool.counts().open == 0);
    must(pooled.pool.acquire(call));
    CHECK(pooled.opened == 2);
    pooled.pool.close_idle();
    CHECK(pooled.pool.counts().open == 0);
  }

  TEST_CASE("opening that fails gives its place back") {
    Pooled pooled(1);
    const Call call = soon();
    pooled.broken = true;
    CHECK(code_of(pooled.pool.acquire(call)) == Errc::unavailable);
    CHECK(code_of(pooled.pool.acquire(call)) == Errc::unavailable);
    pooled.broken = false;
    must(pooled.pool.acquire(call));
  }

  TEST_CASE("many threads share few connections") {
    Pooled pooled(2);
    const Call call = soon();
    must(must(pooled.pool.acquire(call))->execute("CREATE TABLE t(a)"));
    std::atomic<int> failures{0};
    {
      std::vector<std::jthread> threads;
      for (int thread = 0; thread < 8; ++thread)
        threads.emplace_back([&] {
          for (int i = 0; i < 10; ++i) {
            auto lease = pooled.pool.acquire(call);
            if (!lease || !(*lease)->execute("INSERT INTO t VALUES(1)")) ++failures;
          }
        });
    }
    CHECK(failures == 0);
    CHECK(pooled.opened <= 2);
    CHECK(number(*must(pooled.pool.acquire(call)), "SELECT count(*) FROM t") == 80);
  }
}

}  // namespace artcache::sql
