// SPDX-License-Identifier: Apache-2.0
// What every lock manager promises, whatever index keeps the locks.
#include <set>

#include "conformance/lock_suite.hpp"
#include "support/counted_metrics.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

TEST_SUITE("locks") {
  TEST_CASE("requests and renewals are counted by class and outcome") {
    for_each_site([](Site& site) {
      CountedMetrics metrics;
      site.deps.metrics = &metrics;
      const auto locks = site.manager();
      Lease lease = site.acquire(*locks, LockClass::manual_check);
      CHECK(site.refusal(*locks, wanting(LockClass::manual_check)) == Errc::busy);
      CHECK(site.refusal(*locks, wanting(LockClass::manual_check, "a b")) ==
            Errc::invalid_argument);
      good(locks->renew(lease, "", {}));
      CHECK(good(site.a->force_break("se-01", LockClass::manual_check, {})));
      CHECK(locks->renew(lease, "", {}).error().code == Errc::lease_lost);
      CHECK(metrics.of("artcache_lock_requests_total manual_check granted") == 1);
      CHECK(metrics.of("artcache_lock_requests_total manual_check busy") == 1);
      CHECK(metrics.of("artcache_lock_requests_total manual_check error") == 1);
      CHECK(metrics.of("artcache_lock_renewals_total manual_check renewed") == 1);
      CHECK(metrics.of("artcache_lock_renewals_total manual_check lost") == 1);
    });
  }

  TEST_CASE("a grant carries element, class, a random owner, a fence and two moments") {
    for_each_site([](Site& site) {
      LockRequest request = wanting(LockClass::manual_rebuild);
      request.ttl = 60s;
      const Lease lease = good(site.a->try_acquire(request, {}));
      CHECK(lease.element == "se-01");
      CHECK(lease.lock_class == LockClass::manual_rebuild);
      CHECK(lease.owner.size() >= 16);
      CHECK(lease.fence > 0);
      CHECK(lease.fence == site.head().fence);
      CHECK(lease.renew_before == site.clock.steady() + 20s);
      CHECK(lease.valid_until < site.clock.steady() + 60s);
      CHECK(lease.valid_until > site.clock.steady() + 50s);
      good(site.a->release(lease, {}));
      CHECK(site.acquire(*site.a, LockClass::manual_rebuild).owner != lease.owner);
    });
  }

  TEST_CASE("a refusal is busy and names class, holder and host") {
    for_each_site([](Site& site) {
      (void)site.acquire(*site.a, LockClass::manual_rebuild);
      site.clock.advance(7s);
      const auto refused = site.b->try_acquire(wanting(LockClass::background_cleanup), {});
      REQUIRE_FALSE(refused.has_value());
      CHECK(refused.error().code == Errc::busy);
      const std::string host = good(site.a->list("se-01", {})).at(0).host;
      CHECK_FALSE(host.empty());
      for (const std::string& part :
           {std::string("se-01"), std::string("manual_rebuild"),
            std::string("test of manual_rebuild"), host, std::string("7 s")})
        CHECK_MESSAGE(has(refused.error().message, part), refused.error().message);
    });
  }

  TEST_CASE("each pair of classes excludes each other or not, as the table says") {
    for_each_site([](Site& site) {
      for (const LockClass held : kClasses)
        for (const LockClass wanted : kClasses) {
          INFO(to_string(held) << " is held, " << to_string(wanted) << " is wanted");
          const bool lazy = held == LockClass::lazy_rebuild || wanted == LockClass::lazy_rebuild;
          const bool rebuild =
              held == LockClass::manual_rebuild || wanted == LockClass::manual_rebuild;
          const Lease first = site.acquire(*site.a, held);
          const auto second = site.b->try_acquire(wanting(wanted), {});
          CHECK(second.has_value() == (lazy && !rebuild));
          Lease renewing = first;
          const auto told = good(site.a->renew(renewing, "", {}));
          CHECK((told == RenewOutcome::asked_to_yield) == (!second && wanted < held));
          if (second) good(site.b->release(*second, {}));
          good(site.a->release(first, {}));
        }
    });
  }

  TEST_CASE("lazy refreshes run many at once, and other elements do not mind") {
    for_each_site([](Site& site) {
      std::set<std::uint64_t> fences;
      for (int i = 0; i < 20; ++i)
        fences.insert(site.acquire(i % 2 == 0 ? *site.a : *site.b, LockClass::lazy_rebuild).fence);
      CHECK(fences.size() == 20);
      CHECK(site.refusal(*site.a, wanting(LockClass::manual_rebuild)) == Errc::busy);
      good(site.a->try_acquire(wanting(LockClass::manual_rebuild, "se-02"), {}));
    });
  }

  TEST_CASE("a higher class asks a lower one to yield and gets the lock after its release") {
    for_each_site([](Site& site) {
      Lease cleanup = site.acquire(*site.a, LockClass::background_cleanup);
      CHECK(good(site.a->renew(cleanup, "1 of 9", {})) == RenewOutcome::renewed);
      LockRequest rebuild = wanting(LockClass::manual_rebuild);
      rebuild.waiter = "admin-7";
      CHECK(site.refusal(*site.b, rebuild) == Errc::busy);
      CHECK(good(site.a->list("se-01", {})).at(0).asked_to_yield);
      CHECK(good(site.a->renew(cleanup, "2 of 9", {})) == RenewOutcome::asked_to_yield);
      CHECK(site.commit(cleanup.fence) == kDone);
      good(site.a->release(cleanup, {}));

      // Its place is kept from lower ones until it comes again.
      const auto behind = site.a->try_acquire(wanting(LockClass::background_cleanup), {});
      REQUIRE_FALSE(behind.has_value());
      CHECK(has(behind.error().message, "comes first"));
      const Lease lease = good(site.b->try_acquire(rebuild, {}));
      good(site.b->release(lease, {}));
      good(site.a->try_acquire(wanting(LockClass::background_cleanup), {}));
    });
  }

  TEST_CASE("a waiter that does not come again loses its place after 5 s") {
    for_each_site([](Site& site) {
      const Lease held = site.acquire(*site.a, LockClass::manual_check);
      LockRequest rebuild = wanting(LockClass::manual_rebuild);
      rebuild.waiter = "admin-7";
      CHECK(site.refusal(*site.b, rebuild) == Errc::busy);
      good(site.a->release(held, {}));
      CHECK(site.refusal(*site.a, wanting(LockClass::manual_check)) == Errc::busy);
      site.clock.advance(5s);
      good(site.a->try_acquire(wanting(LockClass::manual_check), {}));
    });
  }

  TEST_CASE("who has waited for a minute comes before a higher class that came later") {
    for_each_site([](Site& site) {
      LockRequest cleanup = wanting(LockClass::background_cleanup);
      cleanup.waiter = "cleanup";
      LockRequest rebuild = wanting(LockClass::manual_rebuild);
      rebuild.waiter = "admin-7";
      Lease held = site.acquire(*site.a, LockClass::manual_check);
      for (int i = 0; i < 16; ++i) {
        CHECK(site.refusal(*site.b, cleanup) == Errc::busy);
        site.clock.advance(4s);
      }
      CHECK(site.refusal(*site.a, rebuild) == Errc::busy);
      CHECK(good(site.a->renew(held, "", {})) == RenewOutcome::asked_to_yield);
      good(site.a->release(held, {}));
      CHECK(site.refusal(*site.a, rebuild) == Errc::busy);
      const Lease lease = good(site.b->try_acquire(cleanup, {}));
      CHECK(site.refusal(*site.a, rebuild) == Errc::busy);
      good(site.b->release(lease, {}));
      good(site.a->try_acquire(rebuild, {}));
    });
  }

  TEST_CASE("jumps of the wall clock by an hour change nothing for holders and those who wait") {
    for_each_site([](Site& site) {
      LockRequest rebuild = wanting(LockClass::manual_rebuild);
      rebuild.waiter = "admin-7";
      Lease held = site.acquire(*site.a, LockClass::manual_check);
      for (const auto jump : {std::chrono::hours(1), std::chrono::hours(-2)}) {
        site.clock.jump(jump);
        CHECK(site.refusal(*site.b, wanting(LockClass::manual_check)) == Errc::busy);
        CHECK(site.refusal(*site.b, rebuild) == Errc::busy);
        CHECK(good(site.a->renew(held, "", {})) == RenewOutcome::asked_to_yield);
        const LockHolder holder = good(site.b->list("se-01", {})).at(0);
        CHECK(holder.age == std::chrono::milliseconds(0));
        CHECK(holder.expires_in == default_ttl(LockClass::manual_check));
        CHECK(site.commit(held.fence) == kDone);
      }
      good(site.a->release(held, {}));
      CHECK(site.refusal(*site.a, wanting(LockClass::background_cleanup)) == Errc::busy);
      good(site.b->try_acquire(rebuild, {}));
    });
  }

  TEST_CASE("a renewal prolongs by the TTL and tells people how far the work is") {
    for_each_site([](Site& site) {
      LockRequest request = wanting(LockClass::manual_check);
      request.ttl = 30s;
      Lease lease = good(site.a->try_acquire(request, {}));
      for (int i = 0; i < 5; ++i) {
        site.clock.advance(20s);
        CHECK(good(site.a->renew(lease, "part " + std::to_string(i), {})) == RenewOutcome::renewed);
        CHECK(lease.renew_before == site.clock.steady() + 10s);
      }
      const LockHolder holder = good(site.b->list("se-01", {})).at(0);
      CHECK(holder.progress == "part 4");
      CHECK(holder.expires_in == 30s);
      CHECK(holder.age == 100s);
      CHECK(site.refusal(*site.b, wanting(LockClass::manual_check)) == Errc::busy);
    });
  }

  TEST_CASE("a lease whose time is over is lost when another gets the lock, and not before") {
    for_each_site([](Site& site) {
      LockRequest request = wanting(LockClass::manual_rebuild);
      request.ttl = 10s;
      Lease late = good(site.a->try_acquire(request, {}));
      site.clock.advance(11s);
      CHECK(site.commit(late.fence) == kDone);
      const Lease next = good(site.b->try_acquire(request, {}));
      CHECK(next.fence > late.fence);

      const IndexHead before = site.head();
      CHECK(site.commit(late.fence) == Errc::lease_lost);
      CHECK(site.head().count == before.count);
      CHECK(site.head().position == before.position);
      const auto renewed = site.a->renew(late, "", {});
      REQUIRE_FALSE(renewed.has_value());
      CHECK(renewed.error().code == Errc::lease_lost);
      good(site.a->release(late, {}));
      good(site.a->release(late, {}));
      CHECK(site.commit(next.fence) == kDone);
      CHECK(good(site.a->list("se-01", {})).size() == 1);
    });
  }

  TEST_CASE("a lease whose time is over is listed as such, and lost when its class is granted") {
    for_each_site([](Site& site) {
      LockRequest request = wanting(LockClass::lazy_rebuild);
      request.ttl = 10s;
      Lease late = good(site.a->try_acquire(request, {}));
      const Lease cleanup = site.acquire(*site.a, LockClass::background_cleanup);
      site.clock.advance(11s);
      const auto listed = good(site.b->list("se-01", {}));
      REQUIRE(listed.size() == 2);
      CHECK(listed[0].fence == late.fence);
      CHECK(listed[0].expires_in <= 0s);
      CHECK(listed[1].expires_in > 0s);
      good(site.b->release(cleanup, {}));
      const Lease other = site.acquire(*site.b, LockClass::background_cleanup);
      CHECK(site.commit(late.fence) == kDone);
      const Lease next = good(site.b->try_acquire(request, {}));
      CHECK(site.commit(late.fence) == Errc::lease_lost);
      CHECK(site.a->renew(late, "", {}).error().code == Errc::lease_lost);
      CHECK(site.commit(other.fence) == kDone);
      CHECK(site.commit(next.fence) == kDone);
      CHECK(good(site.b->list("se-01", {})).size() == 2);
    });
  }

  TEST_CASE("a lease whose time is over is prolonged if nobody took the lock") {
    for_each_site([](Site& site) {
      LockRequest request = wanting(LockClass::manual_rebuild);
      request.ttl = 10s;
      Lease lease = good(site.a->try_acquire(request, {}));
      site.clock.advance(1h);
      CHECK(good(site.a->renew(lease, "", {})) == RenewOutcome::renewed);
      CHECK(site.refusal(*site.b, request) == Errc::busy);
    });
  }

  TEST_CASE("[G4] a broken lock: the holder's next commit is lease_lost and changes no row") {
    for_each_site([](Site& site) {
      Lease lease = site.acquire(*site.a, LockClass::manual_rebuild);
      CHECK(site.commit(lease.fence) == kDone);
      CHECK_FALSE(good(site.b->force_break("se-01", LockClass::manual_check, {})));
      CHECK_FALSE(good(site.b->force_break("se-02", LockClass::manual_rebuild, {})));
      CHECK(good(site.b->force_break("se-01", LockClass::manual_rebuild, {})));
      CHECK_FALSE(good(site.b->force_break("se-01", LockClass::manual_rebuild, {})));
      const IndexHead before = site.head();
      CHECK(site.commit(lease.fence) == Errc::lease_lost);
      CHECK(site.head().count == before.count);
      CHECK(site.head().position == before.position);
      CHECK(good(site.a->list("", {})).empty());
      CHECK(site.a->renew(lease, "", {}).error().code == Errc::lease_lost);
      good(site.a->release(lease, {}));
      CHECK(site.acquire(*site.a, LockClass::manual_rebuild).fence > lease.fence);
    });
  }

  TEST_CASE("a fence that was never granted, or only refused, lets nothing through") {
    for_each_site([](Site& site) {
      const Lease lease = site.acquire(*site.a, LockClass::manual_rebuild);
      CHECK(site.refusal(*site.b, wanting(LockClass::manual_check)) == Errc::busy);
      CHECK(site.head().fence == lease.fence);
      CHECK(site.commit(lease.fence + 1) == Errc::lease_lost);
      good(site.a->release(lease, {}));
      CHECK(site.commit(lease.fence) == Errc::lease_lost);
      CHECK(site.head().count == 0);
    });
  }

  TEST_CASE("a release takes only its own lock: owner and fence must both be right") {
    for_each_site([](Site& site) {
      const Lease lease = site.acquire(*site.a, LockClass::manual_rebuild);
      Lease forged = lease;
      forged.owner = "somebody";
      good(site.b->release(forged, {}));
      CHECK(site.b->renew(forged, "", {}).error().code == Errc::lease_lost);
      CHECK(site.commit(lease.fence) == kDone);
      CHECK(site.refusal(*site.b, wanting(LockClass::manual_check)) == Errc::busy);
    });
  }

  TEST_CASE("a manager that is destroyed frees what it granted") {
    for_each_site([](Site& site) {
      auto third = site.manager();
      const Lease lease = site.acquire(*third, LockClass::manual_rebuild);
      const Lease lazy = good(third->try_acquire(wanting(LockClass::lazy_rebuild, "se-02"), {}));
      third.reset();
      CHECK(good(site.b->list("", {})).empty());
      CHECK_FALSE(good(site.b->force_break("se-02", LockClass::lazy_rebuild, {})));
      CHECK(site.commit(lazy.fence) == Errc::lease_lost);
      (void)site.acquire(*site.b, LockClass::manual_check);
      CHECK(site.commit(lease.fence) == Errc::lease_lost);
    });
  }

  TEST_CASE("list tells all there is to know, highest class first") {
    for_each_site([](Site& site) {
      const Lease lazy = site.acquire(*site.a, LockClass::lazy_rebuild);
      site.clock.advance(2s);
      const Lease check = site.acquire(*site.b, LockClass::manual_check);
      const Lease other =
          good(site.a->try_acquire(wanting(LockClass::manual_rebuild, "se-00"), {}));
      site.clock.advance(1s);
      const auto all = good(site.b->list("", {}));
      REQUIRE(all.size() == 3);
      CHECK(all[0].element == "se-00");
      CHECK(all[1].fence == check.fence);
      CHECK(all[2].fence == lazy.fence);
      const auto one = good(site.a->list("se-01", {}));
      REQUIRE(one.size() == 2);
      const LockHolder& holder = one[0];
      CHECK(holder.element == "se-01");
      CHECK(holder.lock_class == LockClass::manual_check);
      CHECK(holder.owner == check.owner);
      CHECK(holder.operation == "test of manual_check");
      CHECK(holder.progress.empty());
      CHECK(holder.acquired_at == site.clock.now() - 1s);
      CHECK(holder.age == 1s);
      CHECK(holder.expires_in == 599s);
      CHECK_FALSE(holder.asked_to_yield);
      CHECK(one[1].age == 3s);
      CHECK(good(site.a->list("se-03", {})).empty());
    });
  }

  TEST_CASE("what is no element, waiter or TTL is refused by name and leaves nothing behind") {
    for_each_site([](Site& site) {
      for (const std::string& element :
           {std::string(), std::string("a b"), std::string("../x"), std::string("a\0b", 3),
            std::string("элемент"), std::string(71, 'x')}) {
        INFO("element: " << element);
        CHECK(site.refusal(*site.a, wanting(LockClass::manual_check, element)) ==
              Errc::invalid_argument);
        const auto broken = site.a->force_break(element, LockClass::manual_check, {});
        CHECK(broken.error().code == Errc::invalid_argument);
        if (!element.empty())
          CHECK(site.a->list(element, {}).error().code == Errc::invalid_argument);
      }
      for (const auto ttl :
           {std::chrono::milliseconds(99), std::chrono::milliseconds(86'400'001)}) {
        LockRequest request = wanting(LockClass::manual_check);
        request.ttl = ttl;
        CHECK(site.refusal(*site.a, request) == Errc::invalid_argument);
      }
      LockRequest request = wanting(LockClass::manual_check);
      request.waiter = "a waiter";
      CHECK(site.refusal(*site.a, request) == Errc::invalid_argument);
      CHECK(good(site.a->list("", {})).empty());
      CHECK(site.head().fence == 0);
    });
  }

  TEST_CASE("a call that was cancelled or has no time left is refused, and nothing is held") {
    for_each_site([](Site& site) {
      std::stop_source stop;
      stop.request_stop();
      Call call;
      call.stop = stop.get_token();
      const auto got = site.a->try_acquire(wanting(LockClass::manual_check), call);
      REQUIRE_FALSE(got.has_value());
      CHECK(got.error().code == Errc::cancelled);
      CHECK(good(site.b->list("", {})).empty());

      // A cancelled operation that gives back its lock with the same call still frees it.
      const Lease lease = site.acquire(*site.a, LockClass::manual_check);
      CHECK(site.a->release(lease, call).error().code == Errc::cancelled);
      (void)site.acquire(*site.b, LockClass::manual_check);
    });
  }
}
