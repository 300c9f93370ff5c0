// SPDX-License-Identifier: Apache-2.0
// Operations of different classes that meet: who waits, who gives way, who is left out.
#include <algorithm>
#include <atomic>
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

/// Lets the clock of a store run while operations that are held back by it are looked at. Not so
/// fast that a lease of minutes ends while the machine has other work.
std::jthread passing_time(Store& store) {
  return std::jthread([&store](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      store.clock.advance(std::chrono::milliseconds(4));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
}

/// Knows the longest time between a grant, its renewals and its end.
class WatchedLocks final : public LockManager {
 public:
  WatchedLocks(LockManager& inner, const Clock& clock) : inner_(inner), clock_(clock) {}

  Result<Lease> try_acquire(const LockRequest& request, const Call& call) override {
    last_ = clock_.steady();
    return inner_.try_acquire(request, call);
  }
  Result<RenewOutcome> renew(Lease& lease, std::string_view progress, const Call& call) override {
    note();
    return inner_.renew(lease, progress, call);
  }
  Result<void> release(const Lease& lease, const Call& call) override {
    note();
    return inner_.release(lease, call);
  }
  Result<std::vector<LockHolder>> list(std::string_view element, const Call& call) override {
    return inner_.list(element, call);
  }
  Result<bool> force_break(std::string_view element, LockClass lock_class,
                           const Call& call) override {
    return inner_.force_break(element, lock_class, call);
  }
  [[nodiscard]] std::chrono::nanoseconds longest() const { return longest_; }

 private:
  void note() {
    const Clock::SteadyTime now = clock_.steady();
    longest_ = std::max<std::chrono::nanoseconds>(longest_, now - last_);
    last_ = now;
  }

  LockManager& inner_;
  const Clock& clock_;
  Clock::SteadyTime last_{};
  std::chrono::nanoseconds longest_{0};
};

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

  TEST_CASE("a lease is kept while a budget makes its operation wait for longer than it lasts") {
    struct Case {
      LockClass lock_class;
      std::function<void(CacheRebuildService&)> run;
    };
    const Case cases[] = {
        {LockClass::background_cleanup,
         [](CacheRebuildService& service) {
           CHECK(good(service.cleanup_expired({})).statistics.entries_refreshed == 5);
         }},
        {LockClass::lazy_rebuild,
         [](CacheRebuildService& service) {
           CHECK(good(service.refresh(sample_id(1), {})) == RefreshOutcome::refreshed);
         }},
        {LockClass::manual_check,
         [](CacheRebuildService& service) {
           const auto report = good(service.check_consistency({}, {}));
           CHECK(report.count(FindingKind::missing_data) == 1);
         }},
        {LockClass::manual_check, [](CacheRebuildService& service) {
           const auto report = good(service.check_consistency({.data = DataCheck::checksums}, {}));
           CHECK(report.data_files_verified == 5);
         }}};
    for (std::size_t n = 0; n < std::size(cases); ++n) {
      ImpatientClock clock;
      Store store("mem:", "mem:", &clock);
      store.fill(0, 5);
      clock.advance(std::chrono::seconds(10));  // what stands unchanged need not be opened
      store.full();
      WatchedLocks locks(*store.locks, clock);
      CacheRebuildService service(*store.storage, *store.index, locks, {.element = "se-01"},
                                  store.deps);
      if (n == 0) clock.advance(std::chrono::hours(25));
      if (n == 2) store.remove(sample_entry(2).data_path());
      const auto ttl = default_ttl(cases[n].lock_class);
      service.budget().set_files_per_second(1);
      good(service.budget().take(2 * static_cast<std::uint64_t>(ttl.count()) / 1000, 0, {}));
      clock.step(std::chrono::milliseconds(250));
      const Clock::SteadyTime begun = clock.steady();
      cases[n].run(service);
      CHECK(clock.steady() - begun > 2 * ttl);
      CHECK(locks.longest() < ttl / 3);
    }
  }

  TEST_CASE("a cleanup gives its place away while a budget makes it wait") {
    Store store("mem:", "mem:");
    store.fill(0, 5);
    store.full();
    store.clock.advance(std::chrono::hours(25));
    store.service->budget().set_files_per_second(1);
    good(store.service->budget().take(1'000'000'000, 0, {}));
    const std::jthread time = passing_time(store);
    std::stop_source stop;
    std::jthread cleanup([&] {
      CHECK(store.service->cleanup_expired(stoppable(stop)).error().code == Errc::cancelled);
    });
    while (!is_held(store, LockClass::background_cleanup)) std::this_thread::yield();
    LockRequest rebuild{.element = "se-01",
                        .lock_class = LockClass::manual_rebuild,
                        .operation = "by a test",
                        .ttl = std::nullopt,
                        .waiter = "rebuild"};
    auto lease = store.locks->try_acquire(rebuild, {});
    while (!lease) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      lease = store.locks->try_acquire(rebuild, {});
    }
    CHECK(store.lines.has("Lock given up to a higher operation"));
    stop.request_stop();
  }

  TEST_CASE(
      "[G4] an operation whose lock is broken changes nothing more, and is counted as a loss") {
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
