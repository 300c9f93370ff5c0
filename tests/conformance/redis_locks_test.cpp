// SPDX-License-Identifier: Apache-2.0
// What only locks in Redis know: operators at redis-cli, keys that are lost, other programs.
#include <array>
#include <artcache/backends.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "conformance/redis_suite.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kKey = "cache_lock:se-01:manual_rebuild";

/// An index where something happens once a grant has been registered, before it goes on.
class Interrupted final : public LockStore {
 public:
  Interrupted(LockStore& index, std::function<void()> between)
      : index_(index), between_(std::move(between)) {}
  Result<LockRows> lock_rows(std::string_view element, const Call& call) override {
    return index_.lock_rows(element, call);
  }
  Result<void> change_locks(std::string_view element, const Decide& decide, Durability durability,
                            const Call& call) override {
    auto changed = index_.change_locks(element, decide, durability, call);
    if (durability == Durability::now)
      if (const auto between = std::exchange(between_, {})) between();
    return changed;
  }
  [[nodiscard]] std::string owners_path() const override { return index_.owners_path(); }

 private:
  LockStore& index_;
  std::function<void()> between_;
};

struct Site {
  Site() {
    cli({"FLUSHALL"});
    index = must(
        Backends::builtin().open_index(must(Url::parse("sqlite://" + (folder / "i.db"))), {}, {}));
    a = manager();
    b = manager();
  }
  std::unique_ptr<LockManager> manager() { return manager(*index->locks()); }
  static std::unique_ptr<LockManager> manager(LockStore& store) {
    return must(Backends::builtin().open_locks(must(Url::parse(server_address())), store, {}, {}));
  }
  static LockRequest wanting(LockClass lock_class, std::chrono::milliseconds ttl = 600s) {
    LockRequest request;
    request.element = "se-01";
    request.lock_class = lock_class;
    request.operation = "test";
    request.ttl = ttl;
    return request;
  }
  Lease acquire(LockManager& locks, LockClass lock_class = LockClass::manual_rebuild) {
    return must(locks.try_acquire(wanting(lock_class), {}));
  }
  Errc refusal(LockManager& locks, LockClass lock_class = LockClass::manual_rebuild) {
    const auto got = locks.try_acquire(wanting(lock_class), {});
    REQUIRE_FALSE(got.has_value());
    return got.error().code;
  }
  Result<ApplyResult> commit(const Lease& lease) {
    const std::array changes{put_of(sample_entry(next++))};
    return index->apply({.changes = changes, .fence = lease.fence}, {});
  }
  std::size_t registered() { return must(index->locks()->lock_rows("se-01", {})).holders.size(); }

  RedisCli cli;
  TempDir folder;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<LockManager> a, b;
  std::uint64_t next = 1;
};

}  // namespace

