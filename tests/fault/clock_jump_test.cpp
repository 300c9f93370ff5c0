// SPDX-License-Identifier: Apache-2.0
// Locks in a server whose clock is set forward or back by an hour while they are held
// (ARTCACHE_TEST_CLOCK: tests/services/README.md).
#include <fstream>

#include "fault/lock_processes.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

/// The server's clock, right again at the end.
class ServerClock {
 public:
  ServerClock() {
    const char* const given = std::getenv("ARTCACHE_TEST_CLOCK");
    REQUIRE(given != nullptr);
    path_ = given;
    set_off("+0000000");
  }
  ~ServerClock() { set_off("+0000000"); }
  ServerClock(const ServerClock&) = delete;
  ServerClock& operator=(const ServerClock&) = delete;

  /// In place: the server has no right to read a file of ours.
  void set_off(const char* seconds) const {
    std::fstream file(path_, std::ios::in | std::ios::out);
    file << seconds << '\n' << std::flush;
    REQUIRE(file.good());
  }

 private:
  std::string path_;
};

constexpr const char* kForward = "+0003600";
constexpr const char* kBack = "-0003600";

void check_that_nothing_is_held(LockSite& site) {
  const Lease lease = good(site.locks->try_acquire(LockSite::wanting("se-01"), {}));
  CHECK(good(site.locks->list("se-01", {})).size() == 1);
  good(site.locks->release(lease, {}));
  CHECK(good(site.locks->list("", {})).empty());
}

}  // namespace

TEST_CASE("forward: the lock may be granted once more, and its first holder changes 0 rows then") {
  LockSite site;
  const ServerClock clock;
  Process holder(site, "se-01", 600s);
  REQUIRE(holder.ask("acquire").starts_with("ok "));
  CHECK(holder.ask("commit") == "ok");
  CHECK(site.locks->try_acquire(LockSite::wanting("se-01"), {}).error().code == Errc::busy);
  clock.set_off(kForward);
  const Lease next = site.wait_for("se-01", 5min);
  const IndexHead before = good(site.index->head({}));
  CHECK(holder.ask("commit") == "lease_lost");
  CHECK(good(site.index->head({})).position == before.position);
  CHECK(holder.ask("release") == "ok");
  CHECK(good(site.locks->list("se-01", {})).size() == 1);
  good(site.locks->release(next, {}));
  check_that_nothing_is_held(site);
}

TEST_CASE("forward and back: a holder that nobody follows goes on to its end") {
  LockSite site;
  const ServerClock clock;
  for (const char* const jump : {kForward, kBack, kForward}) {
    Process holder(site, "se-01", 600s);
    REQUIRE(holder.ask("acquire").starts_with("ok "));
    clock.set_off(jump);
    CHECK(holder.ask("commit") == "ok");
    CHECK(holder.ask("release") == "ok");
    check_that_nothing_is_held(site);
  }
}

TEST_CASE("back: who asks is refused, and a lock that is not renewed ends a time to live later") {
  LockSite site;
  const ServerClock clock;
  for (int round = 0; round < 3; ++round) {
    Process holder(site, "se-01", 5s);
    REQUIRE(holder.ask("acquire").starts_with("ok "));
    // A stopped process is not a dead one: time alone decides.
    holder.stop();
    clock.set_off(kBack);
    CHECK(site.locks->try_acquire(LockSite::wanting("se-01"), {}).error().code == Errc::busy);
    const Lease next = site.wait_for("se-01", 5min);
    const IndexHead before = good(site.index->head({}));
    holder.tell("commit");
    holder.signal(SIGCONT);
    CHECK(holder.hear() == "lease_lost");
    CHECK(good(site.index->head({})).position == before.position);
    CHECK(holder.ask("release") == "ok");
    good(site.locks->release(next, {}));
    clock.set_off("+0000000");
    check_that_nothing_is_held(site);
  }
}
