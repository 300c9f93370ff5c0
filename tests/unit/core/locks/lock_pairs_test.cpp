// SPDX-License-Identifier: Apache-2.0
// The classes, and every pair of them against every state of the one who holds.
#include "unit/core/locks/lock_fixture.hpp"

namespace artcache::locks::test {
namespace {

enum class Meeting : std::uint8_t { busy, yield, beside };

/// The table in lock_table.hpp: a row is held, a column wanted.
constexpr Meeting kTable[4][4] = {
    {Meeting::busy, Meeting::busy, Meeting::busy, Meeting::busy},
    {Meeting::yield, Meeting::busy, Meeting::beside, Meeting::busy},
    {Meeting::yield, Meeting::beside, Meeting::beside, Meeting::beside},
    {Meeting::yield, Meeting::yield, Meeting::beside, Meeting::busy},
};

template <class F>
void for_each_pair(F&& f) {
  for (std::size_t held = 0; held < 4; ++held)
    for (std::size_t wanted = 0; wanted < 4; ++wanted) {
      CAPTURE(to_string(kClasses[held]));
      CAPTURE(to_string(kClasses[wanted]));
      f(kClasses[held], kClasses[wanted], kTable[held][wanted]);
    }
}

}  // namespace

TEST_SUITE("lock classes") {
  TEST_CASE("a class has the name and the TTL that the wire gives it") {
    const std::pair<const char*, seconds> expected[] = {{"manual_rebuild", seconds(1800)},
                                                        {"manual_check", seconds(600)},
                                                        {"lazy_rebuild", seconds(30)},
                                                        {"background_cleanup", seconds(300)}};
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(static_cast<std::size_t>(kClasses[i]) == i + 1);
      CHECK(to_string(kClasses[i]) == expected[i].first);
      CHECK(default_ttl(kClasses[i]) == expected[i].second);
      CHECK(parse_lock_class(expected[i].first) == kClasses[i]);
    }
  }

  TEST_CASE("no other text is a class") {
    for (const char* text : {"", "manual", "MANUAL_REBUILD", "manual_rebuild ", "locked"})
      CHECK(!parse_lock_class(text));
  }
}

TEST_SUITE("lock pairs") {
  TEST_CASE("two classes exclude each other whoever came first") {
    for_each_pair([](LockClass held, LockClass wanted, Meeting meeting) {
      CHECK(conflicts(held, wanted) == (meeting != Meeting::beside));
      CHECK(conflicts(held, wanted) == conflicts(wanted, held));
    });
  }

  TEST_CASE("a running holder refuses, is asked to yield, or does not mind") {
    for_each_pair([](LockClass held, LockClass wanted, Meeting meeting) {
      Element element;
      element.liveness["a"] = Liveness::alive;
      const auto first = element.acquire(held, "a");
      REQUIRE(first != 0);
      const auto second = element.acquire(wanted, "b");
      CHECK((second != 0) == (meeting == Meeting::beside));
      REQUIRE(element.registered(first) != nullptr);
      CHECK(element.registered(first)->asked_to_yield == (meeting == Meeting::yield));
      CHECK(element.last.evict.empty());
      CHECK(element.last.blockers.size() == (second == 0 ? 1 : 0));
      const auto renewal = decide_renew(element.locks, first, "a", "", element.now);
      REQUIRE(renewal);
      CHECK((renewal->outcome == RenewOutcome::asked_to_yield) == (meeting == Meeting::yield));
    });
  }

  TEST_CASE(
      "a holder whose time is over is put out by one of its class or that it excludes, no other") {
    for_each_pair([](LockClass held, LockClass wanted, Meeting meeting) {
      for (const Liveness liveness : {Liveness::alive, Liveness::unknown}) {
        Element element;
        element.liveness["a"] = liveness;
        const auto first = element.acquire(held, "a");
        element.now += seconds(30) - Time(1);
        const auto early = element.acquire(wanted, "early");
        CHECK((early != 0) == (meeting == Meeting::beside));
        element.release(early, "early");
        element.now += Time(1);
        CHECK(element.acquire(wanted, "b") != 0);
        const bool stays = meeting == Meeting::beside && held != wanted;
        CHECK((element.registered(first) != nullptr) == stays);
        CHECK(element.renew(first, "a") == stays);
      }
    });
  }

  TEST_CASE("a dead holder is in nobody's way, long before its time is over") {
    for_each_pair([](LockClass held, LockClass wanted, Meeting) {
      Element element;
      const auto first = element.acquire(held, "a");
      element.liveness["a"] = Liveness::dead;
      CHECK(element.acquire(wanted, "b") > first);
      CHECK(element.registered(first) == nullptr);
    });
  }

  TEST_CASE("a holder that released or was broken is in nobody's way and may release again") {
    for_each_pair([](LockClass held, LockClass wanted, Meeting) {
      for (const char* way : {"release", "break"}) {
        Element element;
        const auto first = element.acquire(held, "a");
        if (way == std::string("release")) {
          CHECK(element.release(first, "a"));
        } else {
          CHECK(decide_break(element.locks, held) == std::vector{first});
          evict(element.locks, first);
        }
        const auto second = element.acquire(wanted, "b");
        CHECK(second > first);
        CHECK(!element.renew(first, "a"));
        CHECK(!element.release(first, "a"));
        CHECK(element.registered(second) != nullptr);
      }
    });
  }

  TEST_CASE("one who waits keeps the lock from lower classes that it excludes") {
    for_each_pair([](LockClass waits, LockClass wanted, Meeting meeting) {
      if (waits == LockClass::lazy_rebuild) return;  // has something to wait for only with rebuilds
      Element element;
      const auto holder = element.acquire(waits, "holder");
      REQUIRE(element.acquire(waits, "w", "waiter") == 0);
      element.release(holder, "holder");
      const bool kept = meeting != Meeting::beside && waits < wanted;
      CHECK((element.acquire(wanted, "b") == 0) == kept);
      CHECK(element.last.behind.has_value() == kept);
    });
  }

  TEST_CASE("one who has waited a minute comes before every class that it excludes") {
    for_each_pair([](LockClass waits, LockClass wanted, Meeting meeting) {
      if (waits == LockClass::lazy_rebuild && wanted != LockClass::manual_rebuild) return;
      Element element;
      const auto holder = element.acquire(LockClass::manual_rebuild, "holder", "", seconds(600));
      for (int second = 0; second < 61; second += 1, element.now += seconds(1))
        REQUIRE(element.acquire(waits, "w", "waiter") == 0);
      element.release(holder, "holder");
      CHECK((element.acquire(wanted, "b", "other") != 0) == (meeting == Meeting::beside));
      if (meeting != Meeting::beside) CHECK(element.acquire(waits, "w", "waiter") != 0);
    });
  }
}

}  // namespace artcache::locks::test
