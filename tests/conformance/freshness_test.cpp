// SPDX-License-Identifier: Apache-2.0
// Cleanup and refresh: entries become fresh, or go, and nobody misses one that is there.
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "conformance/reconcile_suite.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

/// The sidecar of one file is edited so that it tells of another one, which is returned.
FileEntry tell_of_another(Store& store, std::uint64_t n, std::uint64_t other) {
  FileEntry entry = Store::changed(n, "under another id");
  entry.id = sample_id(other);
  store.put_sidecar(entry, Store::sidecar_of(sample_entry(n)));
  return entry;
}

/// All that looks into the sidecar of an entry, and takes entries away.
const std::vector<std::function<void(Store&, std::uint64_t)>> kLooks{
    [](Store& store, std::uint64_t n) {
      CHECK(good(store.service->refresh(sample_id(n), {})) == RefreshOutcome::removed);
    },
    [](Store& store, std::uint64_t) {
      store.clock.advance(std::chrono::hours(25));
      good(store.service->cleanup_expired({}));
    },
    [](Store& store, std::uint64_t) { store.full(); },
    [](Store& store, std::uint64_t) { store.incremental(Prune::yes); },
    [](Store& store, std::uint64_t) {
      store.incremental();
      store.full();
    },
    [](Store& store, std::uint64_t n) {
      store.incremental();
      CHECK(good(store.service->refresh(sample_id(n), {})) == RefreshOutcome::removed);
    },
};

}  // namespace

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

  TEST_CASE("an entry whose sidecar has come to tell of another file goes, whoever looks") {
    for (std::size_t way = 0; way < kLooks.size(); ++way) {
      CAPTURE(way);
      for_each_store([way](Store& store) {
        store.fill(0, 5);
        store.full();
        const FileEntry other = tell_of_another(store, 2, 50);
        const ConsistencyReport seen = store.check();
        CHECK(seen.count(FindingKind::orphan_cache) == 1);
        CHECK(seen.count(FindingKind::orphan_attr) == 1);
        kLooks[way](store, 2);
        CHECK(!store.find(2));
        CHECK(store.find(50)->entry == other);
        CHECK(store.check().is_consistent());
        CHECK(store.head().position.digest == store.fresh_digest());
      });
    }
  }

  TEST_CASE("where another sidecar of its id stands the entry is what that one says") {
    const std::vector<std::function<void(Store&)>> looks{
        [](Store& store) {
          CHECK(good(store.service->refresh(sample_id(2), {})) == RefreshOutcome::refreshed);
        },
        [](Store& store) { store.full(); }, [](Store& store) { store.incremental(); }};
    for (std::size_t way = 0; way < looks.size(); ++way) {
      CAPTURE(way);
      for_each_store([&looks, way](Store& store) {
        store.fill(0, 5);
        const FileEntry twin = Store::changed(2, "older", -5);
        store.put_sidecar(twin, "elsewhere/twin.attr.json");
        store.full();
        CHECK(store.find(2)->entry == sample_entry(2));
        tell_of_another(store, 2, 50);
        CHECK(store.check().count(FindingKind::stale) == 1);
        looks[way](store);
        CHECK(store.find(2)->entry == twin);
        CHECK(store.find(50));
        CHECK(store.check().is_consistent());
        store.remove(Store::sidecar_of(sample_entry(2)));
        CHECK(good(store.service->refresh(sample_id(50), {})) == RefreshOutcome::removed);
      });
    }
  }

  TEST_CASE("a sidecar that tells of another file is not written over by a repair from the index") {
    for_each_store([](Store& store) {
      store.fill(0, 5);
      store.full();
      const FileEntry other = tell_of_another(store, 2, 50);
      const RepairReport report = good(store.service->repair({.from = RepairFrom::index}, {}));
      CHECK(report.sidecars_written == 0);
      REQUIRE(report.left.size() == 1);
      CHECK(report.left.front().id == sample_id(2));
      CHECK(report.left.front().detail == "the sidecar of the entry tells of another file");
      CHECK(store.find(50)->entry == other);
      CHECK(good(store.service->repair({}, {})).left.empty());
      CHECK(!store.find(2));
    });
  }
}