TEST_SUITE("locks in redis") {
  TEST_CASE("keys, TTL and DEL of an operator show the lock and take it away") {
    Site site;
    const Lease lease = site.acquire(*site.a);
    CHECK(site.cli.keys("cache_lock:*") == std::vector<std::string>{std::string(kKey)});
    const auto left = site.cli({"TTL", kKey}).integer;
    CHECK(left > 500);
    CHECK(left <= 600);
    CHECK(site.refusal(*site.b) == Errc::busy);
    must(site.commit(lease));
    CHECK(site.cli({"DEL", kKey}).integer == 1);
    const Lease next = site.acquire(*site.b);
    CHECK(next.fence > lease.fence);
    CHECK(site.commit(lease).error().code == Errc::lease_lost);
    must(site.commit(next));
    must(site.b->release(next, {}));
    CHECK(site.cli.keys("cache_lock:*").empty());
    CHECK(site.registered() == 0);
  }

  TEST_CASE("after FLUSHALL the holder may be followed, and then changes 0 rows") {
    Site site;
    Lease lease = site.acquire(*site.a, LockClass::background_cleanup);
    const Lease lazy = site.acquire(*site.a, LockClass::lazy_rebuild);
    site.cli({"FLUSHALL"});
    must(site.commit(lease));  // nobody has come after it yet
    const Lease next = site.acquire(*site.b, LockClass::manual_rebuild);
    const IndexHead before = must(site.index->head({}));
    CHECK(site.commit(lease).error().code == Errc::lease_lost);
    CHECK(site.commit(lazy).error().code == Errc::lease_lost);
    const IndexHead after = must(site.index->head({}));
    CHECK(after.count == before.count);
    CHECK(after.position == before.position);
    CHECK(site.a->renew(lease, "", {}).error().code == Errc::lease_lost);
    must(site.a->release(lease, {}));
    must(site.commit(next));
    CHECK(must(site.a->list("", {})).size() == 1);
  }

  TEST_CASE("a renewal keeps the key alive, and without one it ends by itself") {
    Site site;
    LockRequest request = Site::wanting(LockClass::manual_check, 60s);
    Lease lease = must(site.a->try_acquire(request, {}));
    site.cli({"PEXPIRE", "cache_lock:se-01:manual_check", "100000"});
    CHECK(must(site.a->renew(lease, "half of it", {})) == RenewOutcome::renewed);
    CHECK(site.cli({"TTL", "cache_lock:se-01:manual_check"}).integer <= 60);
    CHECK(must(site.b->list("se-01", {})).at(0).progress == "half of it");
    site.cli({"PEXPIRE", "cache_lock:se-01:manual_check", "1"});
    while (!site.cli.keys("cache_lock:*").empty()) std::this_thread::yield();
    CHECK(must(site.b->list("", {})).empty());
    CHECK(site.acquire(*site.b).fence > lease.fence);
    CHECK(site.commit(lease).error().code == Errc::lease_lost);
  }

  TEST_CASE("a key that another program has set is a lock, and stays its own") {
    Site site;
    site.cli({"SET", kKey, "locked", "NX", "EX", "600"});
    const auto refused = site.a->try_acquire(Site::wanting(LockClass::lazy_rebuild), {});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::busy);
    CHECK(refused.error().message.find(kKey) != std::string::npos);
    CHECK(site.cli({"GET", kKey}).text == "locked");
    site.cli({"DEL", kKey});
    (void)site.acquire(*site.a);
    // And the original does not get in either.
    CHECK(site.cli({"SET", kKey, "locked", "NX", "EX", "600"}).is(redis::Reply::Kind::nil));
  }

  TEST_CASE("a record that cannot be read is corrupt, is not touched, and DEL ends it") {
    Site site;
    for (const auto& [field, text] : std::initializer_list<std::array<std::string_view, 2>>{
             {"7", "no record"}, {"no fence", "{}"}}) {
      site.cli({"HSET", kKey, field, text});
      CHECK(site.refusal(*site.a) == Errc::corrupt);
      CHECK(site.cli({"HGET", kKey, field}).text == text);
      site.cli({"DEL", kKey});
      must(site.a->release(site.acquire(*site.a), {}));
    }
  }

  TEST_CASE("a manager that has not heard of others for long is not fooled by what it knows") {
    Site site;
    must(site.a->release(site.acquire(*site.a), {}));  // a knows: nobody holds anything
    const Lease held = site.acquire(*site.b, LockClass::manual_check);
    CHECK(site.refusal(*site.a, LockClass::background_cleanup) == Errc::busy);
    must(site.commit(held));
    CHECK(site.registered() == 1);
    must(site.b->release(held, {}));
    must(site.a->release(site.acquire(*site.a, LockClass::background_cleanup), {}));
    CHECK(site.registered() == 0);
  }

  TEST_CASE("a grant that another overtook on its way counts, though the lock is free again") {
    for (const LockClass by : {LockClass::manual_rebuild, LockClass::manual_check,
                               LockClass::lazy_rebuild, LockClass::background_cleanup}) {
      for (const bool still_there : {false, true}) {
        CAPTURE(to_string(by));
        CAPTURE(still_there);
        Site site;
        std::optional<Lease> other;
        Interrupted index(*site.index->locks(), [&] {
          other = site.acquire(*site.b, by);
          if (!still_there) must(site.b->release(*other, {}));
        });
        const auto slow = Site::manager(index);
        const auto got = slow->try_acquire(Site::wanting(LockClass::manual_rebuild), {});
        REQUIRE(got.has_value() == !still_there);
        must(site.commit(got ? *got : *other));
        CHECK(site.registered() == 1);
      }
    }
  }

  TEST_CASE(
      "many who want one lock at once: one gets it, and lazy ones do not push each other out") {
    Site site;
    for (const LockClass lock_class : {LockClass::manual_rebuild, LockClass::lazy_rebuild}) {
      constexpr int kThreads = 8;
      std::vector<std::unique_ptr<LockManager>> managers;
      for (int i = 0; i < kThreads; ++i) managers.push_back(site.manager());
      for (int round = 0; round < 10; ++round) {
        std::vector<Result<Lease>> got(kThreads, Error{});
        {
          std::vector<std::jthread> threads;
          for (std::size_t i = 0; i < kThreads; ++i)
            threads.emplace_back(
                [&, i] { got[i] = managers[i]->try_acquire(Site::wanting(lock_class), {}); });
        }
        std::size_t holders = 0;
        for (const auto& lease : got)
          if (lease) {
            ++holders;
            must(site.commit(*lease));
          } else {
            CHECK(lease.error().code == Errc::busy);
          }
        CHECK(holders == (lock_class == LockClass::lazy_rebuild ? kThreads : 1));
        CHECK(site.registered() == holders);
        for (std::size_t i = 0; i < kThreads; ++i)
          if (got[i]) must(managers[i]->release(*got[i], {}));
        CHECK(site.cli.keys("cache_lock:*").empty());
      }
    }
  }

  TEST_CASE("locks of all elements are listed, whatever else lies in the database") {
    Site site;
    site.cli({"SET", "cache_lockdown", "x"});
    site.cli({"SET", "artstore:storage-elements:se-01", "{}"});
    for (int i = 0; i < 20; ++i) {
      LockRequest request = Site::wanting(LockClass::manual_check);
      request.element = "se-" + std::to_string(10 + i);
      must(site.a->try_acquire(request, {}));
    }
    const auto all = must(site.b->list("", {}));
    REQUIRE(all.size() == 20);
    CHECK(all.front().element == "se-10");
    CHECK(all.back().element == "se-29");
  }
}
