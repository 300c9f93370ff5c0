// SPDX-License-Identifier: Apache-2.0
// Operations of different classes that meet: who waits, who gives way, who is left out.
#include <thread>

#include "conformance/reconcile_suite.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

/// Until the holder is told that a higher class wants its place.
void work_until_asked(Store& store, Lease& lease) {
  while (good(store.locks->renew(lease, "working", {})) != RenewOutcome::asked_to_yield)
    std::this_thread::yield();
}

bool is_held(Store& store, LockClass lock_class) {
  for (const LockHolder& holder : good(store.locks->list("se-01", {})))
    if (holder.lock_class == lock_class) return true;
  return false;
}

/// Lets the clock of a store run while operations that are held back by it are looked at.
std::jthread passing_time(Store& store) {
  return std::jthread([&store](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      store.clock.advance(std::chrono::milliseconds(20));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
}

}  // namespace

TEST_SUITE("operations and their locks") {
  TEST_CASE("a manual rebuild waits for lower operations to reach their safe points") {
    for (const LockClass lower :
         {LockClass::lazy_rebuild, LockClass::manual_check, LockClass::background_cleanup})
      for_each_store([lower](Store& store) {
        store.fill(0, 5);
        Lease lease = store.hold(lower);
        std::jthread rebuild([&] { CHECK(store.full().statistics.entries_created == 5); });
        work_until_asked(store, lease);
        // Its place is kept: nobody lower slips in between.
        good(store.locks->release(lease, {}));
        rebuild.join();
        CHECK(store.head().count == 5);
        CHECK(store.lines.has("Lock acquired successfully"));
      });
  }

  TEST_CASE("a lazy refresh runs beside a check and a cleanup, and not beside a manual rebuild") {
    for_each_store([](Store& store) {
      store.fill(0, 5);
      store.full();
      for (const LockClass other : {LockClass::manual_check, LockClass::background_cleanup}) {
        const Lease lease = store.hold(other);
        CHECK(good(store.service->refresh(sample_id(1), {})) == RefreshOutcome::refreshed);
        good(store.locks->release(lease, {}));
      }
      const Lease lease = store.hold(LockClass::manual_rebuild);
      CHECK(store.service->refresh(sample_id(1), {}).error().code == Errc::busy);
      good(store.locks->release(lease, {}));
      CHECK(good(store.service->refresh(sample_id(1), {})) == RefreshOutcome::refreshed);
    });
  }

  TEST_CASE("a check waits for a cleanup that gives way") {
    for_each_store([](Store& store) {
      store.fill(0, 5);
      store.full();
      Lease lease = store.hold(LockClass::background_cleanup);
      std::jthread check([&] { CHECK(store.check().is_consistent()); });
      work_until_asked(store, lease);
      LockRequest again;
      again.element = "se-01";
      again.lock_class = LockClass::background_cleanup;
      again.waiter = "cleanup";
      good(store.locks->release(lease, {}));
      check.join();
      good(store.locks->try_acquire(again, {}));
    });
  }

  TEST_CASE("a cleanup gives its place to a rebuild in the middle and goes on afterwards") {
    Store store("mem:", "mem:");
    store.fill(0, 6000);
    store.full();
    store.clock.advance(std::chrono::hours(25));
    store.service->budget().set_files_per_second(1000);
    const std::jthread time = passing_time(store);
    std::jthread cleanup([&] {
      const auto report = store.service->cleanup_expired({});
      REQUIRE_MESSAGE(report.has_value(), to_string(report.error()));
      CHECK(report->verdict.complete());
    });
    while (!is_held(store, LockClass::background_cleanup)) std::this_thread::yield();
    while (!store.lines.has("Lock given up to a higher operation") &&
           is_held(store, LockClass::background_cleanup))
      (void)store.service->rebuild_incremental({}, {});
    CHECK(store.lines.has("Lock given up to a higher operation"));
    store.service->budget().set_files_per_second(0);
    cleanup.join();
    CHECK(store.check().count(FindingKind::expired) == 0);
    CHECK(store.head().count == 6000);
    CHECK(store.metrics.of("artcache_lock_yields_total background_cleanup") >= 1);
    CHECK(store.metrics.of("artcache_lock_wait_seconds background_cleanup granted") >= 2);
    CHECK(store.metrics.of("artcache_lock_losses_total background_cleanup") == 0);
  }

  TEST_CASE("an operation whose lock is broken changes nothing more, and is counted as a loss") {
    Store store("mem:", "mem:");
    store.fill(0, 3000);
    store.service->budget().set_files_per_second(200);
    const std::jthread time = passing_time(store);
    std::jthread rebuild([&] {
      const auto report = store.service->rebuild_full({}, {});
      CHECK((!report && report.error().code == Errc::lease_lost));
    });
    while (!is_held(store, LockClass::manual_rebuild)) std::this_thread::yield();
    CHECK(good(store.locks->force_break("se-01", LockClass::manual_rebuild, {})));
    rebuild.join();
    CHECK(store.head().count < 3000);
    CHECK(store.metrics.of("artcache_lock_losses_total manual_rebuild") == 1);
    CHECK(store.metrics.of("artcache_lock_wait_seconds manual_rebuild granted") == 1);
    store.service->budget().set_files_per_second(0);
    CHECK_FALSE(store.check().is_consistent());
    CHECK(store.metrics.of("artcache_lock_wait_seconds manual_check granted") == 1);
  }

  TEST_CASE("jumps of the wall clock by an hour change nothing for who holds and who waits") {
    for_each_store([](Store& store) {
      store.fill(0, 5);
      Lease lease = store.hold(LockClass::manual_rebuild);
      for (const auto jump : {std::chrono::hours(1), std::chrono::hours(-2)}) {
        store.clock.jump(jump);
        CHECK(store.service->cleanup_expired({}).error().code == Errc::busy);
        CHECK(good(store.locks->renew(lease, "", {})) == RenewOutcome::renewed);
        const LockHolder holder = good(store.locks->list("se-01", {})).at(0);
        CHECK(holder.age == std::chrono::milliseconds(0));
        CHECK(holder.expires_in == default_ttl(LockClass::manual_rebuild));
      }
      good(store.locks->release(lease, {}));
      CHECK(store.full().statistics.entries_created == 5);
    });
  }
}
