// SPDX-License-Identifier: Apache-2.0
// Rebuilds: what they make of an index, and what they leave alone.
#include <algorithm>
#include <atomic>
#include <new>
#include <thread>

#include "conformance/reconcile_suite.hpp"
#include "core/reconcile/walk.hpp"
#include "support/faulty_storage.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

/// Opens everything, and throws over the first of it.
template <class What>
class ThrowingTaker final : public reconcile::WalkTaker {
 public:
  Result<void> listed(std::span<const ListedFile>, std::span<const std::optional<ScannedFile>>,
                      std::vector<char>& open) override {
    std::ranges::fill(open, 1);
    return {};
  }
  void not_seen(const ListProblem&) override {}
  Result<void> opened(reconcile::Chunk&) override { throw What(); }
  Result<void> pause() override { return {}; }
};

}  // namespace

TEST_SUITE("rebuild") {
  TEST_CASE("a full rebuild of an empty index holds every file, and ends the suspicion") {
    for_each_store([](Store& store) {
      store.fill(0, 50);
      CHECK_FALSE(store.head().suspect_reason.empty());
      const RebuildReport report = store.full();
      CHECK(report.statistics.attr_files_scanned == 50);
      CHECK(report.statistics.cache_entries_before == 0);
      CHECK(report.statistics.cache_entries_after == 50);
      CHECK(report.statistics.entries_created == 50);
      CHECK(report.verdict.complete());
      CHECK(report.errors.total == 0);
      CHECK(store.head().suspect_reason.empty());
      for (std::uint64_t n = 0; n < 50; ++n) CHECK(store.find(n)->entry == sample_entry(n));
      CHECK(store.check().is_consistent());
      CHECK(store.lines.has("Truncated cache table"));
      CHECK(store.lines.has("Full cache rebuild completed"));
      CHECK_FALSE(store.lines.has("error"));
    });
  }

  TEST_CASE("a rebuild without change moves neither log nor digest") {
    for_each_store([](Store& store) {
      store.fill(0, 30);
      store.full();
      const Position before = store.head().position;
      const RebuildReport again = store.full();
      CHECK(again.statistics.entries_created == 30);  // CONTRACT 5: all that are in the index
      CHECK(again.statistics.entries_unchanged == 30);
      CHECK(again.statistics.sidecars_opened == 30);
      CHECK(store.head().position == before);
    });
  }

  TEST_CASE("a full rebuild sees what lies behind a stamp that is as it was") {
    for_each_store([](Store& store) {
      store.fill(0, 20);
      store.full();
      const std::string path = Store::sidecar_of(sample_entry(3));
      store.put_sidecar(Store::changed(3, "hidden"));
      const std::string_view view = path;
      ScannedFile known = *good(store.index->find_scanned({&view, 1}, {})).front();
      known.stamp = good(store.storage->stat(path, {}))->stamp;
      good(store.index->apply({.scanned = {&known, 1}}, {}));
      store.incremental();
      CHECK(store.find(3)->entry.description != "hidden");
      const RebuildReport report = store.full();
      CHECK(report.statistics.entries_changed == 1);
      CHECK(store.find(3)->entry.description == "hidden");
      CHECK(store.head().position.digest == store.fresh_digest());
    });
  }

  TEST_CASE("an incremental rebuild opens what is new or changed, and removes nothing") {
    for_each_store([](Store& store) {
      store.fill(0, 40);
      store.clock.advance(std::chrono::seconds(10));
      store.full();
      store.fill(40, 45);
      for (std::uint64_t n = 0; n < 3; ++n) store.put_sidecar(Store::changed(n, "changed"));
      for (std::uint64_t n = 30; n < 40; ++n) store.remove(Store::sidecar_of(sample_entry(n)));

      const RebuildReport report = store.incremental();
      CHECK(report.statistics.entries_created == 5);
      CHECK(report.statistics.entries_updated == 3);
      CHECK(report.statistics.entries_deleted == 0);
      CHECK(*store.find(1)->entry.description == "changed");
      CHECK(store.find(44).has_value());
      CHECK(store.find(35).has_value());

      const RebuildReport pruned = store.incremental(Prune::yes);
      CHECK(pruned.statistics.entries_deleted == 10);
      CHECK_FALSE(store.find(35).has_value());
      CHECK(store.head().position.digest == store.fresh_digest());
    });
  }

  TEST_CASE("an incremental rebuild brings back entries that were taken out by hand") {
    for_each_store([](Store& store) {
      store.fill(0, 20);
      store.full();
      std::vector<EntryChange> changes{remove_of(sample_id(3)),
                                       put_of(Store::changed(4, "by hand"))};
      good(store.index->apply({.changes = changes}, {}));
      const RebuildReport report = store.incremental();
      CHECK(store.find(3)->entry == sample_entry(3));
      CHECK(store.find(4)->entry == sample_entry(4));
      CHECK(report.statistics.entries_created == 1);
      CHECK(report.statistics.entries_updated == 1);
    });
  }

  TEST_CASE("broken sidecars are counted and named, their entries stay, and the rest goes on") {
    for_each_store([](Store& store) {
      store.fill(0, 20);
      store.full();
      good(store.storage->put({.path = Store::sidecar_of(sample_entry(5))}, "{\"file_id\":", {}));
      good(store.storage->put({.path = "x/empty.attr.json"}, "", {}));
      const RebuildReport report = store.full();
      CHECK(report.statistics.unreadable == 2);
      CHECK(report.errors.total == 2);
      CHECK(report.verdict.complete());
      CHECK(report.statistics.entries_deleted == 0);
      CHECK(store.find(5)->entry == sample_entry(5));
      CHECK(store.find(6).has_value());
    });
  }

  TEST_CASE("of two sidecars with one id the newer counts, and the other takes over when it goes") {
    for_each_store([](Store& store) {
      store.fill(0, 5);
      store.put_sidecar(Store::changed(2, "newer", 5), "moved/newer.attr.json");
      for (int round = 0; round < 2; ++round) {
        const RebuildReport report = store.full();
        CHECK(report.statistics.twins == 1);
        CHECK(report.errors.total == 1);
        CHECK(*store.find(2)->entry.description == "newer");
        CHECK(store.head().count == 5);
      }
      const Position before = store.head().position;
      store.full();
      CHECK(store.head().position == before);
      store.remove("moved/newer.attr.json");
      store.full();
      CHECK(store.find(2)->entry == sample_entry(2));
    });
  }

  TEST_CASE("a file that moved keeps its entry") {
    for_each_store([](Store& store) {
      store.fill(0, 10);
      store.full();
      const Position before = store.head().position;
      store.put_sidecar(sample_entry(4), "elsewhere/file.attr.json");
      store.remove(Store::sidecar_of(sample_entry(4)));
      const RebuildReport report = store.incremental(Prune::yes);
      CHECK(report.statistics.entries_deleted == 0);
      CHECK(store.find(4).has_value());
      CHECK(store.head().position == before);
      CHECK(good(store.index->scanned_paths_of(sample_id(4), {})).front().path ==
            "elsewhere/file.attr.json");
    });
  }

  TEST_CASE("with a folder, only what is below it is compared and pruned") {
    for_each_store([](Store& store) {
      store.put_sidecar(sample_entry(1), "a/one.attr.json");
      store.put_sidecar(sample_entry(2), "b/two.attr.json");
      store.put_sidecar(sample_entry(3), "b/three.attr.json");
      store.full();
      store.remove("a/one.attr.json");
      store.remove("b/two.attr.json");
      store.put_sidecar(sample_entry(4), "b/four.attr.json");
      const auto report =
          good(store.service->rebuild_incremental({.folder = "b", .prune = Prune::yes}, {}));
      CHECK(report.statistics.entries_deleted == 1);
      CHECK(report.statistics.entries_created == 1);
      CHECK(store.find(1).has_value());
      CHECK_FALSE(store.find(2).has_value());
    });
  }

  TEST_CASE("however many are gone, in whatever folders, nothing is left of them") {
    for (const std::string folder : {"", "a"})
      for_each_store([&](Store& store) {
        RebuildSettings small;
        small.found_most = 256;
        store.make_service(*store.storage, small);
        // By path and folder by folder these come in different orders.
        std::vector<std::string> paths;
        for (std::uint64_t n = 0; n < 1200; ++n) {
          paths.push_back((n % 2 == 0 ? "a/z" : "a/b/c") + std::to_string(n) + ".attr.json");
          store.put_sidecar(sample_entry(n), paths.back());
        }
        store.full();
        for (std::uint64_t n = 1; n < 1200; ++n) store.remove(paths[n]);
        const auto report =
            good(store.service->rebuild_incremental({.folder = folder, .prune = Prune::yes}, {}));
        CHECK(report.verdict.complete());
        CHECK(report.statistics.entries_deleted == 1199);
        CHECK(store.head().count == 1);
        CHECK(store.scanned_paths() == std::vector{paths[0]});
      });
  }

  TEST_CASE("with more files in a folder than are held at once, what is gone from it goes") {
    Store store("mem:", "mem:");
    RebuildSettings small;
    small.found_most = 256;
    store.make_service(*store.storage, small);
    for (std::uint64_t n = 0; n < 1500; ++n)
      store.put_sidecar(sample_entry(n), "a/" + std::to_string(n) + ".attr.json");
    store.full();
    for (std::uint64_t n = 0; n < 40; ++n) store.remove("a/" + std::to_string(n) + ".attr.json");
    const auto report =
        good(store.service->rebuild_incremental({.folder = "a", .prune = Prune::yes}, {}));
    CHECK(report.statistics.entries_deleted == 40);
    CHECK(store.head().count == 1460);
    CHECK(store.scanned_paths().size() == 1460);
  }

  TEST_CASE("an index that is nearly empty is filled in bulk, and what it held stays right") {
    Store store("mem:", "mem:");
    for (std::uint64_t n = 0; n < 11'000; ++n) store.put_sidecar(sample_entry(n));
    good(store.index->apply({.changes = std::vector{put_of(sample_entry(20'000))}}, {}));
    const RebuildReport report = store.full();
    CHECK(report.statistics.entries_created == 11'000);
    CHECK(report.statistics.entries_deleted == 1);
    CHECK(store.head().count == 11'000);
    CHECK(store.head().generation == 2);
    CHECK_FALSE(store.find(20'000).has_value());
    CHECK(store.incremental().statistics.entries_created == 0);
  }

  TEST_CASE("a load gone on with after all stamps have moved holds whole entries, once each") {
    const TempDir folder;
    constexpr std::uint64_t kFiles = 12'000;
    for (const std::string& storage :
         {std::string("mem:"), "file://" + (folder / "files") + "?create=on&sync=off"}) {
      Store store(storage, "sqlite://" + (folder / storage.substr(0, 3)) + "?sync=off");
      for (std::uint64_t n = 0; n < kFiles; ++n) store.put_sidecar(sample_entry(n));
      FaultyStorage faulty(*store.storage);
      store.make_service(faulty, {});
      faulty.fail(StorageOp::read_sidecars, {Errc::unavailable, "cut short"}, 8);
      CHECK_FALSE(store.service->rebuild_full({}, {}).has_value());
      for (std::uint64_t n = 0; n < kFiles; ++n) store.put_sidecar(sample_entry(n));
      CHECK(store.full().statistics.entries_created == kFiles);
      CHECK(store.head().count == kFiles);
      CHECK(store.head().position.digest == store.fresh_digest());
    }
  }

  TEST_CASE("[G11] with more files than are held at once, the parts together are the whole") {
    Store store("mem:", "mem:");
    RebuildSettings small;
    small.found_most = 256;
    store.make_service(*store.storage, small);
    store.fill(0, 1500);
    store.full();
    for (std::uint64_t n = 0; n < 40; ++n) store.remove(Store::sidecar_of(sample_entry(n * 7)));
    std::vector<EntryChange> changes;
    for (std::uint64_t n = 0; n < 25; ++n)
      changes.push_back(put_of(Store::changed(n * 7 + 1, "by hand")));
    good(store.index->apply({.changes = changes}, {}));
    const ConsistencyReport found = store.check();
    CHECK(found.count(FindingKind::orphan_cache) == 40);
    CHECK(found.count(FindingKind::stale) == 25);
    CHECK(found.count(FindingKind::orphan_data) == 40);
    const RebuildReport report = store.incremental(Prune::yes);
    CHECK(report.statistics.entries_deleted == 40);
    CHECK(report.statistics.entries_updated == 25);
    CHECK(store.head().position.digest == store.fresh_digest());
  }

  TEST_CASE("a walk whose taker throws ends, however many wait for it to go on") {
    Store store("mem:", "mem:");
    // More than the stages before the taker hold between them.
    for (int n = 0; n < 15'000; ++n)
      good(store.storage->put({.path = std::to_string(n) + ".attr.json"}, "none", {}));
    const reconcile::WalkPlan plan{
        .storage = *store.storage, .log = *store.index, .scanned = {}, .size_most = 100};
    const auto outcome = [&](auto taker) { return reconcile::walk(plan, taker, {}); };
    struct Foreign {};  // a host's own, such as what interrupts its threads
    for (const auto& walked :
         {outcome(ThrowingTaker<std::bad_alloc>()), outcome(ThrowingTaker<Foreign>())}) {
      REQUIRE_FALSE(walked.has_value());
      CHECK(walked.error().code == Errc::internal);
    }
  }

  TEST_CASE("with more entries to prune than are held at once, all of them go") {
    Store store("mem:", "mem:");
    RebuildSettings small;
    small.found_most = 256;
    store.make_service(*store.storage, small);
    store.fill(0, 1500);
    store.full();
    for (std::uint64_t n = 1; n < 1500; ++n) store.remove(Store::sidecar_of(sample_entry(n)));
    const ConsistencyReport found = store.check();
    CHECK(found.count(FindingKind::orphan_cache) == 256);
    CHECK_FALSE(found.verdict.complete());
    const RebuildReport report = store.incremental(Prune::yes);
    CHECK(report.statistics.entries_deleted == 1499);
    CHECK(report.verdict.complete());
    CHECK(store.head().count == 1);
  }

  TEST_CASE(
      "[G2] what a writer changes while a rebuild reads is not overwritten with something older") {
    Store store("mem:", "mem:");
    store.fill(0, 30);
    store.full();
    FaultyStorage slow(*store.storage);
    store.make_service(slow, {});
    // Between the reading of a sidecar and its way into the index somebody updates and removes.
    bool done = false;
    slow.before_each([&](StorageOp op, std::string_view path) {
      if (done || op != StorageOp::sidecar || path != Store::sidecar_of(sample_entry(7))) return;
      done = true;
      good(store.index->apply({.changes = std::vector{put_of(Store::changed(7, "by a writer")),
                                                      remove_of(sample_id(8))}},
                              {}));
      store.put_sidecar(Store::changed(7, "by a writer"));
      store.remove(Store::sidecar_of(sample_entry(8)));
    });
    store.full();
    CHECK(*store.find(7)->entry.description == "by a writer");
    CHECK_FALSE(store.find(8).has_value());
  }

  TEST_CASE("a file that comes while a pruning rebuild goes on does not outlive its sidecar") {
    for (const RunKind kind : {RunKind::full, RunKind::incremental}) {
      Store store("mem:", "mem:");
      store.fill(0, 10);
      store.full();
      store.put_sidecar(Store::changed(3, "to be opened"));
      FaultyStorage slow(*store.storage);
      store.make_service(slow, {});
      const std::string path = Store::sidecar_of(sample_entry(50));
      // When everything is listed somebody uploads.
      bool done = false;
      slow.before_each([&](StorageOp op, std::string_view) {
        if (done || op != StorageOp::read_sidecars) return;
        done = true;
        store.put_file(sample_entry(50));
        const EntryChange put = put_of(sample_entry(50));
        const ScannedFile scanned{.path = path,
                                  .stamp = good(store.storage->stat(path, {}))->stamp,
                                  .id = sample_id(50),
                                  .hash = put.put.hash,
                                  .updated_at = put.put.entry.updated_at};
        good(store.index->apply({.changes = {&put, 1}, .scanned = {&scanned, 1}}, {}));
      });
      if (kind == RunKind::full)
        store.full();
      else
        store.incremental(Prune::yes);
      slow.before_each({});
      REQUIRE(done);
      CHECK(store.find(50).has_value());
      const std::string_view asked = path;
      CHECK(good(store.index->find_scanned({&asked, 1}, {})).front().has_value());
      store.remove(path);
      CHECK(good(store.service->refresh(sample_id(50), {})) == RefreshOutcome::removed);
      CHECK_FALSE(store.find(50).has_value());
    }
  }

  TEST_CASE("[G2] a rebuild does not take back what was found against the index while it went on") {
    for_each_store([](Store& store) {
      store.fill(0, 10);
      store.full();
      FaultyStorage slow(*store.storage);
      store.make_service(slow, {});
      const auto rebuild_meeting = [&](const std::string& reason) {
        slow.before_each([&](StorageOp op, std::string_view) {
          if (op == StorageOp::batch) good(store.index->set_suspect(reason, 0, {}));
        });
        store.full();
        slow.before_each({});
      };
      rebuild_meeting("by a follower");
      CHECK(store.head().suspect_reason == "by a follower");
      rebuild_meeting("by another one");
      CHECK(store.head().suspect_reason == "by another one");
      store.full();
      CHECK(store.head().suspect_reason.empty());
    });
  }

  TEST_CASE(
      "[G9] an entry whose sidecar cannot be looked for is not pruned, and the verdict says so") {
    Store store("mem:", "mem:");
    store.fill(0, 10);
    store.full();
    store.remove(Store::sidecar_of(sample_entry(3)));
    FaultyStorage faulty(*store.storage);
    store.make_service(faulty, {});
    faulty.fail(StorageOp::stat, {Errc::unavailable, "stat: the disk does not answer"});
    const RebuildReport report = store.incremental(Prune::yes);
    CHECK_FALSE(report.verdict.complete());
    CHECK(report.statistics.entries_deleted == 0);
    CHECK(store.find(3).has_value());
  }

  TEST_CASE("a rebuild whose storage or index fails at any call leaves an index that is whole") {
    for (const StorageOp op : {StorageOp::list, StorageOp::batch, StorageOp::read_sidecars})
      for (std::size_t nth = 1; nth < 4; ++nth) {
        Store store("mem:", "mem:");
        store.fill(0, 20);
        store.full();
        store.put_sidecar(Store::changed(3, "changed"));
        const IndexHead before = store.head();
        FaultyStorage faulty(*store.storage);
        store.make_service(faulty, {});
        faulty.fail(op, {Errc::unavailable, "faulty"}, nth);
        const auto failed = store.service->rebuild_full({}, {});
        if (!failed) {
          CHECK(failed.error().code == Errc::unavailable);
          CHECK(store.head().count == before.count);
        }
        store.make_service(*store.storage, {});
        const RebuildReport after = store.full();
        CHECK(after.verdict.complete());
        CHECK(*store.find(3)->entry.description == "changed");
      }
  }

  TEST_CASE("a second rebuild is busy and names the first; a stopped one can be gone on with") {
    for_each_store([](Store& store) {
      store.fill(0, 10);
      const Lease lease = store.hold(LockClass::manual_rebuild);
      const auto busy = store.service->rebuild_full({}, {});
      REQUIRE_FALSE(busy.has_value());
      CHECK(busy.error().code == Errc::busy);
      CHECK(busy.error().message.starts_with("Cannot acquire lock: "));
      CHECK(store.service->cleanup_expired({}).error().code == Errc::busy);
      good(store.locks->release(lease, {}));
      std::stop_source stop;
      stop.request_stop();
      CHECK(store.service->rebuild_full({}, stoppable(stop)).error().code == Errc::cancelled);
      CHECK(store.full().statistics.entries_created == 10);
    });
  }

  TEST_CASE("a full rebuild that was cut short opens only what it had not come to") {
    Store store("mem:", "mem:");
    store.fill(0, 2000);
    store.full();
    store.clock.advance(std::chrono::seconds(5));
    store.full();  // now every stamp is settled
    FaultyStorage faulty(*store.storage);
    store.make_service(faulty, {});
    faulty.fail(StorageOp::read_sidecars, {Errc::unavailable, "cut short"}, 2);
    const std::size_t before = faulty.count(StorageOp::sidecar);
    CHECK_FALSE(store.service->rebuild_full({}, {}).has_value());
    const std::size_t left = 2000 - (faulty.count(StorageOp::sidecar) - before);
    const RebuildReport report = store.full();
    // Of what was read, the last half of a chunk may have been on its way still.
    CHECK(left < 2000);
    CHECK(report.statistics.sidecars_opened <= left + 500);
    CHECK(report.statistics.sidecars_opened >= left);
    CHECK(store.full().statistics.sidecars_opened == 2000);
  }

  TEST_CASE("what one reader is at is taken, also where the listing had to wait for another") {
    constexpr std::size_t kFiles = 14'000;  // more than may wait to be read
    Store store("mem:", "mem:");
    store.fill(0, kFiles);
    store.full();
    store.clock.advance(std::chrono::seconds(5));
    store.full();
    FaultyStorage faulty(*store.storage);
    store.make_service(faulty, {});
    faulty.fail(StorageOp::read_sidecars, {Errc::unavailable, "cut short"}, 2);
    const std::size_t before = faulty.count(StorageOp::sidecar);
    std::atomic<int> lots{0};
    faulty.before_each([&](StorageOp op, std::string_view) {
      // So that the one is still at its lot when the other has failed, and the listing has ended.
      if (op == StorageOp::sidecar) std::this_thread::sleep_for(std::chrono::microseconds(200));
      if (op != StorageOp::read_sidecars || ++lots != 2) return;
      while (faulty.count(StorageOp::sidecar) - before < 600) std::this_thread::yield();
    });
    CHECK_FALSE(store.service->rebuild_full({}, {}).has_value());
    faulty.before_each({});
    const std::size_t left = kFiles - (faulty.count(StorageOp::sidecar) - before);
    CHECK(left < kFiles - 500);
    CHECK(store.full().statistics.sidecars_opened <= left + 500);
  }
}
