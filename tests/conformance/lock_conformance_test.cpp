// SPDX-License-Identifier: Apache-2.0
// What every lock manager promises, whatever index keeps the locks.
#include <sqlite3.h>
#include <artcache/lock_manager.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "conformance/index_suite.hpp"
#include "support/fake_clock.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

constexpr std::array kClasses{LockClass::manual_rebuild, LockClass::manual_check,
                              LockClass::lazy_rebuild, LockClass::background_cleanup};

LockRequest wanting(LockClass lock_class, std::string element = "se-01") {
  LockRequest request;
  request.element = std::move(element);
  request.lock_class = lock_class;
  request.operation = "test of " + std::string(to_string(lock_class));
  return request;
}

/// One index and two managers of its locks, which share nothing else where that can be.
struct Site {
  explicit Site(std::string scheme) : name(std::move(scheme)) {
    deps.clock = &clock;
    const std::string address =
        name == "mem" ? "mem:" : "sqlite://" + (folder / "i.db") + "?prefix=storage_elem_01";
    url.emplace(good(Url::parse(address)));
    index = good(Backends::builtin().open_index(*url, deps, {}));
    a = manager();
    b = name == "mem" ? manager() : good(Backends::builtin().open_locks(*url, deps, {}));
  }
  std::unique_ptr<LockManager> manager() { return good(make_lock_manager(*index->locks(), deps)); }

  Lease acquire(LockManager& locks, LockClass lock_class) {
    return good(locks.try_acquire(wanting(lock_class), {}));
  }
  Errc refusal(LockManager& locks, const LockRequest& request) {
    const auto got = locks.try_acquire(request, {});
    REQUIRE_FALSE(got.has_value());
    return got.error().code;
  }
  /// One row more, under a lease. internal stands for success.
  Errc commit(std::uint64_t fence) {
    const std::array changes{put_of(sample_entry(next_entry++))};
    const auto done = index->apply({.changes = changes, .fence = fence}, {});
    return done ? Errc::internal : done.error().code;
  }
  IndexHead head() { return good(index->head({})); }

  std::string name;
  TempDir folder;
  FakeClock clock;
  Deps deps;
  std::optional<Url> url;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<LockManager> a, b;
  std::uint64_t next_entry = 1;
};

constexpr Errc kDone = Errc::internal;

