// SPDX-License-Identifier: Apache-2.0
#include "core/locks/lease_keeper.hpp"

#include <doctest/doctest.h>

#include "support/fake_clock.hpp"

namespace artcache::locks {
namespace {

using artcache::test::FakeClock;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Step = LeaseKeeper::Step;

const Error kUnavailable{Errc::unavailable, "lock: the server is away"};

struct Holder {
  explicit Holder(milliseconds time_to_live = seconds(30)) : ttl(time_to_live) {
    lease.element = "se-01";
    set_times(lease, clock.steady(), ttl);
    keeper.emplace(lease, clock.steady());
  }
  [[nodiscard]] Step next() { return keeper->next(clock.steady()); }
  /// A renewal that the backend answers after `takes`.
  void renew(RenewOutcome outcome = RenewOutcome::renewed, milliseconds takes = milliseconds(0)) {
    set_times(lease, clock.steady(), ttl);
    clock.advance(takes);
    keeper->renewed(lease, outcome, clock.steady());
  }
  void fail(const Error& error = kUnavailable) { keeper->failed(error, clock.steady()); }

  milliseconds ttl;
  FakeClock clock;
  Lease lease;
  std::optional<LeaseKeeper> keeper;
};

}  // namespace

TEST_SUITE("lease keeper") {
  TEST_CASE("a lease ends for its holder before it ends in the record") {
    for (const auto ttl : {milliseconds(100), milliseconds(30'000), milliseconds(1'800'000)}) {
      Lease lease;
      const FakeClock clock;
      set_times(lease, clock.steady(), ttl);
      CHECK(lease.valid_until == clock.steady() + ttl - ttl / 20);
      CHECK(lease.renew_before <= clock.steady() + ttl / 3 + milliseconds(1));
      CHECK(lease.renew_before > clock.steady() + ttl / 3 - milliseconds(1));
    }
  }

  TEST_CASE("a short lease is renewed at a third of it, a long one every second") {
    Holder brief(milliseconds(300));
    CHECK(brief.next() == Step::work);
    brief.clock.advance(milliseconds(99));
    CHECK(brief.next() == Step::work);
    brief.clock.advance(milliseconds(1));
    CHECK(brief.next() == Step::renew);

    Holder lasting(std::chrono::minutes(30));
    lasting.clock.advance(milliseconds(999));
    CHECK(lasting.next() == Step::work);
    lasting.clock.advance(milliseconds(1));
    CHECK(lasting.next() == Step::renew);
  }

  TEST_CASE("renewed in time it goes on for ever") {
    Holder holder(milliseconds(300));
    for (int i = 0; i < 1000; ++i) {
      holder.clock.advance(milliseconds(100));
      REQUIRE(holder.next() == Step::renew);
      holder.renew();
      REQUIRE(holder.next() == Step::work);
    }
  }

  TEST_CASE("a safe point that comes late still renews, until the lease is over") {
    Holder holder;
    holder.clock.advance(seconds(28));
    CHECK(holder.next() == Step::renew);
    holder.renew();
    holder.clock.advance(milliseconds(28'499));
    CHECK(holder.next() == Step::renew);
    holder.clock.advance(milliseconds(1));
    CHECK(holder.next() == Step::lose);
    CHECK(holder.keeper->lost("rebuild").code == Errc::lease_lost);
    CHECK(holder.keeper->lost("rebuild").message ==
          "rebuild: the lock manual_rebuild of 'se-01' could not be renewed in time");
  }

  TEST_CASE("a holder that was stopped past its time never works again, whatever it is told") {
    Holder holder;
    holder.clock.advance(std::chrono::hours(1));
    CHECK(holder.next() == Step::lose);
    holder.renew();
    CHECK(holder.next() == Step::lose);
    holder.renew(RenewOutcome::asked_to_yield);
    CHECK(holder.next() == Step::lose);
    CHECK(holder.keeper->wake_at() == Clock::SteadyTime::max());
  }

  TEST_CASE("a holder stopped within a renewal counts from when it asked") {
    Holder holder;
    holder.clock.advance(seconds(1));
    REQUIRE(holder.next() == Step::renew);
    holder.renew(RenewOutcome::renewed, seconds(29));
    CHECK(holder.next() == Step::lose);

    Holder lucky;
    lucky.clock.advance(seconds(27));
    lucky.renew(RenewOutcome::renewed, seconds(20));  // the old lease has ended meanwhile
    CHECK(lucky.next() == Step::renew);               // a third of the new one is over
  }

  TEST_CASE("while the backend is away it is asked less and less, and once more near the end") {
    Holder holder;
    int tries = 0;
    auto last = holder.clock.steady();
    while (holder.next() != Step::lose) {
      const auto wake = holder.keeper->wake_at();
      REQUIRE(wake > holder.clock.steady());
      holder.clock.advance(wake - holder.clock.steady());
      if (holder.next() != Step::renew) continue;
      ++tries;
      last = holder.clock.steady();
      holder.fail();
      CHECK(holder.next() != Step::renew);
    }
    CHECK(tries > 8);
    CHECK(tries < 60);
    CHECK(holder.keeper->lease().valid_until - last < milliseconds(100));
    CHECK(holder.clock.steady() - holder.keeper->lease().valid_until < milliseconds(20));
  }

  TEST_CASE("an outage that ends in time does no harm, and the next one begins with short pauses") {
    for (int outage = 1; outage < 6; ++outage) {
      Holder holder;
      for (int round = 0; round < 3; ++round) {
        holder.clock.advance(seconds(1));
        for (int i = 0; i < outage; ++i) {
          REQUIRE(holder.next() == Step::renew);
          holder.fail();
          const auto pause = holder.keeper->wake_at() - holder.clock.steady();
          CHECK(pause == LeaseKeeper::kRetryFirst * (1 << i));
          holder.clock.advance(pause);
        }
        REQUIRE(holder.next() == Step::renew);
        holder.renew();
        REQUIRE(holder.next() == Step::work);
      }
    }
  }

  TEST_CASE("any error but lease_lost is tried again") {
    for (const ErrcInfo& row : errc_table()) {
      Holder holder;
      holder.fail(Error{row.code, "?"});
      holder.clock.advance(seconds(1));
      CHECK(holder.next() == (row.code == Errc::lease_lost ? Step::lose : Step::renew));
    }
  }

  TEST_CASE("who is told that the lock is gone stops at once and for good") {
    Holder holder;
    holder.fail(Error{Errc::lease_lost, "lock: gone"});
    CHECK(holder.next() == Step::lose);
    holder.renew();
    CHECK(holder.next() == Step::lose);
    CHECK(holder.keeper->lost("check").message ==
          "check: the lock manual_rebuild of 'se-01' was taken away");
    holder.clock.advance(std::chrono::hours(1));
    CHECK(holder.next() == Step::lose);
    CHECK(holder.keeper->lost("check").message ==
          "check: the lock manual_rebuild of 'se-01' was taken away");
  }

  TEST_CASE("who is asked to yield does so at the next safe point, and may still lose the lease") {
    Holder holder;
    holder.clock.advance(seconds(1));
    holder.renew(RenewOutcome::asked_to_yield);
    CHECK(holder.next() == Step::yield);
    holder.renew();  // a second answer without the question does not take it back
    CHECK(holder.next() == Step::yield);
    CHECK(holder.keeper->wake_at() == holder.keeper->lease().valid_until);
    holder.clock.advance(seconds(29));
    CHECK(holder.next() == Step::lose);
  }

  TEST_CASE("nothing happens before the moment it says") {
    Holder holder(milliseconds(300));
    for (int i = 0; i < 50; ++i) {
      const auto wake = holder.keeper->wake_at();
      holder.clock.advance(wake - holder.clock.steady() - std::chrono::nanoseconds(1));
      REQUIRE(holder.next() == Step::work);
      holder.clock.advance(std::chrono::nanoseconds(1));
      REQUIRE(holder.next() == Step::renew);
      if (i % 3 == 0)
        holder.fail();
      else
        holder.renew();
    }
  }

  TEST_CASE("a jump of the wall clock by an hour changes nothing") {
    Holder holder;
    for (const auto jump : {std::chrono::hours(1), std::chrono::hours(-2)}) {
      holder.clock.jump(jump);
      CHECK(holder.next() == Step::work);
    }
  }
}

}  // namespace artcache::locks
