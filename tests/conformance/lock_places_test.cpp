// SPDX-License-Identifier: Apache-2.0
// Locks from many threads, and in files that are shared, copied, renamed, damaged or in the way.
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include "conformance/lock_suite.hpp"

using namespace artcache;
using namespace artcache::test;

TEST_SUITE("locks") {
  TEST_CASE("eight threads over two managers: one holder at a time, and fences that only grow") {
    const auto eight_threads = [](Site& site) {
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
    };
    for_each_site(eight_threads);
    for_each_site(eight_threads, &system_clock());
  }

  // By the clock of the server: only then is anything decided before the server is asked.
  TEST_CASE("whoever has come, waits or was put out since a manager looked is met by it") {
    const auto stale = [](Site& site) {
      LockRequest cleanup = wanting(LockClass::background_cleanup);
      LockRequest check = wanting(LockClass::manual_check);
      cleanup.waiter = "cleanup", check.waiter = "check";
      for (LockManager* const manager : {site.a.get(), site.b.get()})
        good(manager->release(good(manager->try_acquire(check, {})), {}));
      // Each has seen a free lock. One comes, is asked to yield, and goes.
      Lease lower = good(site.b->try_acquire(cleanup, {}));
      CHECK(site.refusal(*site.a, check) == Errc::busy);
      CHECK(good(site.b->renew(lower, "", {})) == RenewOutcome::asked_to_yield);
      good(site.b->release(lower, {}));
      CHECK(good(site.a->list("se-01", {})).empty());
      CHECK(site.refusal(*site.b, cleanup) == Errc::busy);  // the check waits for its place
      const Lease first = good(site.a->try_acquire(check, {}));
      CHECK(first.fence > lower.fence);
      // One is put out, and another follows it.
      CHECK(good(site.b->force_break("se-01", LockClass::manual_check, {})));
      CHECK_FALSE(good(site.b->force_break("se-01", LockClass::manual_check, {})));
      const Lease second = good(site.b->try_acquire(check, {}));
      CHECK(second.fence > first.fence);
      CHECK(site.commit(first.fence) == Errc::lease_lost);
      good(site.a->release(first, {}));
      CHECK(good(site.a->list("se-01", {})).size() == 1);
      CHECK(site.commit(second.fence) == kDone);
      good(site.b->release(second, {}));
      CHECK(good(site.a->list("se-01", {})).empty());
    };
    for_each_site(stale);
    for_each_site(stale, &system_clock());
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

  TEST_CASE("an index opened by another name of its file has the same locks") {
    Site site("sqlite");
    std::filesystem::create_symlink(site.folder / "i.db", site.folder / "other.db");
    const Url url =
        good(Url::parse("sqlite://" + (site.folder / "other.db") + "?prefix=storage_elem_01"));
    auto other = good(Backends::builtin().open_locks(url, site.deps, {}));
    (void)site.acquire(*other, LockClass::manual_rebuild);
    CHECK(site.refusal(*site.a, wanting(LockClass::manual_check)) == Errc::busy);
    other.reset();
    (void)site.acquire(*site.a, LockClass::manual_check);
  }

  TEST_CASE("where locks cannot be kept, opening them says why") {
    const auto errc_of = [](const std::string& address) {
      const auto opened = Backends::builtin().open_locks(good(Url::parse(address)), {}, {});
      return opened ? Errc::internal : opened.error().code;
    };
    const TempDir folder;
    CHECK(errc_of("file://" + folder.path()) == Errc::unsupported);
    CHECK(errc_of("nonsense:") == Errc::invalid_argument);
    std::filesystem::create_directory(folder / "i.db-owners");
    CHECK(errc_of("sqlite://" + (folder / "i.db")) == Errc::invalid_argument);
    CHECK(errc_of("sqlite://" + (folder / "i.db") + "?prefix=p") == Errc::internal);
  }

  TEST_CASE("mem: leaves no file behind") {
    std::string owners;
    {
      Site site("mem");
      owners = site.index->locks()->owners_path();
      CHECK(std::filesystem::file_size(owners) == 0);
      CHECK(std::filesystem::status(owners).permissions() == std::filesystem::perms(0600));
      (void)site.acquire(*site.a, LockClass::manual_rebuild);
    }
    CHECK_FALSE(std::filesystem::exists(owners));
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
