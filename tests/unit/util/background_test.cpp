// SPDX-License-Identifier: Apache-2.0
#include "util/background.hpp"

#include <doctest/doctest.h>
#include <sched.h>

#include <thread>

using artcache::util::Background;

TEST_SUITE("background") {
  TEST_CASE("a thread and those that it starts interrupt nobody, until the work is done") {
    REQUIRE(::sched_getscheduler(0) == SCHED_OTHER);
    int started = -1;
    {
      const Background outer;
      const Background inner;  // changes nothing, and ends nothing
      CHECK(::sched_getscheduler(0) == SCHED_BATCH);
      std::thread([&] { started = ::sched_getscheduler(0); }).join();
    }
    CHECK(started == SCHED_BATCH);
    CHECK(::sched_getscheduler(0) == SCHED_OTHER);
  }
}
