// SPDX-License-Identifier: Apache-2.0
#include "util/background.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

using artcache::util::in_background;
using artcache::util::step_back;

namespace {

struct Place {
  int policy = ::sched_getscheduler(0);
  int nice = ::getpriority(PRIO_PROCESS, 0);
  friend bool operator==(const Place&, const Place&) = default;
};

constexpr int kNicest = 19;

}  // namespace

TEST_SUITE("background") {
  TEST_CASE("work and the threads that it starts interrupt nobody and weigh less; nobody else") {
    const Place before;
    REQUIRE(before.policy == SCHED_OTHER);
    Place work, started;
    in_background([&] {
      work = Place();
      std::thread([&] { started = Place(); }).join();
    });
    CHECK(work.policy == SCHED_BATCH);
    CHECK(work.nice == std::min(before.nice + 5, kNicest));
    CHECK(started == work);
    CHECK(Place() == before);
  }

  TEST_CASE("what the work throws comes to who asked for it") {
    CHECK_THROWS_WITH_AS(in_background([] { throw std::runtime_error("told"); }), "told",
                         std::runtime_error);
  }

  TEST_CASE("who steps back weighs less, and goes on as it was otherwise") {
    const Place before;
    Place stepped;
    std::thread([&] {
      step_back();
      stepped = Place();
    }).join();
    CHECK(stepped.nice == std::min(before.nice + 5, kNicest));
    CHECK(stepped.policy == before.policy);
    CHECK(Place() == before);
  }
}
