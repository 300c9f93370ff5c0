// SPDX-License-Identifier: Apache-2.0
// What the tests of lock managers share.
#pragma once

#include <array>
#include <artcache/backends.hpp>
#include <artcache/lock_manager.hpp>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "conformance/index_suite.hpp"
#include "support/fake_clock.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"

namespace artcache::test {

inline constexpr std::array kClasses{LockClass::manual_rebuild, LockClass::manual_check,
                                     LockClass::lazy_rebuild, LockClass::background_cleanup};

inline LockRequest wanting(LockClass lock_class, std::string element = "se-01") {
  LockRequest request;
  request.element = std::move(element);
  request.lock_class = lock_class;
  request.operation = "test of " + std::string(to_string(lock_class));
  return request;
}

/// One index and two managers of its locks, which share nothing else where that can be.
struct Site {
  explicit Site(std::string scheme, const Clock* other_clock = nullptr) : name(std::move(scheme)) {
    deps.clock = other_clock != nullptr ? other_clock : &clock;
    std::string address = "mem:";
    if (name == "sqlite") address = "sqlite://" + (folder / "i.db") + "?prefix=storage_elem_01";
    if (name.starts_with("postgresql:")) address = fresh_prefix(name) + "&owners=" + folder.path();
    url.emplace(good(Url::parse(address)));
    index = good(Backends::builtin().open_index(*url, deps, {}));
    if (in_redis())
      REQUIRE(std::system(("redis-cli -u " + name + " flushall >/dev/null").c_str()) == 0);
    a = manager();
    b = name == "sqlite" || name.starts_with("postgresql:")
            ? good(Backends::builtin().open_locks(*url, deps, {}))
            : manager();
  }
  std::unique_ptr<LockManager> manager() {
    if (!in_redis()) return good(make_lock_manager(*index->locks(), deps));
    return good(Backends::builtin().open_locks(good(Url::parse(name)), *index->locks(), deps, {}));
  }
  [[nodiscard]] bool in_redis() const { return name.starts_with("redis"); }

  Lease acquire(LockManager& locks, LockClass lock_class) {
    return good(locks.try_acquire(wanting(lock_class), {}));
  }
  Errc refusal(LockManager& locks, const LockRequest& request) {
    const auto got = locks.try_acquire(request, {});
    REQUIRE_FALSE(got.has_value());
    return got.error().code;
  }
  /// One row more, under a lease. internal (kDone) stands for success.
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

/// What Site::commit() answers when it went through.
inline constexpr Errc kDone = Errc::internal;

/// With `clock` instead of Site::clock, where one is given.
inline void for_each_site(const std::function<void(Site&)>& test, const Clock* clock = nullptr) {
  std::vector<std::string> names = named_servers();
  // A lock server beside an index in memory.
  if (const char* server = std::getenv("ARTCACHE_TEST_LOCKS")) names.emplace_back(server);
  if (names.empty()) names = {"mem", "sqlite"};
  for (const std::string& name : names) {
    INFO("locks of: " << name.substr(0, name.find(':')));
    Site site(name, clock);
    test(site);
  }
}

inline bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace artcache::test
