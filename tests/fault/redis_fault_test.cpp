// SPDX-License-Identifier: Apache-2.0
// Redis is emptied, killed, restarted and stopped while a rebuild holds its lock there. Signals
// have their default dispositions, so a write to a dead server that raised SIGPIPE would end this.
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/storage_backend.hpp>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <thread>

#include "conformance/redis_suite.hpp"
#include "core/attr/sidecar.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kFiles = 400;

/// `services VERB …` for the server under test, which this test alone uses.
void server(const std::string& verb) {
  const char* program = std::getenv("ARTCACHE_TEST_SERVICES");
  const char* state = std::getenv("ARTCACHE_TEST_SERVICES_STATE");
  REQUIRE_MESSAGE((program != nullptr && state != nullptr), "run by own_server.sh");
  const std::string command =
      std::string(program) + " " + verb.substr(0, verb.find(' ')) + " --state " + state +
      (verb.find(' ') == std::string::npos ? "" : verb.substr(verb.find(' '))) +
      " redis >/dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
}

struct Store {
  Store() {
    RedisCli()({"FLUSHALL"});
    const Backends backends = Backends::builtin();
    storage = must(backends.open_storage(must(Url::parse("mem:")), {}, {}));
    index = must(backends.open_index(
        must(Url::parse("sqlite://" + (folder / "i.db") + "?sync=off")), {}, {}));
    locks = manager();
    others = manager();
    RebuildSettings settings;
    settings.element = "se-01";
    service = std::make_unique<CacheRebuildService>(*storage, *index, *locks, settings, Deps());
    for (std::uint64_t n = 0; n < kFiles; ++n) put(sample_entry(n));
    must(service->rebuild_full({}, {}));
  }
  std::unique_ptr<LockManager> manager() {
    const Url url = must(Url::parse(server_address() + "?timeout=3s"));
    return must(Backends::builtin().open_locks(url, *index->locks(), {}, {}));
  }
  void put(const FileEntry& entry) {
    must(storage->put({.path = entry.data_path().append(kSidecarSuffix)}, must(attr::encode(entry)),
                      {}));
  }
  /// As somebody who comes after the holder, tried until it is granted.
  Lease follow() {
    LockRequest request;
    request.element = "se-01";
    request.operation = "successor";
    const auto end = system_clock().steady() + 5min;
    auto lease = others->try_acquire(request, {});
    while (!lease && system_clock().steady() < end) {
      std::this_thread::sleep_for(5ms);
      lease = others->try_acquire(request, {});
    }
    return must(std::move(lease));
  }

  TempDir folder;
  std::unique_ptr<StorageBackend> storage;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<LockManager> locks, others;
  std::unique_ptr<CacheRebuildService> service;
};

/// A server takes its time to come back: a rebuild may renew before anybody follows.
enum class Harm : std::uint8_t { at_once, slow };

/// Begins a rebuild that would change every entry, slowly; does `harm` in the middle; lets somebody
/// follow. From there on the rebuild changes nothing, and says so; the next one does its work.
void outlive(const std::function<void()>& harm, Harm kind = Harm::at_once) {
  Store store;
  for (std::uint64_t n = 0; n < kFiles; ++n) {
    FileEntry entry = sample_entry(n);
    entry.description = "changed";
    entry.updated_at = entry.updated_at + std::chrono::minutes(1);
    store.put(entry);
  }
  store.service->budget().set_files_per_second(10);
  std::atomic<bool> over{false};
  Result<RebuildReport> report = Error{};
  std::jthread rebuild([&] {
    report = store.service->rebuild_full({}, {});
    over = true;
  });
  while (must(store.others->list("se-01", {})).empty()) std::this_thread::sleep_for(1ms);
  harm();
  const Lease next = store.follow();
  if (kind == Harm::at_once) CHECK_FALSE(over);
  const IndexHead before = must(store.index->head({}));
  store.service->budget().set_files_per_second(0);
  rebuild.join();
  REQUIRE_FALSE(report.has_value());
  CHECK_MESSAGE(report.error().code == Errc::lease_lost, to_string(report.error()));
  const IndexHead after = must(store.index->head({}));
  CHECK(after.position == before.position);
  must(store.others->release(next, {}));
  CHECK(must(store.service->rebuild_full({}, {})).verdict.complete());
  CHECK(*must(store.index->find(sample_id(kFiles - 1), {}))->entry.description == "changed");
  CHECK(RedisCli().keys("cache_lock:*").empty());
}

}  // namespace

TEST_SUITE("redis faults") {
  TEST_CASE("[G4] FLUSHALL in the middle of a rebuild") {
    outlive([] { RedisCli()({"FLUSHALL"}); });
  }

  TEST_CASE("DEL of its key in the middle of a rebuild") {
    outlive([] { RedisCli()({"DEL", "cache_lock:se-01:manual_rebuild"}); });
  }

  TEST_CASE("killed and restarted, with nothing kept, in the middle of a rebuild") {
    const auto kill_and_restart = [] {
      server("kill");
      server("restart");
    };
    outlive(kill_and_restart, Harm::slow);
  }

  TEST_CASE("restarted in good order in the middle of a rebuild") {
    outlive([] { server("restart"); }, Harm::slow);
  }

  TEST_CASE("a server that hangs for a while does a rebuild no harm, and others are told") {
    Store store;
    store.service->budget().set_files_per_second(5);
    Result<RebuildReport> report = Error{};
    std::jthread rebuild([&] { report = store.service->rebuild_full({}, {}); });
    while (must(store.others->list("se-01", {})).empty()) std::this_thread::sleep_for(1ms);
    server("kill --signal STOP");
    LockRequest request;
    request.element = "se-01";
    const auto refused = store.others->try_acquire(request, Call().within(5min));
    const auto late = store.others->list("se-01", Call().within(50ms));
    server("kill --signal CONT");
    store.service->budget().set_files_per_second(0);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::unavailable);
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code == Errc::timed_out);
    rebuild.join();
    REQUIRE_MESSAGE(report.has_value(), to_string(report.error()));
    CHECK(report->verdict.complete());
    CHECK(must(store.others->list("", {})).empty());
  }

  TEST_CASE("while the server is away nobody is let in, and nothing waits for it") {
    Store store;
    server("kill");
    const auto refused = store.service->rebuild_full({}, {});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::unavailable);
    server("restart");
    CHECK(must(store.service->rebuild_full({}, {})).verdict.complete());
  }
}
