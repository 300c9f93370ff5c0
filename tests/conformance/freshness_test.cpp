// SPDX-License-Identifier: Apache-2.0
// Cleanup and refresh: entries become fresh, or go, and nobody misses one that is there.
#include <atomic>
#include <thread>

#include "conformance/reconcile_suite.hpp"

using namespace artcache;
using namespace artcache::test;

TEST_SUITE("freshness") {
  TEST_CASE("after a full rebuild nothing that was read is expired, and the log has not moved") {
    for_each_store([](Store& store) {
      store.fill(0, 25);
      store.full();
      const Position before = store.head().position;
      store.clock.advance(std::chrono::hours(30));
      CHECK(store.check().count(FindingKind::expired) == 25);
      CHECK(store.check().is_consistent());
      store.full();
      CHECK(store.check().count(FindingKind::expired) == 0);
      CHECK(store.head().position == before);
      CHECK(store.find(3)->freshness.refreshed_at > FakeClock::kStart + std::chrono::hours(29));
    });
  }

  TEST_CASE("cleanup replaces expired entries in place and removes those without a sidecar") {
    for_each_store([](Store& store) {
      store.fill(0, 100);
      store.full();
      store.clock.advance(std::chrono::hours(25));
      for (std::uint64_t n = 0; n < 10; ++n) store.remove(Store::sidecar_of(sample_entry(n)));
      store.put_sidecar(Store::changed(50, "changed"));
      const Position before = store.head().position;
      const RebuildReport report = good(store.service->cleanup_expired({}));
      CHECK(report.statistics.entries_deleted == 100);
      CHECK(report.statistics.entries_refreshed == 90);
      const IndexHead after = store.head();
      CHECK(after.count == 90);
      CHECK(after.position.seq == before.seq + 11);  // ten removals, one change
      CHECK(*store.find(50)->entry.description == "changed");
      const ConsistencyReport check = store.check();
      CHECK(check.count(FindingKind::expired) == 0);
      CHECK(check.is_consistent());
    });
  }

  TEST_CASE(
      "[G8] while a thousand expired entries are cleaned up no reader misses one that is there") {
    for_each_store([](Store& store) {
      store.fill(0, 1000);
      store.full();
      store.clock.advance(std::chrono::hours(25));
      for (std::uint64_t n = 0; n < 10; ++n) store.remove(Store::sidecar_of(sample_entry(n)));
      std::atomic<bool> over{false};
      std::atomic<int> rounds{0}, misses{0};
      std::thread reader([&] {
        while (!over || rounds == 0) {
          for (std::uint64_t n = 10; n < 1000; ++n) {
            const auto found = store.index->find(sample_id(n), {});
            if (!found || !*found) ++misses;
          }
          ++rounds;
        }
      });
      const auto report = store.service->cleanup_expired({});
      over = true;
      reader.join();
      REQUIRE(report);
      CHECK(misses == 0);
      CHECK(report->statistics.entries_deleted == 1000);
      CHECK(report->statistics.entries_refreshed == 990);
      CHECK(store.head().count == 990);
    });
  }

  TEST_CASE("[G8] cleanup keeps and names an expired entry whose sidecar cannot be read") {
    for_each_store([](Store& store) {
      store.fill(0, 5);
      store.full();
      store.clock.advance(std::chrono::hours(25));
      good(store.storage->put({.path = Store::sidecar_of(sample_entry(2))}, "broken", {}));
      const RebuildReport report = good(store.service->cleanup_expired({}));
      CHECK(report.statistics.entries_refreshed == 4);
      CHECK(report.errors.total == 1);
      CHECK(store.find(2)->entry == sample_entry(2));
    });
  }

  TEST_CASE("more expired entries than are held at once are looked at once each, readable or not") {
    for_each_store([](Store& store) {
      RebuildSettings small;
      small.found_most = 8;
      store.make_service(*store.storage, small);
      store.fill(0, 30);
      store.full();
      store.clock.advance(std::chrono::hours(25));
      for (std::uint64_t n = 0; n < 15; ++n)
        good(store.storage->put({.path = Store::sidecar_of(sample_entry(n))}, "broken", {}));
      const RebuildReport report = good(store.service->cleanup_expired({}));
      CHECK(report.statistics.entries_refreshed == 15);
      CHECK(report.statistics.unreadable == 15);
      CHECK(report.statistics.sidecars_opened == 30);
    });
  }

  TEST_CASE("refresh follows the sidecar of one entry, through the queue as well") {
    for_each_store([](Store& store) {
      store.fill(0, 5);
      store.full();
      store.put_sidecar(Store::changed(1, "changed"));
      store.remove(Store::sidecar_of(sample_entry(2)));
      CHECK(good(store.service->refresh(sample_id(1), {})) == RefreshOutcome::refreshed);
      CHECK(*store.find(1)->entry.description == "changed");
      CHECK(good(store.service->refresh(sample_id(2), {})) == RefreshOutcome::removed);
      CHECK(good(store.service->refresh(sample_id(99), {})) == RefreshOutcome::unknown);

      store.put_sidecar(Store::changed(3, "queued"));
      CHECK(store.service->queue_refresh(sample_id(3)));
      CHECK(store.service->queue_refresh(sample_id(3)));
      CHECK(store.service->status().queued == 1);
      std::stop_source stop;
      std::jthread worker([&] { good(store.service->run(stoppable(stop))); });
      while (store.service->status().refreshed == 0) std::this_thread::yield();
      CHECK(*store.find(3)->entry.description == "queued");

      const Lease lease = store.hold(LockClass::manual_rebuild);
      CHECK(store.service->queue_refresh(sample_id(1)));
      while (store.service->status().skipped_by_lock == 0) std::this_thread::yield();
      CHECK(store.lines.has("lazy rebuild skipped due to lock"));
      CHECK(store.service->refresh(sample_id(1), {}).error().code == Errc::busy);
      good(store.locks->release(lease, {}));
      stop.request_stop();
    });
  }
}
