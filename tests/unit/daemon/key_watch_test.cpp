// SPDX-License-Identifier: Apache-2.0
#include "auth/key_watch.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <semaphore>
#include <thread>
#include <utility>

namespace artcache::auth {
namespace {

using namespace std::chrono_literals;

/// What is done by reading alone.
template <class Read>
KeyWatch::Read reading(Read read) {
  return [read = std::move(read)]() mutable -> KeyWatch::Take {
    read();
    return [] {};
  };
}

void nothing() {}

constexpr KeyWatch::Time kNever{std::chrono::hours(1)}, kLong{std::chrono::minutes(5)};

TEST_SUITE_BEGIN("key watch");

TEST_CASE("who asks has what was there when he asked, read on another thread") {
  std::atomic<int> there = 0;
  int taken = 0;
  std::atomic<std::thread::id> reader;
  KeyWatch watch(
      [&]() -> KeyWatch::Take {
        reader = std::this_thread::get_id();
        return [&, seen = there.load()] { taken = seen; };
      },
      nothing, kNever);
  watch.start();
  for (int i = 1; i < 200; ++i) {
    there = i;
    CHECK(watch.read_now(kLong));
    CHECK(taken == i);
  }
  CHECK(reader.load() != std::this_thread::get_id());
}

TEST_CASE("they are read every so often without anybody who asks") {
  std::counting_semaphore<1000> read{0};
  KeyWatch watch(reading([&] { read.release(); }), nothing, 1ms);
  watch.start();
  for (int i = 0; i < 3; ++i) read.acquire();
}

TEST_CASE("nobody waits for a read that hangs but the first, and that not for long") {
  std::binary_semaphore begun{0}, go_on{0};
  std::atomic<int> reads = 0;
  KeyWatch watch(reading([&] {
                   if (reads++ > 0) return;
                   begun.release();
                   go_on.acquire();
                 }),
                 nothing, kNever);
  watch.start();
  CHECK_FALSE(watch.read_now(20ms));
  begun.acquire();
  // At once, or this ends with its time limit.
  for (int i = 0; i < 10; ++i) CHECK_FALSE(watch.read_now(kLong));
  CHECK(reads == 1);
  go_on.release();
  // What was asked for meanwhile is read, and then they wait for it again.
  while (reads < 2) std::this_thread::yield();
  while (!watch.read_now(kLong)) continue;
}

TEST_CASE("a log that hangs holds up nobody who asks, and is told all before the end") {
  std::binary_semaphore go_on{0};
  std::atomic<int> taken = 0, told = 0;
  {
    KeyWatch watch([&]() -> KeyWatch::Take { return [&] { ++taken; }; },
                   [&] {
                     go_on.acquire();
                     ++told;
                   },
                   kNever);
    watch.start();
    CHECK(watch.read_now(kLong));
    CHECK_FALSE(watch.read_now(20ms));
    go_on.release();
    while (told == 0) std::this_thread::yield();
    go_on.release();  // for that which may be under way
  }
  CHECK(told == taken);
}

TEST_CASE("what is never begun reads nothing, and one that was begun ends") {
  std::atomic<int> reads = 0;
  {
    const KeyWatch watch(reading([&] { ++reads; }), nothing, kNever);
  }
  CHECK(reads == 0);
  KeyWatch watch(reading([&] { ++reads; }), nothing, kNever);
  watch.start();
}

TEST_CASE("one ends beside a read that hangs, and what that has read is taken by nobody") {
  struct Place {
    std::binary_semaphore begun{0}, go_on{0}, left{0};
    std::atomic<bool> taken = false, told = false;
  };
  const auto place = std::make_shared<Place>();
  // Tells when the thread has no more of it.
  std::shared_ptr<void> leaving(nullptr, [place](void*) { place->left.release(); });
  {
    KeyWatch watch(
        [place, leaving = std::move(leaving)]() -> KeyWatch::Take {
          place->begun.release();
          place->go_on.acquire();
          return [place] { place->taken = true; };
        },
        [place] { place->told = true; }, kNever);
    watch.start();
    CHECK_FALSE(watch.read_now(20ms));
    place->begun.acquire();
  }
  place->go_on.release();
  place->left.acquire();
  CHECK_FALSE(place->taken);
  CHECK_FALSE(place->told);
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::auth
