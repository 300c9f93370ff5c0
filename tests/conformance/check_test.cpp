// SPDX-License-Identifier: Apache-2.0
// Check and repair: what they find, what they mend, and what they leave alone.
#include <algorithm>
#include <filesystem>
#include <iterator>

#include "conformance/reconcile_suite.hpp"
#include "support/faulty_storage.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

std::vector<FileId> ids_of(const ConsistencyReport& report, FindingKind kind) {
  std::vector<FileId> ids;
  for (const Finding& finding : report.findings)
    if (finding.kind == kind && finding.id) ids.push_back(*finding.id);
  std::ranges::sort(ids);
  return ids;
}

std::vector<FileId> sorted(std::vector<FileId> ids) {
  std::ranges::sort(ids);
  return ids;
}

/// Two files of each kind of damage.
void damage(Store& store) {
  store.fill(0, 40);
  store.clock.advance(std::chrono::seconds(10));
  store.full();
  for (const std::uint64_t n : {1U, 2U}) store.remove(Store::sidecar_of(sample_entry(n)));
  for (const std::uint64_t n : {50U, 51U}) store.put_file(sample_entry(n));
  for (const std::uint64_t n : {5U, 6U}) store.put_sidecar(Store::changed(n, "changed"));
  for (const std::uint64_t n : {8U, 9U}) store.remove(sample_entry(n).data_path());
  for (const std::uint64_t n : {11U, 12U})
    good(store.storage->put({.path = sample_entry(n).data_path()}, "short", {}));
  good(store.storage->put({.path = Store::sidecar_of(sample_entry(14))}, "broken", {}));
}

}  // namespace

