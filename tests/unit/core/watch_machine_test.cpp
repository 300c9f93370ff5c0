// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/watch_machine.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

namespace artcache::reconcile {
namespace {

using namespace std::chrono_literals;
using Kind = WatchMachine::Action::Kind;
using Paths = std::vector<std::string>;
using Time = WatchMachine::Time;

/// A machine and its time.
struct Machine {
  explicit Machine(WatchTuning tuning = {}) : machine(tuning, now) {}

  WatchMachine::Action next() { return machine.next(now); }
  /// Past the quiet that follows a notice.
  WatchMachine::Action next_after(std::chrono::nanoseconds time) {
    now += time;
    return next();
  }
  void notice(Paths sidecars, Paths folders = {}, bool overflowed = false) {
    machine.noticed({std::move(sidecars), std::move(folders), overflowed}, now);
  }
  void settle(const WatchMachine::Action& action, Settled outcome) {
    machine.settled(action, std::vector(action.paths.size(), outcome), now);
  }
  void caught_up() {
    REQUIRE(next().kind == Kind::rescan);
    machine.rescanned("", true, now);
    REQUIRE(next().kind == Kind::wait);
  }

  Time now = Time(1h);
  WatchMachine machine;
};

TEST_SUITE("watch machine") {
  TEST_CASE("it begins with the whole storage, and then waits for notices") {
    Machine m;
    const auto first = m.next();
    CHECK(first.kind == Kind::rescan);
    CHECK(first.paths == Paths{""});
    m.machine.rescanned("", true, m.now);
    const auto then = m.next();
    CHECK(then.kind == Kind::wait);
    CHECK(then.until == Time::max());
    CHECK(m.machine.pending() == 0);
  }

  TEST_CASE("what is noticed within a short while is looked at together") {
    Machine m;
    m.caught_up();
    m.notice({"a/2"});
    CHECK(m.next().until == m.now + 20ms);
    m.now += 10ms;
    m.notice({"a/1", "a/2"});
    CHECK(m.next().kind == Kind::wait);
    const auto action = m.next_after(10ms);
    CHECK(action.kind == Kind::settle);
    CHECK(action.paths == Paths{"a/1", "a/2"});
    CHECK(m.next().kind == Kind::wait);
  }

  TEST_CASE("folders come first, with all that lies below them") {
    Machine m;
    m.caught_up();
    m.notice({"a/b/1", "c/1"}, {"a", "a/d"});
    const auto folders = m.next_after(20ms);
    CHECK(folders.kind == Kind::rescan);
    CHECK(folders.paths == Paths{"a"});
    m.machine.rescanned("a", true, m.now);
    CHECK(m.next().paths == Paths{"c/1"});
  }

  TEST_CASE(
      "a sidecar is looked at once more when its stamp has settled, until it stays the same") {
    Machine m;
    m.caught_up();
    m.notice({"a/1"});
    m.settle(m.next_after(20ms), Settled::inserted);
    CHECK(m.next().until == m.now + 2500ms);
    CHECK(m.machine.pending() == 0);
    const auto again = m.next_after(2500ms);
    CHECK(again.kind == Kind::settle_again);
    CHECK(again.paths == Paths{"a/1"});
    SUBCASE("it said something new") {
      m.settle(again, Settled::updated);
      CHECK(m.next_after(2500ms).kind == Kind::settle_again);
    }
    SUBCASE("it says the same") {
      m.settle(again, Settled::unchanged);
      CHECK(m.next().until == Time::max());
    }
  }

  TEST_CASE("one that is gone is not looked at again, and one that somebody moved is at once") {
    Machine m;
    m.caught_up();
    m.notice({"a/1", "a/2"});
    const auto action = m.next_after(20ms);
    m.machine.settled(action, std::vector{Settled::removed, Settled::moved}, m.now);
    const auto again = m.next_after(20ms);
    CHECK(again.kind == Kind::settle);
    CHECK(again.paths == Paths{"a/2"});
    m.settle(again, Settled::forgotten);
    CHECK(m.next().until == Time::max());
  }

  TEST_CASE("lost notices make the index suspect until their folders were compared") {
    Machine m;
    m.caught_up();
    m.notice({}, {"a", "b"}, true);
    CHECK(m.next().kind == Kind::distrust);
    CHECK(m.machine.suspect());
    CHECK(m.machine.reason().find("'a' and 1 more") != std::string::npos);
    m.machine.distrusted(WatchMachine::Whose::ours);
    CHECK(m.next_after(20ms).paths == Paths{"a", "b"});
    m.machine.rescanned("a", true, m.now);
    CHECK(m.next().kind == Kind::wait);
    CHECK(m.machine.suspect());
    m.machine.rescanned("b", true, m.now);
    CHECK(m.next().kind == Kind::trust);
    m.machine.trusted();
    CHECK(m.next().until == Time::max());
    CHECK_FALSE(m.machine.suspect());
  }

  TEST_CASE("a suspicion of somebody else is not taken back") {
    Machine m;
    m.caught_up();
    m.notice({}, {"a"}, true);
    REQUIRE(m.next().kind == Kind::distrust);
    m.machine.distrusted(WatchMachine::Whose::another);
    REQUIRE(m.next_after(20ms).kind == Kind::rescan);
    m.machine.rescanned("a", true, m.now);
    CHECK(m.next().kind == Kind::wait);
    CHECK_FALSE(m.machine.suspect());
  }

  TEST_CASE("notices that are lost again during the comparison keep the suspicion") {
    Machine m;
    m.caught_up();
    m.notice({}, {"a"}, true);
    REQUIRE(m.next().kind == Kind::distrust);
    m.machine.distrusted(WatchMachine::Whose::ours);
    REQUIRE(m.next_after(20ms).kind == Kind::rescan);
    m.notice({}, {"a"}, true);
    m.machine.rescanned("a", true, m.now);
    CHECK(m.next_after(20ms).kind == Kind::rescan);
    m.machine.rescanned("a", true, m.now);
    CHECK(m.next().kind == Kind::trust);
  }

  TEST_CASE("a lost folder that was not seen whole stays suspect and is compared again") {
    Machine m;
    m.caught_up();
    m.notice({}, {"a"}, true);
    REQUIRE(m.next().kind == Kind::distrust);
    m.machine.distrusted(WatchMachine::Whose::ours);
    REQUIRE(m.next_after(20ms).kind == Kind::rescan);
    m.machine.rescanned("a", false, m.now);
    CHECK(m.next().until == m.now + 60s);
    CHECK(m.machine.suspect());
    CHECK(m.next_after(60s).kind == Kind::wait);
    CHECK(m.next_after(20ms).paths == Paths{"a"});
    m.machine.rescanned("a", true, m.now);
    CHECK(m.next().kind == Kind::trust);
  }

  TEST_CASE("a folder that was told of, not lost, is not compared again for what it hides") {
    Machine m;
    m.caught_up();
    m.notice({}, {"a"});
    REQUIRE(m.next_after(20ms).kind == Kind::rescan);
    m.machine.rescanned("a", false, m.now);
    CHECK(m.next().until == Time::max());
  }

  TEST_CASE("what failed comes again after longer and longer pauses, and nothing is lost") {
    Machine m;
    m.caught_up();
    m.notice({"a/1"}, {"b"});
    const auto rescan = m.next_after(20ms);
    REQUIRE(rescan.kind == Kind::rescan);
    std::chrono::nanoseconds pause = 200ms;
    m.machine.failed(rescan, m.now);
    for (int i = 0; i < 10; ++i) {
      m.notice({"c/" + std::to_string(i)});
      CHECK(m.next().until == m.now + pause);
      const auto action = m.next_after(pause);
      if (i == 0) {
        // The rest of what was in hand goes on.
        CHECK(action.kind == Kind::settle);
        CHECK(action.paths == Paths{"a/1"});
      }
      REQUIRE(action.kind != Kind::wait);
      m.machine.failed(action, m.now);
      pause = std::min<std::chrono::nanoseconds>(pause * 2, 30s);
    }
    std::set<std::string> done;
    for (auto action = m.next_after(30s); action.kind != Kind::wait; action = m.next_after(20ms)) {
      done.insert(action.paths.begin(), action.paths.end());
      if (action.kind == Kind::settle) m.settle(action, Settled::removed);
      if (action.kind == Kind::rescan) m.machine.rescanned(action.paths.front(), true, m.now);
    }
    CHECK(done.size() == 12);
    CHECK(done.contains("a/1"));
    CHECK(done.contains("b"));
    m.notice({"a/1"});
    m.machine.failed(m.next_after(20ms), m.now);
    CHECK(m.next().until == m.now + 200ms);
  }

  TEST_CASE("a second look that failed comes again, and one path is looked at once") {
    Machine m;
    m.caught_up();
    for (int i = 0; i < 2; ++i) {
      m.notice({"a/1"});
      m.settle(m.next_after(20ms), Settled::updated);
    }
    const auto again = m.next_after(3s);
    REQUIRE(again.kind == Kind::settle_again);
    CHECK(again.paths == Paths{"a/1"});
    m.machine.failed(again, m.now);
    CHECK(m.next_after(200ms).paths == Paths{"a/1"});
  }

  TEST_CASE("the whole storage is compared every so often, counted from the end of the last time") {
    Machine m({.rescan_every = 10s});
    REQUIRE(m.next().kind == Kind::rescan);
    m.now += 5s;
    m.machine.rescanned("", true, m.now);
    CHECK(m.next().until == m.now + 10s);
    CHECK(m.next_after(10s).kind == Kind::wait);
    CHECK(m.next_after(20ms).paths == Paths{""});
  }

  TEST_CASE("memory is bounded: too many sidecars become folders, and second looks are left out") {
    Machine m({.paths_most = 3});
    m.caught_up();
    m.notice({"a/1", "a/2", "b/1", "b/2"});
    CHECK(m.machine.pending() == 2);
    CHECK(m.next_after(20ms).paths == Paths{"a", "b"});
    for (const char* folder : {"a", "b"}) m.machine.rescanned(folder, true, m.now);
    for (const char* path : {"c/1", "c/2", "c/3", "c/4", "c/5"}) {
      m.notice({path});
      m.settle(m.next_after(20ms), Settled::inserted);
    }
    CHECK(m.next_after(3s).paths.size() == 3);
  }
}

}  // namespace
}  // namespace artcache::reconcile
