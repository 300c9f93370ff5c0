// SPDX-License-Identifier: Apache-2.0
// An index that follows its storage: real notices of a local folder, and made-up ones.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "conformance/reconcile_suite.hpp"
#include "support/faulty_storage.hpp"
#include "util/path_set.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Kind = WatchEvent::Kind;

/// watch() on a thread of its own, and what it tells.
class Watcher {
 public:
  explicit Watcher(CacheRebuildService& service, WatchRequest request = {}) {
    request.on_event = [this, also = std::move(request.on_event)](const WatchEvent& event) {
      if (also) also(event);
      const std::scoped_lock held(mutex_);
      events_.push_back(event);
      changed_.notify_all();
    };
    thread_ = std::jthread([this, &service, request = std::move(request)] {
      auto ended = service.watch(request, stoppable(stop_));
      const std::scoped_lock held(mutex_);
      ended_ = std::move(ended);
      changed_.notify_all();
    });
  }
  ~Watcher() { stop_.request_stop(); }

  bool until(const std::function<bool()>& done) {
    std::unique_lock held(mutex_);
    const auto end = std::chrono::steady_clock::now() + 5min;
    while (std::chrono::steady_clock::now() < end) {
      held.unlock();
      const bool is_done = done();
      held.lock();
      if (is_done) return true;
      changed_.wait_for(held, 10ms);
    }
    return false;
  }
  std::size_t count(Kind kind) const {
    const std::scoped_lock held(mutex_);
    return static_cast<std::size_t>(std::ranges::count(events_, kind, &WatchEvent::kind));
  }
  bool until_told(Kind kind, std::size_t times = 1) {
    return until([&] { return count(kind) >= times; });
  }
  WatchEvent last(Kind kind) const {
    const std::scoped_lock held(mutex_);
    for (std::size_t i = events_.size(); i-- > 0;)
      if (events_[i].kind == kind) return events_[i];
    FAIL("it was not told");
    return {};
  }
  Result<void> end() {
    REQUIRE(until([&] {
      const std::scoped_lock held(mutex_);
      return ended_.has_value();
    }));
    return *ended_;
  }
  Result<void> stop() {
    stop_.request_stop();
    return end();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<WatchEvent> events_;     // guarded by mutex_
  std::optional<Result<void>> ended_;  // guarded by mutex_
  std::stop_source stop_;
  std::jthread thread_;
};

/// A local folder with an index in SQLite, at the time of this machine.
struct Live {
  Live()
      : store("file://" + (dir / "files") + "?create=on&sync=off",
              "sqlite://" + (dir / "index.db") + "?sync=off", &system_clock()) {}

  [[nodiscard]] fs::path files() const { return dir / "files"; }
  bool says(std::uint64_t n, std::string_view description) {
    const auto found = store.find(n);
    return found && found->entry.description == description;
  }
  bool is_in_step() { return store.head().position.digest == store.fresh_digest(); }

  const TempDir dir;
  Store store;
};

/// Notices that the test makes up.
struct Script {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::deque<Result<ChangeBatch>> batches;  // guarded by mutex

  void tell(Result<ChangeBatch> batch) {
    const std::scoped_lock held(mutex);
    batches.push_back(std::move(batch));
    changed.notify_all();
  }
};

class ScriptedNotices final : public ChangeNotices {
 public:
  explicit ScriptedNotices(Script& script) : script_(script) {}
  Result<ChangeBatch> wait(const Call& call) override {
    std::unique_lock held(script_.mutex);
    if (!script_.changed.wait(held, call.stop, [&] { return !script_.batches.empty(); }))
      return Error{Errc::cancelled, "stopped"};
    auto batch = std::move(script_.batches.front());
    script_.batches.pop_front();
    return batch;
  }

 private:
  Script& script_;
};

/// A storage in memory whose notices are made up.
struct Scripted {
  Scripted() : store("mem:", "mem:", &system_clock()), faulty(*store.storage) {
    faulty.watch_by([this]() -> Result<std::unique_ptr<ChangeNotices>> {
      return std::unique_ptr<ChangeNotices>(std::make_unique<ScriptedNotices>(script));
    });
    store.make_service(faulty, {});
  }
  Script script;
  Store store;
  FaultyStorage faulty;
};

}  // namespace

