// SPDX-License-Identifier: Apache-2.0
// Faults at every step of a holder's life, and the order of those who wait.
#include "unit/core/locks/lock_fixture.hpp"

namespace artcache::locks::test {
namespace {

constexpr auto kRebuild = LockClass::manual_rebuild;
constexpr auto kCheck = LockClass::manual_check;
constexpr auto kLazy = LockClass::lazy_rebuild;
constexpr auto kCleanup = LockClass::background_cleanup;

/// Tries every second for so long; all tries must be busy.
void wait_for(Element& element, LockClass lock_class, const std::string& name, int tries) {
  for (int i = 0; i < tries; ++i, element.now += seconds(1))
    REQUIRE(element.acquire(lock_class, name, name) == 0);
}

std::string busy_text(const Element& element, LockClass lock_class) {
  LockRequest request;
  request.element = "se-01";
  request.lock_class = lock_class;
  const Error error = busy_error(request, element.last, element.now);
  CHECK(error.code == Errc::busy);
  return error.message;
}

}  // namespace

TEST_SUITE("lock table") {
  TEST_CASE("a grant carries who, what and for how long, and its fence is the caller's to mint") {
    Element element;
    AcquireRequest request;
    request.wanted.lock_class = kCheck;
    request.wanted.owner = "a";
    request.wanted.fence = 7;
    request.wanted.asked_to_yield = true;
    request.wanted.ttl = seconds(10);
    const auto decision = decide_acquire(element.locks, request, element.now,
                                         [](const LockRecord&) { return Liveness::unknown; });
    REQUIRE(decision.grant);
    CHECK(decision.grant->fence == 0);
    CHECK(!decision.grant->asked_to_yield);
    CHECK(decision.grant->acquired == element.now);
    CHECK(decision.grant->renewed == element.now);
    CHECK(decision.grant->expires == element.now + seconds(10));
    CHECK((decision.evict.empty() && decision.changed.empty() && decision.forget.empty()));
    CHECK(!decision.wait);
  }

  TEST_CASE("a renewal counts its TTL from now and keeps the fence") {
    Element element;
    const auto fence = element.acquire(kRebuild, "a");
    element.now += seconds(29);
    REQUIRE(element.renew(fence, "a"));
    CHECK(element.registered(fence)->expires == element.now + seconds(30));
    CHECK(element.registered(fence)->progress == "half");
    element.now += seconds(29);
    CHECK(element.acquire(kRebuild, "b") == 0);
  }

  TEST_CASE("a late holder whom nobody wanted out renews and goes on") {
    Element element;
    const auto fence = element.acquire(kRebuild, "a");
    element.now += std::chrono::hours(3);
    CHECK(element.renew(fence, "a"));
    CHECK(element.acquire(kCheck, "b") == 0);
  }

  TEST_CASE("neither a foreign owner nor a foreign fence renews or releases") {
    Element element;
    const auto fence = element.acquire(kRebuild, "a");
    CHECK(!element.renew(fence, "b"));
    CHECK(!element.renew(fence + 1, "a"));
    CHECK(!element.release(fence, "b"));
    CHECK(!element.release(fence - 1, "a"));
    CHECK(element.registered(fence) != nullptr);
  }

  TEST_CASE("who was put out cannot take away the lock of the one who came after") {
    Element element;
    const auto first = element.acquire(kRebuild, "a");
    element.now += seconds(31);
    const auto second = element.acquire(kRebuild, "b");
    REQUIRE(second > first);
    CHECK(!element.release(first, "a"));
    CHECK(!element.renew(first, "a"));
    CHECK(element.registered(second) != nullptr);
  }

  TEST_CASE("an owner whose grant was never heard of gets another fence, and the first is gone") {
    for (const LockClass lock_class : kClasses) {
      Element element;
      const auto first = element.acquire(lock_class, "a");
      const auto second = element.acquire(lock_class, "a");
      CHECK(second > first);
      CHECK(element.registered(first) == nullptr);
      CHECK(element.locks.holders.size() == 1);
    }
  }

  TEST_CASE("nobody is put out for the sake of one who does not get in") {
    Element element;
    element.acquire(kLazy, "late");
    element.now += seconds(20);
    element.acquire(kLazy, "fresh");
    element.now += seconds(10);
    CHECK(element.acquire(kRebuild, "r") == 0);
    CHECK(element.locks.holders.size() == 2);
    element.now += seconds(20);
    CHECK(element.acquire(kRebuild, "r") != 0);
    CHECK(element.locks.holders.size() == 1);
  }

  TEST_CASE("all lower ones in the way are asked to yield, once") {
    Element element;
    const auto lazy = element.acquire(kLazy, "a");
    const auto cleanup = element.acquire(kCleanup, "b");
    CHECK(element.acquire(kRebuild, "r") == 0);
    CHECK(element.last.changed.size() == 2);
    CHECK(element.registered(lazy)->asked_to_yield);
    CHECK(element.registered(cleanup)->asked_to_yield);
    CHECK(element.acquire(kRebuild, "r") == 0);
    CHECK(element.last.changed.empty());
  }

  TEST_CASE("a break takes every holder of the class and of no other") {
    Element element;
    const auto a = element.acquire(kLazy, "a"), b = element.acquire(kLazy, "b");
    element.acquire(kCleanup, "c");
    CHECK(decide_break(element.locks, kLazy) == std::vector{a, b});
    CHECK(decide_break(element.locks, kRebuild).empty());
  }

  TEST_CASE("a sweep takes the dead and those who stopped waiting, never the late") {
    Element element;
    const auto late = element.acquire(kRebuild, "late");
    CHECK(element.acquire(kCheck, "w", "w") == 0);
    element.now += seconds(60);
    element.locks.holders.push_back(*element.registered(late));
    element.locks.holders.back().fence = 999;
    element.locks.holders.back().owner = "dead";
    element.liveness["dead"] = Liveness::dead;
    apply(element.locks, decide_sweep(element.locks, element.now, [&](const LockRecord& record) {
            return element.liveness_of(record);
          }));
    CHECK(element.registered(late) != nullptr);
    CHECK(element.registered(999) == nullptr);
    CHECK(element.locks.waiters.empty());
  }

  TEST_CASE("a backend's clock that is set back holds a lock up for one TTL and no longer") {
    Element element;
    const auto fence = element.acquire(kRebuild, "a");
    element.now -= std::chrono::hours(1);
    CHECK(element.acquire(kRebuild, "b") == 0);
    CHECK(element.registered(fence)->expires == element.now + seconds(30));
    element.now += seconds(30);
    CHECK(element.acquire(kRebuild, "b") != 0);
  }

  TEST_CASE("lazy refreshes are bounded, and the late ones make room") {
    Element element;
    for (std::size_t i = 0; i < kHoldersMost; ++i)
      REQUIRE(element.acquire(kLazy, "a" + std::to_string(i)) != 0);
    CHECK(element.acquire(kLazy, "more") == 0);
    CHECK(busy_text(element, kLazy) == "lock: lazy_rebuild of 'se-01': 256 hold locks already");
    CHECK(element.acquire(kCleanup, "more") == 0);
    element.now += seconds(30);
    CHECK(element.acquire(kLazy, "more") != 0);
    CHECK(element.locks.holders.size() == 1);
  }

  TEST_CASE("busy says which class, what runs where since when, or who comes first") {
    Element element;
    const auto fence = element.acquire(kCheck, "a");
    element.now += seconds(12);
    element.acquire(kCleanup, "b", "b");
    CHECK(busy_text(element, kCleanup) ==
          "lock: background_cleanup of 'se-01': manual_check is held by 'work of a' on node-1 for "
          "12 s");
    element.acquire(kRebuild, "r", "r");
    CHECK(busy_text(element, kRebuild) ==
          "lock: manual_rebuild of 'se-01': manual_check is held by 'work of a' on node-1 for "
          "12 s; it was asked to yield");
    element.release(fence, "a");
    element.now += seconds(2);
    element.acquire(kCleanup, "b", "b");
    CHECK(busy_text(element, kCleanup) ==
          "lock: background_cleanup of 'se-01': another request for manual_rebuild has waited 2 s "
          "and comes first");
  }
}

TEST_SUITE("lock waiters") {
  TEST_CASE("one without a name keeps no place") {
    Element element;
    const auto fence = element.acquire(kCleanup, "a");
    CHECK(element.acquire(kRebuild, "r") == 0);
    CHECK(element.locks.waiters.empty());
    CHECK(element.registered(fence)->asked_to_yield);
  }

  TEST_CASE("a grant ends the waiting") {
    Element element;
    const auto fence = element.acquire(kRebuild, "a");
    wait_for(element, kRebuild, "r", 3);
    CHECK(element.locks.waiters.size() == 1);
    element.release(fence, "a");
    CHECK(element.acquire(kRebuild, "r", "r") != 0);
    CHECK(element.locks.waiters.empty());
  }

  TEST_CASE("who stops trying for five seconds is forgotten and begins anew") {
    Element element;
    const auto fence = element.acquire(kCheck, "a", "", seconds(600));
    wait_for(element, kCheck, "w", 70);
    element.now += kWaiterLife;
    CHECK(element.acquire(kCheck, "w", "w") == 0);
    CHECK(element.locks.waiters.front().since == element.now);
    element.now += kWaiterLife;
    element.release(fence, "a");
    CHECK(element.acquire(kCleanup, "b") != 0);
  }

  TEST_CASE("of two who have waited a minute the older comes first, though its class is lower") {
    Element element;
    const auto fence = element.acquire(kRebuild, "a", "", seconds(600));
    REQUIRE(element.acquire(kCleanup, "old", "old") == 0);
    element.now += seconds(1);
    for (int i = 0; i < 65; ++i, element.now += seconds(1)) {
      REQUIRE(element.acquire(kRebuild, "young", "young") == 0);
      REQUIRE(element.acquire(kCleanup, "old", "old") == 0);
    }
    element.release(fence, "a");
    CHECK(element.acquire(kRebuild, "young", "young") == 0);
    REQUIRE(element.last.behind);
    CHECK(element.last.behind->name == "old");
    CHECK(element.acquire(kCleanup, "old", "old") != 0);
    // The younger one now finds a lower holder in its way.
    CHECK(element.acquire(kRebuild, "young", "young") == 0);
    CHECK(element.last.changed.size() == 1);
  }

  TEST_CASE("the places of one name in two classes are two") {
    Element element;
    element.acquire(kRebuild, "a");
    CHECK(element.acquire(kCheck, "w", "w") == 0);
    CHECK(element.acquire(kCleanup, "w", "w") == 0);
    CHECK(element.locks.waiters.size() == 2);
  }

  TEST_CASE("places are bounded, and one who has a place keeps it") {
    Element element;
    element.acquire(kRebuild, "a");
    for (std::size_t i = 0; i < kWaitersMost + 10; ++i)
      element.acquire(kCheck, "w", "w" + std::to_string(i));
    CHECK(element.locks.waiters.size() == kWaitersMost);
    element.now += seconds(3);
    element.acquire(kCheck, "w", "w0");
    CHECK(element.last.wait);
    element.now += seconds(3);  // all others are forgotten
    element.acquire(kCheck, "w", "new");
    CHECK(element.last.wait);
    CHECK(element.locks.waiters.size() == 2);
  }

  TEST_CASE("one who waits in the future of a clock that was set back counts for nothing") {
    Element element;
    const auto fence = element.acquire(kRebuild, "a");
    wait_for(element, kRebuild, "w", 1);
    element.now -= std::chrono::hours(1);
    element.release(fence, "a");
    CHECK(element.acquire(kCleanup, "b", "b") != 0);
  }
}

}  // namespace artcache::locks::test