TEST_SUITE("check") {
  TEST_CASE("no file of an index that lies inside the storage is data") {
    const TempDir folder;
    for (const std::string prefix : {"", "se_01"}) {
      INFO("prefix ", prefix);
      const std::string root = folder / ("files" + prefix), index = root + "/index.db";
      std::filesystem::create_directory(root);
      Store store("file://" + root, "sqlite://" + index + "?prefix=" + prefix);
      store.storage->hide(index);
      store.fill(0, 3);
      store.full();
      const auto beside = std::filesystem::directory_iterator(root);
      CHECK(std::distance(begin(beside), end(beside)) > 3);
      CHECK(store.check().findings.empty());
    }
  }

  TEST_CASE("a check finds each kind of damage, exactly, and changes nothing") {
    for_each_store([](Store& store) {
      damage(store);
      const IndexHead before = store.head();
      const ConsistencyReport report = store.check();
      CHECK(ids_of(report, FindingKind::orphan_cache) == sorted({sample_id(1), sample_id(2)}));
      CHECK(ids_of(report, FindingKind::orphan_attr) == sorted({sample_id(50), sample_id(51)}));
      CHECK(ids_of(report, FindingKind::stale) == sorted({sample_id(5), sample_id(6)}));
      CHECK(ids_of(report, FindingKind::missing_data) == sorted({sample_id(8), sample_id(9)}));
      CHECK(ids_of(report, FindingKind::size_mismatch) == sorted({sample_id(11), sample_id(12)}));
      CHECK(report.count(FindingKind::orphan_data) == 2);
      CHECK(report.count(FindingKind::unreadable) == 1);
      CHECK(report.count(FindingKind::expired) == 0);
      CHECK(report.total_attr_files == 39);
      CHECK(report.total_cache_entries == 40);
      CHECK_FALSE(report.is_consistent());
      CHECK(report.inconsistency_percentage() == doctest::Approx(15.0));
      CHECK(report.verdict.complete());
      CHECK(report.verdict.from == before.position);
      CHECK(store.head().position == before.position);
    });
  }

  TEST_CASE("an empty index over a store, and an index over an empty store, are seen whole") {
    for_each_store([](Store& store) {
      store.fill(0, 30);
      ConsistencyReport report = store.check();
      CHECK(report.count(FindingKind::orphan_attr) == 30);
      CHECK(report.inconsistency_percentage() == doctest::Approx(100.0));
      CHECK_FALSE(report.suspect_reason.empty());
      store.full();
      for (std::uint64_t n = 0; n < 30; ++n) {
        store.remove(Store::sidecar_of(sample_entry(n)));
        store.remove(sample_entry(n).data_path());
      }
      report = store.check();
      CHECK(report.count(FindingKind::orphan_cache) == 30);
      CHECK(report.total_attr_files == 0);
    });
  }

  TEST_CASE("[G11] details stop at their limit, the counts and the stream of findings do not") {
    Store store("mem:", "mem:");
    RebuildSettings few;
    few.details_most = 4;
    store.make_service(*store.storage, few);
    store.fill(0, 20);
    std::size_t streamed = 0;
    const auto report = good(
        store.service->check_consistency({.on_finding = [&](const Finding&) { ++streamed; }}, {}));
    CHECK(report.count(FindingKind::orphan_attr) == 20);
    CHECK(report.findings.size() == 4);
    CHECK(streamed == 20);
    JsonWriter json;
    json.begin_object();
    append_members(json, report);
    json.end_object();
    CHECK(json.str().find("\"orphan_attr_count\":20") != std::string::npos);
    CHECK(json.str().find("\"details_truncated\":true") != std::string::npos);
    CHECK(json.str().find("\"inconsistency_percentage\":100.0") != std::string::npos);
  }

  TEST_CASE("what has an intent is pending, and no orphan") {
    for_each_store([](Store& store) {
      store.fill(0, 5);
      store.full();
      const FileEntry uploading = sample_entry(60);
      good(store.index->add_intent({.id = uploading.id,
                                    .path = Store::sidecar_of(uploading),
                                    .operation = Intent::Operation::upload,
                                    .begun_at = store.clock.now()},
                                   {}));
      store.put_file(uploading);
      const ConsistencyReport report = store.check();
      CHECK(report.count(FindingKind::pending) == 1);
      CHECK(report.count(FindingKind::orphan_attr) == 0);
      CHECK(report.is_consistent());
    });
  }

  TEST_CASE("[G9] what is written while a check runs is no finding, counted or told") {
    for_each_store([](Store& store) {
      store.fill(0, 40);
      store.clock.advance(std::chrono::seconds(10));
      store.full();
      // Of each kind the first ten are mended while the check runs.
      for (std::uint64_t n = 0; n < 15; ++n) store.put_sidecar(Store::changed(n, "changed"));
      for (std::uint64_t n = 20; n < 35; ++n) store.remove(Store::sidecar_of(sample_entry(n)));
      CacheRebuildService writer(*store.storage, *store.index, *store.locks, {.element = "se-01"},
                                 store.deps);
      FaultyStorage storage(*store.storage);
      bool mended = false;
      storage.before_each([&](StorageOp op, std::string_view) {
        // It is asked for when everything was compared, to confirm what has no sidecar.
        if (op != StorageOp::stat || std::exchange(mended, true)) return;
        for (std::uint64_t n = 0; n < 10; ++n)
          CHECK(good(writer.refresh(sample_id(n), {})) == RefreshOutcome::refreshed);
        for (std::uint64_t n = 20; n < 30; ++n)
          CHECK(good(writer.refresh(sample_id(n), {})) == RefreshOutcome::removed);
      });
      RebuildSettings few;
      few.details_most = 3;
      store.make_service(storage, few);
      std::vector<FileId> told;
      const auto tell = [&](const Finding& finding) {
        if (finding.kind != FindingKind::orphan_data) told.push_back(*finding.id);
      };
      const auto report = good(store.service->check_consistency({.on_finding = tell}, {}));
      CHECK(mended);
      CHECK(report.count(FindingKind::stale) == 5);
      CHECK(report.count(FindingKind::orphan_cache) == 5);
      std::vector<FileId> left;
      for (std::uint64_t n = 10; n < 15; ++n) left.push_back(sample_id(n));
      for (std::uint64_t n = 30; n < 35; ++n) left.push_back(sample_id(n));
      CHECK(sorted(told) == sorted(left));
      for (const Finding& finding : report.findings)
        CHECK((!finding.id || std::ranges::count(left, *finding.id) == 1));
    });
  }

  TEST_CASE("what was told and then mended while the check goes on is not counted") {
    Store store("mem:", "mem:");
    store.fill(0, 10);
    store.clock.advance(std::chrono::seconds(10));
    store.full();
    for (std::uint64_t n = 0; n < 10; ++n) store.put_sidecar(Store::changed(n, "changed"));
    store.fill(1000, 2200);  // so many that the first of them count before the end
    CacheRebuildService writer(*store.storage, *store.index, *store.locks, {.element = "se-01"},
                               store.deps);
    std::size_t told = 0;
    const auto tell = [&](const Finding& finding) {
      ++told;
      if (finding.kind == FindingKind::stale) (void)writer.refresh(*finding.id, {});
    };
    RebuildSettings few;
    few.details_most = 3;
    store.make_service(*store.storage, few);
    const auto report = good(store.service->check_consistency({.on_finding = tell}, {}));
    CHECK(told == 1210);
    CHECK(report.count(FindingKind::stale) == 0);
    CHECK(report.count(FindingKind::orphan_attr) == 1200);
    CHECK(report.findings.size() == 3);
  }

  TEST_CASE("an upload that begins while a check runs is no orphan") {
    for_each_store([](Store& store) {
      store.fill(0, 5);
      store.full();
      FaultyStorage storage(*store.storage);
      bool begun = false;
      storage.before_each([&](StorageOp op, std::string_view) {
        if (op != StorageOp::list || std::exchange(begun, true)) return;
        const FileEntry uploading = sample_entry(60);
        good(store.index->add_intent({.id = uploading.id,
                                      .path = Store::sidecar_of(uploading),
                                      .operation = Intent::Operation::upload,
                                      .begun_at = store.clock.now()},
                                     {}));
        store.put_file(uploading);
        const FileEntry without_sidecar = sample_entry(61);
        good(store.index->add_intent({.id = without_sidecar.id,
                                      .path = Store::sidecar_of(without_sidecar),
                                      .operation = Intent::Operation::upload,
                                      .begun_at = store.clock.now()},
                                     {}));
        good(store.storage->put({.path = without_sidecar.data_path()}, "some", {}));
      });
      store.make_service(storage, {});
      const ConsistencyReport report = store.check();
      CHECK(begun);
      CHECK(report.count(FindingKind::orphan_attr) == 0);
      CHECK(report.count(FindingKind::orphan_data) == 0);
      CHECK(report.is_consistent());
    });
  }

  TEST_CASE("changed bytes of a data file show when its checksum is verified") {
    for_each_store([](Store& store) {
      FileEntry entry = sample_entry(3);
      entry.file_size = 3;
      // SHA-256 of "abc".
      entry.checksum = good(
          Sha256Sum::parse("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
      good(store.storage->put({.path = entry.data_path()}, "abc", {}));
      store.put_sidecar(entry);
      store.full();
      const CheckRequest with_data{.data = DataCheck::checksums};
      auto report = good(store.service->check_consistency(with_data, {}));
      CHECK(report.data_files_verified == 1);
      CHECK(report.count(FindingKind::bad_checksum) == 0);
      good(store.storage->put({.path = entry.data_path()}, "abd", {}));
      report = good(store.service->check_consistency(with_data, {}));
      CHECK(report.count(FindingKind::bad_checksum) == 1);
      CHECK(report.is_consistent());
    });
  }

  TEST_CASE("[G12] a file that was moved with its sidecar is verified and mended where it lies") {
    for_each_store([](Store& store) {
      FileEntry entry = sample_entry(3);
      entry.file_size = 3;
      const std::string data = "elsewhere/moved.bin", sidecar = data + std::string(kSidecarSuffix);
      good(store.storage->put({.path = data}, "abd", {}));
      store.put_sidecar(entry, sidecar);
      store.full();
      const ConsistencyReport report =
          good(store.service->check_consistency({.data = DataCheck::checksums}, {}));
      CHECK(report.data_files_verified == 1);
      CHECK(report.count(FindingKind::bad_checksum) == 1);
      store.remove(sidecar);
      CHECK(good(store.service->repair({.from = RepairFrom::index}, {})).sidecars_written == 1);
      CHECK(good(store.storage->stat(sidecar, {})).has_value());
      CHECK(store.check().is_consistent());
    });
  }
}

TEST_SUITE("repair") {
  TEST_CASE("repair from the storage makes index and sidecars agree, and names the rest") {
    for_each_store([](Store& store) {
      damage(store);
      const IndexHead before = store.head();
      const RepairReport dry = good(store.service->repair({.dry_run = DryRun::yes}, {}));
      CHECK(dry.entries_put == 4);
      CHECK(dry.entries_removed == 2);
      CHECK(store.head().position == before.position);
      const RepairReport report = good(store.service->repair({}, {}));
      CHECK(report.entries_put == 4);
      CHECK(report.entries_removed == 2);
      CHECK(report.sidecars_written == 0);
      CHECK(report.left_total == 7);  // 2 + 2 + 2 of data files, one unreadable sidecar
      const ConsistencyReport check = store.check();
      CHECK(check.is_consistent());
      CHECK(store.head().suspect_reason.empty());
    });
  }

  TEST_CASE("repair from the index writes lost sidecars where the data file stands") {
    for_each_store([](Store& store) {
      store.fill(0, 10);
      store.full();
      store.remove(Store::sidecar_of(sample_entry(1)));
      store.remove(Store::sidecar_of(sample_entry(2)));
      store.remove(sample_entry(2).data_path());
      const RepairRequest from_index{.from = RepairFrom::index};
      const RepairReport dry =
          good(store.service->repair({.from = RepairFrom::index, .dry_run = DryRun::yes}, {}));
      CHECK(dry.sidecars_written == 1);
      CHECK(store.check().count(FindingKind::orphan_cache) == 2);
      const RepairReport report = good(store.service->repair(from_index, {}));
      CHECK(report.sidecars_written == 1);
      CHECK(report.left_total == 1);
      CHECK(report.left.front().id == sample_id(2));
      CHECK(report.left.front().detail == "its data file is gone too");
      CHECK(store.find(1)->entry == sample_entry(1));
      CHECK(store.find(2).has_value());  // all that is left of it
      CHECK(store.check().count(FindingKind::orphan_cache) == 1);
    });
  }

  TEST_CASE("an element that may not be written to gets no sidecar") {
    Store store("mem:", "mem:");
    RebuildSettings archive;
    archive.mode = ElementMode::ar;
    store.make_service(*store.storage, archive);
    store.fill(0, 4);
    store.full();
    store.remove(Store::sidecar_of(sample_entry(1)));
    const RepairReport report = good(store.service->repair({.from = RepairFrom::index}, {}));
    CHECK(report.sidecars_written == 0);
    CHECK(report.left_total == 2);  // the entry, and its data file
    CHECK_FALSE(good(store.storage->stat(Store::sidecar_of(sample_entry(1)), {})).has_value());
  }
}

TEST_SUITE("freshness") {
  TEST_CASE("an entry that nobody has scanned goes with its sidecar, or to another one of its id") {
    for_each_store([](Store& store) {
      store.fill(0, 5);
      const FileEntry copied = sample_entry(3);
      store.full();
      store.put_sidecar(copied, "copies/3.attr.json");
      store.incremental();
      for (const std::uint64_t n : {1U, 2U, 3U}) {
        const FileId id = sample_id(n);
        const std::string path = good(store.index->briefs({&id, 1}, {})).front()->sidecar_path;
        const std::string_view unscanned = path;
        good(store.index->apply({.unscanned = {&unscanned, 1}}, {}));
        store.remove(path);
      }
      CHECK(good(store.service->refresh(sample_id(1), {})) == RefreshOutcome::removed);
      store.clock.advance(std::chrono::hours(25));
      const RebuildReport report = good(store.service->cleanup_expired({}));
      CHECK(report.statistics.entries_deleted == 4);
      CHECK(report.statistics.entries_refreshed == 3);
      CHECK_FALSE(store.find(1));
      CHECK_FALSE(store.find(2));
      CHECK(store.find(3)->entry == copied);
      CHECK(store.check().is_consistent());
      CHECK(store.check().count(FindingKind::expired) == 0);
    });
  }
}