TEST_SUITE("watch") {
  TEST_CASE("what changed before is in the index first, and what changes then soon after") {
    Live live;
    live.store.fill(0, 20);
    live.store.full();
    live.store.remove(Store::sidecar_of(sample_entry(3)));
    live.store.put_sidecar(Store::changed(4, "before"));
    Watcher watcher(*live.store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    CHECK_FALSE(live.store.find(3).has_value());
    CHECK(live.says(4, "before"));
    CHECK(watcher.count(Kind::began) == 1);
    CHECK(live.store.service->watch_status().by_notices);

    live.store.fill(20, 22);
    live.store.put_sidecar(Store::changed(5, "since"));
    live.store.remove(Store::sidecar_of(sample_entry(6)));
    CHECK(watcher.until([&] { return live.says(5, "since") && live.store.find(21); }));
    CHECK(watcher.until([&] { return !live.store.find(6); }));
    CHECK(live.is_in_step());
    CHECK(watcher.count(Kind::lost) == 0);
    CHECK(watcher.stop().has_value());
    const WatchStatus status = live.store.service->watch_status();
    CHECK_FALSE(status.running);
    CHECK(status.inserted >= 2);
    CHECK(status.removed >= 1);
    CHECK(live.store.check().is_consistent());
  }

  TEST_CASE("a sidecar that changes again and again ends as it was put last, and settles") {
    Live live;
    live.store.fill(0, 3);
    Watcher watcher(*live.store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    // Of one size, and quicker than the times of files tell apart.
    for (int n = 0; n < 300; ++n)
      live.store.put_sidecar(Store::changed(1, "change " + std::to_string(100 + n)));
    CHECK(watcher.until([&] { return live.says(1, "change 399"); }));
    const std::string path = Store::sidecar_of(sample_entry(1));
    const std::string_view view = path;
    // Looked at once more when its stamp vouches for it, so that the next comparison need not.
    CHECK(watcher.until([&] {
      const auto scanned = good(live.store.index->find_scanned({&view, 1}, {}));
      return scanned.front()->stamp == good(live.store.storage->stat(path, {}))->stamp;
    }));
    CHECK(watcher.stop().has_value());
    CHECK(live.store.incremental().statistics.sidecars_opened <= 2);
  }

  TEST_CASE("folders that move, come in or go take their entries with them") {
    Live live;
    live.store.fill(0, 40);
    live.store.full();
    Watcher watcher(*live.store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    const fs::path year = live.files() / "2024";
    REQUIRE(fs::exists(year));
    fs::rename(year, live.files() / "moved");
    CHECK(watcher.until([&] { return live.is_in_step(); }));
    CHECK(live.store.head().count == 40);
    fs::rename(live.files() / "moved", live.dir / "outside");
    CHECK(watcher.until([&] { return live.store.head().count == 0; }));
    fs::rename(live.dir / "outside", year);
    CHECK(watcher.until([&] { return live.store.head().count == 40; }));
    fs::remove_all(year);
    CHECK(watcher.until([&] { return live.store.head().count == 0; }));
    live.store.fill(40, 45);
    CHECK(watcher.until([&] { return live.store.head().count == 5; }));
    CHECK(watcher.until([&] { return live.is_in_step(); }));
  }

  TEST_CASE("a broken sidecar leaves its entry as it was, and a mended one is seen") {
    Live live;
    live.store.fill(0, 5);
    Watcher watcher(*live.store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    const fs::path path = live.files() / Store::sidecar_of(sample_entry(2));
    std::ofstream(path) << "{";
    CHECK(watcher.until([&] {
      return watcher.count(Kind::applied) > 0 && watcher.last(Kind::applied).unreadable;
    }));
    CHECK(live.store.find(2)->entry == sample_entry(2));
    CHECK(watcher.until([&] { return live.store.lines.has("A sidecar says nothing"); }));
    live.store.put_sidecar(Store::changed(2, "mended"));
    CHECK(watcher.until([&] { return live.says(2, "mended"); }));
  }

  TEST_CASE(
      "a sidecar that is edited to tell of another file takes the entry of the old one away") {
    Live live;
    live.store.fill(0, 5);
    Watcher watcher(*live.store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    FileEntry other = Store::changed(2, "under another id");
    other.id = sample_id(50);
    live.store.put_sidecar(other, Store::sidecar_of(sample_entry(2)));
    CHECK(watcher.until([&] { return live.says(50, "under another id") && !live.store.find(2); }));
    CHECK(watcher.until([&] { return live.is_in_step(); }));
  }

  TEST_CASE("more changes than are held at once are found by comparing their folders") {
    Live live;
    WatchRequest request;
    request.limits.paths_most = 2;
    Watcher watcher(*live.store.service, request);
    REQUIRE(watcher.until_told(Kind::rescanned));
    live.store.fill(0, 50);
    for (std::uint64_t n = 10; n < 20; ++n) live.store.remove(Store::sidecar_of(sample_entry(n)));
    CHECK(watcher.until([&] { return live.store.head().count == 40 && live.is_in_step(); }));
  }

  TEST_CASE("uploads, updates and removals by hand while it follows leave index and store equal") {
    Live live;
    Watcher watcher(*live.store.service);
    std::vector<std::jthread> writers;
    for (std::uint64_t w = 0; w < 3; ++w)
      writers.emplace_back([&live, w] {
        for (std::uint64_t n = w * 100; n < w * 100 + 60; ++n) {
          live.store.put_file(sample_entry(n));
          if (n % 3 == 0) live.store.put_sidecar(Store::changed(n, "changed"));
          if (n % 5 == 0) live.store.remove(Store::sidecar_of(sample_entry(n)));
        }
      });
    writers.clear();
    CHECK(watcher.until([&] { return live.store.head().count == 144 && live.is_in_step(); }));
    CHECK(watcher.stop().has_value());
    CHECK(live.store.check().is_consistent());
  }

  TEST_CASE("lost notices: the index is suspect until the folders concerned were compared") {
    Scripted scripted;
    Store& store = scripted.store;
    store.fill(0, 10);
    std::string reason;
    WatchRequest request;
    request.on_event = [&](const WatchEvent& event) {
      if (event.kind == Kind::lost) reason = store.head().suspect_reason;
    };
    Watcher watcher(*store.service, request);
    REQUIRE(watcher.until_told(Kind::rescanned));
    CHECK(store.head().suspect_reason.empty());
    store.put_sidecar(Store::changed(4, "unnoticed"));
    const std::string folder(util::folder_of(Store::sidecar_of(sample_entry(4))));
    scripted.script.tell(ChangeBatch{.folders = {folder}, .overflowed = true});
    REQUIRE(watcher.until_told(Kind::trusted));
    CHECK(reason.find("were lost") != std::string::npos);
    CHECK(reason.find(folder) != std::string::npos);
    CHECK(store.head().suspect_reason.empty());
    CHECK(*store.find(4)->entry.description == "unnoticed");
    CHECK(watcher.last(Kind::rescanned).folder == folder);
    CHECK(watcher.last(Kind::rescanned).sidecars < 10 + 1);
  }

  TEST_CASE("a suspicion that somebody else has is left as it is") {
    Scripted scripted;
    Store& store = scripted.store;
    store.fill(0, 10);
    Watcher watcher(*store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    const Lease lease = store.hold(LockClass::lazy_rebuild);
    good(store.index->set_suspect("a test says so", lease.fence, {}));
    good(store.locks->release(lease, {}));
    const std::string folder(util::folder_of(Store::sidecar_of(sample_entry(4))));
    scripted.script.tell(ChangeBatch{.folders = {folder}, .overflowed = true});
    REQUIRE(watcher.until_told(Kind::rescanned, 2));
    CHECK(watcher.stop().has_value());
    CHECK(store.head().suspect_reason == "a test says so");
  }

  TEST_CASE("a folder that is gone when its notice is read takes its entries with it") {
    Scripted scripted;
    Store& store = scripted.store;
    store.fill(0, 10);
    Watcher watcher(*store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    REQUIRE(store.head().count == 10);
    for (std::uint64_t n = 0; n < 10; ++n) {
      store.remove(Store::sidecar_of(sample_entry(n)));
      store.remove(sample_entry(n).data_path());
    }
    scripted.script.tell(ChangeBatch{.folders = {"2024"}});
    REQUIRE(watcher.until_told(Kind::rescanned, 2));
    CHECK(store.head().count == 0);
    CHECK(watcher.last(Kind::rescanned).removed == 10);
  }

  TEST_CASE("a folder that is gone takes all entries below it, however many at once") {
    Scripted scripted;
    Store& store = scripted.store;
    RebuildSettings small;
    small.found_most = 256;
    store.make_service(scripted.faulty, small);
    std::vector<std::string> paths;
    for (std::uint64_t n = 0; n < 1200; ++n) {
      paths.push_back((n % 2 == 0 ? "a/z" : "a/b/c") + std::to_string(n) + ".attr.json");
      store.put_sidecar(sample_entry(n), paths.back());
    }
    Watcher watcher(*store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    REQUIRE(store.head().count == 1200);
    for (const std::string& path : paths) store.remove(path);
    scripted.script.tell(ChangeBatch{.folders = {"a"}});
    REQUIRE(watcher.until_told(Kind::rescanned, 2));
    CHECK(store.head().count == 0);
    CHECK(store.scanned_paths().empty());
  }

  TEST_CASE("what fails for a while is tried again until it is done") {
    Scripted scripted;
    Store& store = scripted.store;
    store.fill(0, 10);
    scripted.faulty.fail(StorageOp::list, {Errc::unavailable, "away"}, 1);
    Watcher watcher(*store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    CHECK(watcher.count(Kind::retrying) == 1);
    CHECK(store.head().count == 10);
    store.put_sidecar(Store::changed(4, "seen"));
    scripted.faulty.fail(StorageOp::read_sidecars, {Errc::unavailable, "away"}, 1);
    scripted.script.tell(ChangeBatch{.sidecars = {Store::sidecar_of(sample_entry(4))}});
    REQUIRE(watcher.until_told(Kind::applied));
    CHECK(watcher.count(Kind::retrying) == 2);
    CHECK(*store.find(4)->entry.description == "seen");
    CHECK(store.service->watch_status().retries == 2);
  }

  TEST_CASE("it waits for a rebuild beside it, and holds no lock while nothing changes") {
    Live live;
    live.store.fill(0, 10);
    const Lease lease = live.store.hold(LockClass::manual_rebuild);
    Watcher watcher(*live.store.service);
    REQUIRE(watcher.until_told(Kind::began));
    CHECK(watcher.count(Kind::rescanned) == 0);
    good(live.store.locks->release(lease, {}));
    REQUIRE(watcher.until_told(Kind::rescanned));
    CHECK(watcher.until([&] { return good(live.store.locks->list("", {})).empty(); }));
    const Lease again = live.store.hold(LockClass::manual_rebuild);
    live.store.put_sidecar(Store::changed(4, "waits"));
    good(live.store.locks->release(again, {}));
    CHECK(watcher.until([&] { return live.says(4, "waits"); }));
    CHECK(live.store.full().statistics.entries_created == 10);
  }

  TEST_CASE("rebuilds and checks begin at once, however much it has to do") {
    Live live;
    Watcher watcher(*live.store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    std::atomic<bool> stop{false};
    std::jthread writer([&] {
      for (std::uint64_t n = 0; !stop; ++n) live.store.put_sidecar(sample_entry(n % 500));
    });
    for (int n = 0; n < 20; ++n) {
      CHECK(live.store.service->rebuild_incremental({}, {}).has_value());
      CHECK(live.store.service->check_consistency({}, {}).has_value());
    }
    stop = true;
    writer.join();
    CHECK(watcher.until([&] { return live.is_in_step(); }));
  }

  TEST_CASE("a storage that tells of no changes is compared every so often, if that is asked for") {
    Store store("mem:", "mem:", &system_clock());
    store.fill(0, 10);
    const auto refused = store.service->watch({}, {});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::unsupported);
    Watcher watcher(*store.service, {.rescan_every = 30ms});
    REQUIRE(watcher.until_told(Kind::rescanned));
    CHECK_FALSE(watcher.last(Kind::began).message.empty());
    const WatchStatus status = store.service->watch_status();
    CHECK(status.running);
    CHECK_FALSE(status.by_notices);
    CHECK_FALSE(status.message.empty());
    store.put_sidecar(Store::changed(4, "seen"));
    store.remove(Store::sidecar_of(sample_entry(5)));
    CHECK(watcher.until([&] { return !store.find(5); }));
    CHECK(*store.find(4)->entry.description == "seen");
  }

  TEST_CASE("when there are no more watches it ends with the limit, or goes on by comparing") {
    const Error no_more{Errc::no_space, "file: watch: no more watches"};
    Scripted scripted;
    Store& store = scripted.store;
    store.fill(0, 10);
    {
      Watcher watcher(*store.service);
      REQUIRE(watcher.until_told(Kind::rescanned));
      scripted.script.tell(no_more);
      const auto ended = watcher.end();
      REQUIRE_FALSE(ended.has_value());
      CHECK(ended.error().code == Errc::no_space);
      CHECK(ended.error().message.find("no more watches") != std::string::npos);
    }
    Watcher watcher(*store.service, {.rescan_every = 30ms});
    REQUIRE(watcher.until_told(Kind::rescanned));
    scripted.script.tell(no_more);
    REQUIRE(watcher.until_told(Kind::began, 2));
    store.put_sidecar(Store::changed(4, "seen"));
    CHECK(watcher.until([&] { return store.find(4)->entry.description == "seen"; }));
    CHECK(store.service->watch_status().message.find("no more watches") != std::string::npos);
  }

  TEST_CASE("one at a time; it ends when its call does, and with an error when the store is gone") {
    Live live;
    live.store.fill(0, 3);
    {
      Watcher watcher(*live.store.service);
      REQUIRE(watcher.until_told(Kind::rescanned));
      const auto second = live.store.service->watch({}, {});
      REQUIRE_FALSE(second.has_value());
      CHECK(second.error().code == Errc::conflict);
      CHECK(watcher.stop().has_value());
    }
    CHECK(live.store.service->watch({}, Call().within(2s)).has_value());
    Watcher watcher(*live.store.service);
    REQUIRE(watcher.until_told(Kind::rescanned));
    fs::remove_all(live.files());
    const auto ended = watcher.end();
    REQUIRE_FALSE(ended.has_value());
    CHECK(ended.error().code == Errc::not_found);
    CHECK(live.store.service->watch_status().message == to_string(ended.error()));
  }
}
