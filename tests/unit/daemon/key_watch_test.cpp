// SPDX-License-Identifier: Apache-2.0
#include "auth/key_watch.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <semaphore>
#include <thread>

namespace artcache::auth {
namespace {

using namespace std::chrono_literals;

constexpr KeyWatch::Time kNever{std::chrono::hours(1)}, kLong{std::chrono::minutes(5)};

TEST_SUITE_BEGIN("key watch");

TEST_CASE("who asks has what was there when he asked, read on another thread") {
  std::atomic<int> there = 0, seen = 0;
  std::atomic<std::thread::id> reader;
  KeyWatch watch(
      [&] {
        seen = there.load();
        reader = std::this_thread::get_id();
      },
      kNever);
  watch.start();
  for (int i = 1; i < 200; ++i) {
    there = i;
    watch.read_now(kLong);
    CHECK(seen == i);
  }
  CHECK(reader.load() != std::this_thread::get_id());
}

TEST_CASE("they are read every so often without anybody who asks") {
  std::counting_semaphore<1000> read{0};
  KeyWatch watch([&] { read.release(); }, 1ms);
  watch.start();
  for (int i = 0; i < 3; ++i) read.acquire();
}

TEST_CASE("nobody waits for a read that hangs but the first, and that not for long") {
  std::binary_semaphore begun{0}, go_on{0};
  std::atomic<int> reads = 0;
  KeyWatch watch(
      [&] {
        if (reads++ > 0) return;
        begun.release();
        go_on.acquire();
      },
      kNever);
  watch.start();
  watch.read_now(20ms);
  begun.acquire();
  for (int i = 0; i < 10; ++i) watch.read_now(kLong);  // at once, or this ends with its time limit
  CHECK(reads == 1);
  go_on.release();
  // What was asked for meanwhile is read, and then they wait for it again.
  while (reads < 2) std::this_thread::yield();
  const int before = reads;
  while (reads == before) watch.read_now(kLong);
}

TEST_CASE("what is never begun reads nothing, and one that was begun ends") {
  std::atomic<int> reads = 0;
  {
    const KeyWatch watch([&] { ++reads; }, kNever);
  }
  CHECK(reads == 0);
  KeyWatch watch([&] { ++reads; }, kNever);
  watch.start();
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::auth