void for_each_site(const std::function<void(Site&)>& test) {
  for (const char* scheme : {"mem", "sqlite"}) {
    INFO("locks of: " << scheme);
    Site site(scheme);
    test(site);
  }
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_SUITE("locks") {
  TEST_CASE("a grant carries element, class, a random owner, a fence and two moments") {
    for_each_site([](Site& site) {
      LockRequest request = wanting(LockClass::manual_rebuild);
      request.ttl = 60s;
      const Lease lease = good(site.a->try_acquire(request, {}));
      CHECK(lease.element == "se-01");
      CHECK(lease.lock_class == LockClass::manual_rebuild);
      CHECK(lease.owner.size() >= 16);
      CHECK(lease.fence > 0);
      CHECK(lease.fence == site.head().fence);
      CHECK(lease.renew_before == site.clock.steady() + 20s);
      CHECK(lease.valid_until < site.clock.steady() + 60s);
      CHECK(lease.valid_until > site.clock.steady() + 50s);
      good(site.a->release(lease, {}));
      CHECK(site.acquire(*site.a, LockClass::manual_rebuild).owner != lease.owner);
    });
  }

  TEST_CASE("a refusal is busy and names class, holder and host") {
    for_each_site([](Site& site) {
      (void)site.acquire(*site.a, LockClass::manual_rebuild);
      site.clock.advance(7s);
      const auto refused = site.b->try_acquire(wanting(LockClass::background_cleanup), {});
      REQUIRE_FALSE(refused.has_value());
      CHECK(refused.error().code == Errc::busy);
      const std::string host = good(site.a->list("se-01", {})).at(0).host;
      CHECK_FALSE(host.empty());
      for (const std::string& part :
           {std::string("se-01"), std::string("manual_rebuild"),
            std::string("test of manual_rebuild"), host, std::string("7 s")})
        CHECK_MESSAGE(has(refused.error().message, part), refused.error().message);
    });
  }

  TEST_CASE("each pair of classes excludes each other or not, as the table says") {
    for_each_site([](Site& site) {
      for (const LockClass held : kClasses)
        for (const LockClass wanted : kClasses) {
          INFO(to_string(held) << " is held, " << to_string(wanted) << " is wanted");
          const bool lazy = held == LockClass::lazy_rebuild || wanted == LockClass::lazy_rebuild;
          const bool rebuild =
              held == LockClass::manual_rebuild || wanted == LockClass::manual_rebuild;
          const Lease first = site.acquire(*site.a, held);
          const auto second = site.b->try_acquire(wanting(wanted), {});
          CHECK(second.has_value() == (lazy && !rebuild));
          Lease renewing = first;
          const auto told = good(site.a->renew(renewing, "", {}));
          CHECK((told == RenewOutcome::asked_to_yield) == (!second && wanted < held));
          if (second) good(site.b->release(*second, {}));
          good(site.a->release(first, {}));
        }
    });
  }

  TEST_CASE("lazy refreshes run many at once, and other elements do not mind") {
    for_each_site([](Site& site) {
      std::set<std::uint64_t> fences;
      for (int i = 0; i < 20; ++i)
        fences.insert(site.acquire(i % 2 == 0 ? *site.a : *site.b, LockClass::lazy_rebuild).fence);
      CHECK(fences.size() == 20);
      CHECK(site.refusal(*site.a, wanting(LockClass::manual_rebuild)) == Errc::busy);
      good(site.a->try_acquire(wanting(LockClass::manual_rebuild, "se-02"), {}));
    });
  }

  TEST_CASE("a higher class asks a lower one to yield and gets the lock after its release") {
    for_each_site([](Site& site) {
      Lease cleanup = site.acquire(*site.a, LockClass::background_cleanup);
      CHECK(good(site.a->renew(cleanup, "1 of 9", {})) == RenewOutcome::renewed);
      LockRequest rebuild = wanting(LockClass::manual_rebuild);
      rebuild.waiter = "admin-7";
      CHECK(site.refusal(*site.b, rebuild) == Errc::busy);
      CHECK(good(site.a->list("se-01", {})).at(0).asked_to_yield);
      CHECK(good(site.a->renew(cleanup, "2 of 9", {})) == RenewOutcome::asked_to_yield);
      CHECK(site.commit(cleanup.fence) == kDone);
      good(site.a->release(cleanup, {}));

      // Its place is kept from lower ones until it comes again.
      const auto behind = site.a->try_acquire(wanting(LockClass::background_cleanup), {});
      REQUIRE_FALSE(behind.has_value());
      CHECK(has(behind.error().message, "comes first"));
      const Lease lease = good(site.b->try_acquire(rebuild, {}));
      good(site.b->release(lease, {}));
      good(site.a->try_acquire(wanting(LockClass::background_cleanup), {}));
    });
  }

  TEST_CASE("a waiter that does not come again loses its place after 5 s") {
    for_each_site([](Site& site) {
      const Lease held = site.acquire(*site.a, LockClass::manual_check);
      LockRequest rebuild = wanting(LockClass::manual_rebuild);
      rebuild.waiter = "admin-7";
      CHECK(site.refusal(*site.b, rebuild) == Errc::busy);
      good(site.a->release(held, {}));
      CHECK(site.refusal(*site.a, wanting(LockClass::manual_check)) == Errc::busy);
      site.clock.advance(5s);
      good(site.a->try_acquire(wanting(LockClass::manual_check), {}));
    });
  }

  TEST_CASE("a renewal prolongs by the TTL and tells people how far the work is") {
    for_each_site([](Site& site) {
      LockRequest request = wanting(LockClass::manual_check);
      request.ttl = 30s;
      Lease lease = good(site.a->try_acquire(request, {}));
      for (int i = 0; i < 5; ++i) {
        site.clock.advance(20s);
        CHECK(good(site.a->renew(lease, "part " + std::to_string(i), {})) == RenewOutcome::renewed);
        CHECK(lease.renew_before == site.clock.steady() + 10s);
      }
      const LockHolder holder = good(site.b->list("se-01", {})).at(0);
      CHECK(holder.progress == "part 4");
      CHECK(holder.expires_in == 30s);
      CHECK(holder.age == 100s);
      CHECK(site.refusal(*site.b, wanting(LockClass::manual_check)) == Errc::busy);
    });
  }

  TEST_CASE("a lease whose time is over is lost when another gets the lock, and not before") {
    for_each_site([](Site& site) {
      LockRequest request = wanting(LockClass::manual_rebuild);
      request.ttl = 10s;
      Lease late = good(site.a->try_acquire(request, {}));
      site.clock.advance(11s);
      CHECK(site.commit(late.fence) == kDone);
      const Lease next = good(site.b->try_acquire(request, {}));
      CHECK(next.fence > late.fence);

      const IndexHead before = site.head();
      CHECK(site.commit(late.fence) == Errc::lease_lost);
      CHECK(site.head().count == before.count);
      CHECK(site.head().position == before.position);
      const auto renewed = site.a->renew(late, "", {});
      REQUIRE_FALSE(renewed.has_value());
      CHECK(renewed.error().code == Errc::lease_lost);
      good(site.a->release(late, {}));
      good(site.a->release(late, {}));
      CHECK(site.commit(next.fence) == kDone);
      CHECK(good(site.a->list("se-01", {})).size() == 1);
    });
  }

  TEST_CASE("a lease whose time is over is prolonged if nobody took the lock") {
    for_each_site([](Site& site) {
      LockRequest request = wanting(LockClass::manual_rebuild);
      request.ttl = 10s;
      Lease lease = good(site.a->try_acquire(request, {}));
      site.clock.advance(1h);
      CHECK(good(site.a->renew(lease, "", {})) == RenewOutcome::renewed);
      CHECK(site.refusal(*site.b, request) == Errc::busy);
    });
  }

  TEST_CASE("a broken lock: the holder's next commit is lease_lost and changes no row") {
    for_each_site([](Site& site) {
      Lease lease = site.acquire(*site.a, LockClass::manual_rebuild);
      CHECK(site.commit(lease.fence) == kDone);
      CHECK_FALSE(good(site.b->force_break("se-01", LockClass::manual_check, {})));
      CHECK_FALSE(good(site.b->force_break("se-02", LockClass::manual_rebuild, {})));
      CHECK(good(site.b->force_break("se-01", LockClass::manual_rebuild, {})));
      CHECK_FALSE(good(site.b->force_break("se-01", LockClass::manual_rebuild, {})));
      const IndexHead before = site.head();
      CHECK(site.commit(lease.fence) == Errc::lease_lost);
      CHECK(site.head().count == before.count);
      CHECK(site.head().position == before.position);
      CHECK(good(site.a->list("", {})).empty());
      CHECK(site.a->renew(lease, "", {}).error().code == Errc::lease_lost);
      good(site.a->release(lease, {}));
      CHECK(site.acquire(*site.a, LockClass::manual_rebuild).fence > lease.fence);
    });
  }

  TEST_CASE("a fence that was never granted, or only refused, lets nothing through") {
    for_each_site([](Site& site) {
      const Lease lease = site.acquire(*site.a, LockClass::manual_rebuild);
      CHECK(site.refusal(*site.b, wanting(LockClass::manual_check)) == Errc::busy);
      CHECK(site.head().fence == lease.fence);
      CHECK(site.commit(lease.fence + 1) == Errc::lease_lost);
      good(site.a->release(lease, {}));
      CHECK(site.commit(lease.fence) == Errc::lease_lost);
      CHECK(site.head().count == 0);
    });
  }

  TEST_CASE("a release takes only its own lock: owner and fence must both be right") {
    for_each_site([](Site& site) {
      const Lease lease = site.acquire(*site.a, LockClass::manual_rebuild);
      Lease forged = lease;
      forged.owner = "somebody";
      good(site.b->release(forged, {}));
      CHECK(site.b->renew(forged, "", {}).error().code == Errc::lease_lost);
      CHECK(site.commit(lease.fence) == kDone);
      CHECK(site.refusal(*site.b, wanting(LockClass::manual_check)) == Errc::busy);
    });
  }

  TEST_CASE("a manager that is destroyed frees what it granted") {
    for_each_site([](Site& site) {
      auto third = site.manager();
      const Lease lease = site.acquire(*third, LockClass::manual_rebuild);
      const Lease lazy = good(third->try_acquire(wanting(LockClass::lazy_rebuild, "se-02"), {}));
      third.reset();
      CHECK(good(site.b->list("", {})).empty());
      CHECK_FALSE(good(site.b->force_break("se-02", LockClass::lazy_rebuild, {})));
      CHECK(site.commit(lazy.fence) == Errc::lease_lost);
      (void)site.acquire(*site.b, LockClass::manual_check);
      CHECK(site.commit(lease.fence) == Errc::lease_lost);
    });
  }

  TEST_CASE("list tells all there is to know, highest class first") {
    for_each_site([](Site& site) {
      const Lease lazy = site.acquire(*site.a, LockClass::lazy_rebuild);
      site.clock.advance(2s);
      const Lease check = site.acquire(*site.b, LockClass::manual_check);
      const Lease other =
          good(site.a->try_acquire(wanting(LockClass::manual_rebuild, "se-00"), {}));
      site.clock.advance(1s);
      const auto all = good(site.b->list("", {}));
      REQUIRE(all.size() == 3);
      CHECK(all[0].element == "se-00");
      CHECK(all[1].fence == check.fence);
      CHECK(all[2].fence == lazy.fence);
      const auto one = good(site.a->list("se-01", {}));
      REQUIRE(one.size() == 2);
      const LockHolder& holder = one[0];
      CHECK(holder.element == "se-01");
      CHECK(holder.lock_class == LockClass::manual_check);
      CHECK(holder.owner == check.owner);
      CHECK(holder.operation == "test of manual_check");
      CHECK(holder.progress.empty());
      CHECK(holder.acquired_at == site.clock.now() - 1s);
      CHECK(holder.age == 1s);
      CHECK(holder.expires_in == 599s);
      CHECK_FALSE(holder.asked_to_yield);
      CHECK(one[1].age == 3s);
      CHECK(good(site.a->list("se-03", {})).empty());
    });
  }

  TEST_CASE("what is no element, waiter or TTL is refused by name and leaves nothing behind") {
    for_each_site([](Site& site) {
      for (const std::string& element :
           {std::string(), std::string("a b"), std::string("../x"), std::string("a\0b", 3),
            std::string("элемент"), std::string(65, 'x')}) {
        INFO("element: " << element);
        CHECK(site.refusal(*site.a, wanting(LockClass::manual_check, element)) ==
              Errc::invalid_argument);
        const auto broken = site.a->force_break(element, LockClass::manual_check, {});
        CHECK(broken.error().code == Errc::invalid_argument);
        if (!element.empty())
          CHECK(site.a->list(element, {}).error().code == Errc::invalid_argument);
      }
      for (const auto ttl :
           {std::chrono::milliseconds(99), std::chrono::milliseconds(86'400'001)}) {
        LockRequest request = wanting(LockClass::manual_check);
        request.ttl = ttl;
        CHECK(site.refusal(*site.a, request) == Errc::invalid_argument);
      }
      LockRequest request = wanting(LockClass::manual_check);
      request.waiter = "a waiter";
      CHECK(site.refusal(*site.a, request) == Errc::invalid_argument);
      CHECK(good(site.a->list("", {})).empty());
      CHECK(site.head().fence == 0);
    });
  }

  TEST_CASE("eight threads over two managers: one holder at a time, and fences that only grow") {
    for_each_site([](Site& site) {
      std::atomic<int> inside{0}, granted{0}, failed{0};
      std::mutex mutex;
      std::vector<std::uint64_t> fences;
      std::vector<std::jthread> threads;
      for (std::size_t t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
          LockManager& locks = t % 2 == 0 ? *site.a : *site.b;
          while (granted < 200) {
            const auto lease = locks.try_acquire(wanting(kClasses[t % 2]), {});
            if (!lease) {
              if (lease.error().code != Errc::busy) ++failed;
              std::this_thread::yield();
              continue;
            }
            if (++inside != 1) ++failed;
            {
              const std::lock_guard guard(mutex);
              fences.push_back(lease->fence);
            }
            ++granted;
            --inside;
            if (!locks.release(*lease, {})) ++failed;
          }
        });
      threads.clear();
      CHECK(failed == 0);
      CHECK(std::ranges::is_sorted(fences));
      CHECK(std::ranges::adjacent_find(fences) == fences.end());
    });
  }

  TEST_CASE("a call that was cancelled or has no time left is refused, and nothing is held") {
    for_each_site([](Site& site) {
      std::stop_source stop;
      stop.request_stop();
      Call call;
      call.stop = stop.get_token();
      const auto got = site.a->try_acquire(wanting(LockClass::manual_check), call);
      REQUIRE_FALSE(got.has_value());
      CHECK(got.error().code == Errc::cancelled);
      CHECK(good(site.b->list("", {})).empty());

      // A cancelled operation that gives back its lock with the same call still frees it.
      const Lease lease = site.acquire(*site.a, LockClass::manual_check);
      CHECK(site.a->release(lease, call).error().code == Errc::cancelled);
      (void)site.acquire(*site.b, LockClass::manual_check);
    });
  }

  TEST_CASE("indexes that share a file share no locks") {
    const TempDir folder;
    const auto open = [&](const std::string& prefix) {
      const Url url = good(Url::parse("sqlite://" + (folder / "i.db") + "?prefix=" + prefix));
      return good(Backends::builtin().open_locks(url, {}, {}));
    };
    const auto one = open("one"), two = open("two");
    const Lease first = good(one->try_acquire(wanting(LockClass::manual_rebuild), {}));
    const Lease second = good(two->try_acquire(wanting(LockClass::manual_rebuild), {}));
    CHECK(first.fence == second.fence);
  }

  TEST_CASE("an index restored from an old copy mints no fence that a living holder has") {
    Site site("sqlite");
    const Lease old = site.acquire(*site.a, LockClass::manual_rebuild);
    // What the copy lacks is the grant: neither record nor fence.
    sqlite3* file = nullptr;
    REQUIRE(sqlite3_open((site.folder / "i.db").c_str(), &file) == SQLITE_OK);
    REQUIRE(sqlite3_exec(file,
                         "DELETE FROM storage_elem_01_holder;"
                         "UPDATE storage_elem_01_head SET fence = 0",
                         nullptr, nullptr, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_close(file) == SQLITE_OK);
    const Lease next = site.acquire(*site.b, LockClass::manual_rebuild);
    CHECK(next.fence > old.fence);
    CHECK(site.commit(old.fence) == Errc::lease_lost);
  }

  TEST_CASE("a record that cannot be read is corrupt, and is not touched") {
    Site site("sqlite");
    good(site.index->locks()->change_locks(
        "se-01",
        [](const LockRows& rows) -> Result<LockEdit> {
          LockEdit edit;
          edit.minted = rows.fence + 1;
          edit.put.push_back({"se-01", edit.minted, LockClass::manual_check, "{\"v\":2}"});
          return edit;
        },
        LockStore::Durability::now, {}));
    CHECK(site.refusal(*site.a, wanting(LockClass::manual_check)) == Errc::corrupt);
    CHECK(site.a->list("", {}).error().code == Errc::corrupt);
    CHECK(site.commit(1) == kDone);
    (void)good(site.a->try_acquire(wanting(LockClass::manual_check, "se-02"), {}));
  }
}
