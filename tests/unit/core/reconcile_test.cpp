// SPDX-License-Identifier: Apache-2.0
// The parts of a comparison that know neither storage nor index.
#include <doctest/doctest.h>
#include <artcache/io_budget.hpp>

#include <set>
#include <thread>

#include "core/reconcile/bounded_queue.hpp"
#include "core/reconcile/found_set.hpp"
#include "core/reconcile/name_table.hpp"
#include "support/fake_clock.hpp"
#include "support/sample_entry.hpp"

using namespace artcache;
using namespace artcache::reconcile;
using test::sample_id;

namespace {

ContentHash hash_of(std::uint8_t n) {
  ContentHash hash;
  hash.bytes.fill(n);
  return hash;
}

}  // namespace

TEST_SUITE("found set") {
  TEST_CASE("a row is equal, differs, or is absent") {
    FoundSet found(1000, 1);
    found.begin(0);
    found.add(sample_id(1), hash_of(1), "a");
    found.add(sample_id(2), hash_of(2), "b");
    found.add(sample_id(3), hash_of(3), "c");
    found.add_opaque(sample_id(4), "d");
    found.seal();
    CHECK(found.match(sample_id(1), hash_of(1)) == Match::equal);
    CHECK(found.match(sample_id(2), hash_of(9)) == Match::differs);
    CHECK(found.match(sample_id(4), hash_of(9)) == Match::opaque);
    CHECK(found.match(sample_id(7), hash_of(9)) == Match::absent);
    CHECK_FALSE(found.to_reread(sample_id(1)));
    CHECK(found.to_reread(sample_id(2)));  // says something else
    CHECK(found.to_reread(sample_id(3)));  // no row asked for it
    CHECK_FALSE(found.to_reread(sample_id(4)));
    CHECK(found.reread_count() == 2);
    CHECK(found.has_path(sample_id(1), "a"));
    CHECK_FALSE(found.has_path(sample_id(1), "b"));
  }

  TEST_CASE("of twins it is enough that one says the same") {
    FoundSet found(1000, 1);
    found.begin(0);
    found.add(sample_id(1), hash_of(1), "a");
    found.add(sample_id(1), hash_of(2), "b");
    found.seal();
    CHECK(found.match(sample_id(1), hash_of(2)) == Match::equal);
    CHECK_FALSE(found.to_reread(sample_id(1)));
    CHECK(found.match(sample_id(1), hash_of(3)) == Match::differs);
  }

  TEST_CASE("beyond its limit it holds a part, and the parts together hold everything once") {
    FoundSet found(300, 7);
    const auto add_all = [&](std::uint32_t part) {
      found.begin(part);
      for (std::uint64_t n = 0; n < 5000; ++n)
        found.add(sample_id(n), hash_of(1), std::to_string(n));
      found.seal();
    };
    std::set<std::uint64_t> seen;
    add_all(0);
    const std::uint32_t parts = found.parts();
    CHECK(parts >= 16);
    for (std::uint32_t part = 0; part < parts; ++part) {
      if (part > 0) add_all(part);
      for (std::uint64_t n = 0; n < 5000; ++n) {
        if (!found.holds(sample_id(n))) continue;
        CHECK(found.match(sample_id(n), hash_of(1)) == Match::equal);
        CHECK(seen.insert(n).second);
      }
    }
    CHECK(seen.size() == 5000);
    CHECK(found.parts() == parts);
  }

  TEST_CASE("paths that differ in one byte have different hashes, with every seed others") {
    std::set<std::uint64_t> hashes;
    for (const char* path :
         {"a", "b", "aa", "a/b", "a/b/c/d/e", "a/b/c/d/f", "12345678", "123456789"})
      for (const std::uint64_t seed : {1ULL, 2ULL})
        CHECK(hashes.insert(path_hash(path, seed)).second);
  }
}

TEST_SUITE("name table") {
  TEST_CASE("names without a partner, and pairs of different size, are conspicuous") {
    NameTable names(1000);
    names.begin(0);
    names.add_data(16, 100);
    names.add_sidecar(16, 100);
    names.add_data(32, 100);
    names.add_sidecar(32, 99);
    names.add_data(48, 1);
    names.add_sidecar(64, 1);
    names.add_data(80, 5);
    names.add_sidecar(80, NameTable::kUnknownSize);
    std::vector<std::uint64_t> hashes;
    for (const NameTable::Name& name : names.conspicuous()) hashes.push_back(name.hash);
    CHECK(hashes == std::vector<std::uint64_t>{32, 48, 64});
  }
}

TEST_SUITE("bounded queue") {
  TEST_CASE("what is pushed is taken in order, in as large pieces as are asked for") {
    BoundedQueue<int> queue(100);
    CHECK(queue.push({1, 2, 3}));
    CHECK(queue.push({4, 5}));
    CHECK(queue.pop(2, std::chrono::seconds(0)) == std::vector{1, 2});
    queue.end();
    CHECK_FALSE(queue.ended());
    CHECK(queue.pop(10, std::chrono::seconds(9)) == std::vector{3, 4, 5});
    CHECK(queue.ended());
  }

  TEST_CASE("a full queue holds its pusher up until there is room, or nobody takes any more") {
    BoundedQueue<int> queue(2);
    CHECK(queue.push({1, 2}));
    std::jthread pusher([&] {
      CHECK(queue.push({3}));
      CHECK(queue.push({4, 5}));
    });
    std::vector<int> taken;
    while (taken.size() < 5)
      for (const int n : queue.pop(2, std::chrono::milliseconds(1))) taken.push_back(n);
    CHECK(taken == std::vector{1, 2, 3, 4, 5});
    queue.abandon();
    pusher.join();
    CHECK(queue.ended());
    CHECK_FALSE(queue.push({7}));
  }
}

TEST_SUITE("io budget") {
  TEST_CASE("without a rate nobody waits; with one, later ones pay for earlier ones") {
    test::FakeClock clock;
    IoBudget budget(clock);
    CHECK(budget.take(1'000'000, 1'000'000'000, {}).has_value());
    budget.set_files_per_second(10);
    CHECK(budget.take(20, 0, {}).has_value());  // two seconds' worth, paid for by the next
    Call hurried;
    hurried.deadline = clock.steady() + std::chrono::seconds(0);
    CHECK(budget.take(1, 0, hurried).error().code == Errc::timed_out);
    clock.advance(std::chrono::milliseconds(1900));
    hurried.deadline = clock.steady();
    CHECK(budget.take(1, 0, hurried).error().code == Errc::timed_out);
    clock.advance(std::chrono::milliseconds(200));
    CHECK(budget.take(1, 0, {}).has_value());
  }

  TEST_CASE("a rate that is taken away frees those who wait, and a stop ends their wait") {
    test::FakeClock clock;
    IoBudget budget(clock);
    budget.set_bytes_per_second(1);
    CHECK(budget.take(0, 1000, {}).has_value());
    std::stop_source stop;
    std::jthread stopped([&] {
      Call call;
      call.stop = stop.get_token();
      CHECK(budget.take(0, 1, call).error().code == Errc::cancelled);
    });
    stop.request_stop();
    stopped.join();
    std::jthread freed([&] { CHECK(budget.take(0, 1, {}).has_value()); });
    budget.set_bytes_per_second(0);
  }
}
