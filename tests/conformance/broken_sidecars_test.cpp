// SPDX-License-Identifier: Apache-2.0
// What stands where a sidecar should, and is none: counted and named, and the rest goes on.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "conformance/reconcile_suite.hpp"

namespace artcache::test {
namespace {

/// On local files: elsewhere there are no links and pipes.
struct Local {
  TempDir folder;
  Store store{"file://" + (folder / "files") + "?create=on&sync=off", "mem:"};

  Local() {
    store.fill(0, 20);
    store.full();
  }
  [[nodiscard]] std::string path_of(std::uint64_t n) const {
    return folder / ("files/" + Store::sidecar_of(sample_entry(n)));
  }
  void make_pipe(std::uint64_t n) const {
    std::filesystem::remove(path_of(n));
    REQUIRE(::mkfifo(path_of(n).c_str(), 0600) == 0);
  }
  void make_link(std::uint64_t n) const {
    std::filesystem::rename(path_of(n), folder / "elsewhere");
    std::filesystem::create_symlink(folder / "elsewhere", path_of(n));
  }
};

bool names(const MessageList& list, const std::string& path, const std::string& what) {
  return std::ranges::any_of(list.texts, [&](const std::string& text) {
    return text.find(path) != std::string::npos && text.find(what) != std::string::npos;
  });
}

}  // namespace

TEST_SUITE("broken sidecars") {
  TEST_CASE("[G12] a link or a pipe in place of a sidecar is unreadable, and its entry stays") {
    Local local;
    Store& store = local.store;
    local.make_pipe(4);
    local.make_link(5);
    for (const RebuildReport& report : {store.full(), store.incremental(Prune::yes)}) {
      CHECK(report.statistics.unreadable == 2);
      CHECK(report.errors.total == 2);
      CHECK(names(report.errors, Store::sidecar_of(sample_entry(4)), "is a named pipe"));
      CHECK(names(report.errors, Store::sidecar_of(sample_entry(5)), "is a symbolic link"));
      CHECK(report.statistics.entries_deleted == 0);
      CHECK(report.verdict.complete());
    }
    const ConsistencyReport report = store.check();
    CHECK(report.count(FindingKind::unreadable) == 2);
    CHECK(report.count(FindingKind::orphan_cache) == 0);
    CHECK(report.count(FindingKind::orphan_data) == 0);
    CHECK(report.total_attr_files == 18);
    CHECK(store.find(4)->entry == sample_entry(4));
    CHECK(store.find(5)->entry == sample_entry(5));
  }

  TEST_CASE("no one link ends a check or a repair, wherever it stands") {
    Local local;
    Store& store = local.store;
    local.make_link(5);
    store.put_sidecar(Store::changed(6, "newer", 5), "moved/newer.attr.json");
    store.full();
    // The entry of 6 is of the newer one now, which has become a link.
    const std::string newer = local.folder / "files/moved/newer.attr.json";
    std::filesystem::remove(newer);
    std::filesystem::create_symlink(local.path_of(7), newer);
    CHECK(store.check().count(FindingKind::unreadable) == 2);
    CHECK(good(store.service->repair({}, {})).left_total == 2);
    CHECK(*store.find(6)->entry.description == "newer");
  }

  TEST_CASE("a name that bears another id than its sidecar is named; the id inside counts") {
    Local local;
    Store& store = local.store;
    FileEntry entry = sample_entry(30);
    const std::string text = to_string(entry.id);
    const std::string path = "by hand/plan_ann_20240101T000000_" + to_string(sample_id(31)) +
                             ".pdf" + std::string(kSidecarSuffix);
    store.put_sidecar(entry, path);
    store.put_sidecar(sample_entry(32), "by hand/no id at all.attr.json");
    store.put_sidecar(sample_entry(33), "by hand/a_" + to_string(sample_id(33)) + ".pdf.attr.json");
    const RebuildReport report = store.incremental();
    CHECK(report.errors.total == 1);
    CHECK(names(report.errors, path, "tells of " + text));
    CHECK(names(store.check().errors, path, "rename it, or mend its file_id"));
    CHECK(store.find(30)->entry.id == entry.id);
    CHECK_FALSE(store.find(31).has_value());
  }
}

}  // namespace artcache::test
