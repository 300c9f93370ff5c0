// SPDX-License-Identifier: Apache-2.0
// What a comparison leaves alone, and what it looks at again: stamps, positions and revisions.
#include <atomic>

#include "conformance/reconcile_suite.hpp"
#include "support/faulty_storage.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

/// In memory, where stamps settle by the clock of the test.
struct Quiet {
  explicit Quiet(std::uint64_t files) : store("mem:", "mem:"), faulty(*store.storage) {
    store.fill(0, files);
    store.full();
    settle();
    store.make_service(faulty, {});
  }
  /// From now on all stamps vouch for what was read.
  void settle() {
    store.clock.advance(std::chrono::seconds(5));
    store.full();
  }
  /// As an element does it: sidecar, then entry.
  void write(const FileEntry& entry) {
    store.put_sidecar(entry, Store::sidecar_of(entry));
    const EntryChange change = put_of(entry);
    good(store.index->apply({.changes = {&change, 1}}, {}));
  }
  /// Does that once somebody has read this sidecar, and before anything follows from it.
  void once_read(const std::string& sidecar, std::function<void()> act) {
    faulty.before_each([this, sidecar, act](StorageOp op, std::string_view path) {
      if (op != StorageOp::sidecar || path != sidecar || acted.exchange(true)) return;
      act();
    });
  }
  std::string sidecar(std::uint64_t n) { return Store::sidecar_of(sample_entry(n)); }

  Store store;
  FaultyStorage faulty;
  std::atomic<bool> acted{false};
};

}  // namespace

TEST_SUITE("rebuild guards") {
  TEST_CASE("files that were only touched are opened by one rebuild, and by no further one") {
    Quiet quiet(20);
    for (std::uint64_t n = 0; n < 20; ++n) quiet.store.put_sidecar(sample_entry(n));
    quiet.settle();
    CHECK(quiet.store.incremental().statistics.sidecars_opened == 0);
  }

  TEST_CASE("an incremental rebuild sees a change that leaves a sidecar as long as it was") {
    Quiet quiet(5);
    quiet.store.put_sidecar(Store::changed(2, "one"));
    quiet.store.incremental();
    quiet.settle();
    quiet.store.put_sidecar(Store::changed(2, "two"));
    quiet.store.clock.advance(std::chrono::seconds(5));
    CHECK(quiet.store.incremental().statistics.sidecars_opened == 1);
    CHECK(*quiet.store.find(2)->entry.description == "two");
  }

  TEST_CASE("a full rebuild that is gone on with sees what has changed behind where it had come") {
    Quiet quiet(2000);
    quiet.faulty.fail(StorageOp::read_sidecars, {Errc::unavailable, "cut short"}, 2);
    CHECK_FALSE(quiet.store.service->rebuild_full({}, {}).has_value());
    for (std::uint64_t n = 0; n < 2000; ++n) quiet.store.put_sidecar(Store::changed(n, "since"));
    quiet.store.clock.advance(std::chrono::seconds(5));
    quiet.store.full();
    CHECK(quiet.store.head().position.digest == quiet.store.fresh_digest());
  }

  TEST_CASE("[G2] what was read is not put over what a writer has put since") {
    Quiet quiet(5);
    quiet.store.put_sidecar(Store::changed(2, "by hand", 9));
    quiet.once_read(quiet.sidecar(2), [&] { quiet.write(Store::changed(2, "written", 1)); });
    SUBCASE("by a full rebuild") { quiet.store.full(); }
    SUBCASE("by an incremental one") { quiet.store.incremental(); }
    SUBCASE("by a refresh") { good(quiet.store.service->refresh(sample_id(2), {})); }
    CHECK(quiet.acted);
    CHECK(*quiet.store.find(2)->entry.description == "written");
  }

  TEST_CASE("[G2] an entry that was written since its sidecar was missed stays") {
    Quiet quiet(5);
    quiet.store.remove(quiet.sidecar(2));
    quiet.once_read(quiet.sidecar(2), [&] { quiet.write(Store::changed(2, "written")); });
    CHECK(good(quiet.store.service->refresh(sample_id(2), {})) == RefreshOutcome::refreshed);
    CHECK(quiet.acted);
    REQUIRE(quiet.store.find(2));
    CHECK(*quiet.store.find(2)->entry.description == "written");
  }

  TEST_CASE("[G2] an entry that was written since its sidecar told of another file stays") {
    Quiet quiet(5);
    FileEntry other = Store::changed(2, "under another id");
    other.id = sample_id(50);
    quiet.store.put_sidecar(other, quiet.sidecar(2));
    quiet.once_read(quiet.sidecar(2), [&] { quiet.write(Store::changed(2, "written")); });
    good(quiet.store.service->refresh(sample_id(2), {}));
    CHECK(quiet.acted);
    REQUIRE(quiet.store.find(2));
    CHECK(*quiet.store.find(2)->entry.description == "written");
  }

  TEST_CASE("[G2] a pruned entry that was written since its sidecar was missed stays") {
    Quiet quiet(5);
    std::string first;  // of two whose sidecars are gone, the one that is looked for first
    std::uint64_t written = 0;
    for (const std::uint64_t n : {2U, 3U}) quiet.store.remove(quiet.sidecar(n));
    quiet.faulty.before_each([&](StorageOp op, std::string_view path) {
      if (op != StorageOp::stat || written != 0) return;
      if (first.empty()) {
        first = path;
        return;
      }
      written = first == quiet.sidecar(2) ? 2 : 3;
      quiet.write(Store::changed(written, "written"));
    });
    quiet.store.full();
    REQUIRE(written != 0);
    REQUIRE(quiet.store.find(written));
    CHECK(*quiet.store.find(written)->entry.description == "written");
    CHECK(!quiet.store.find(5 - written));
  }

  TEST_CASE("[G2] a twin does not take the place of what was written since it was read") {
    Quiet quiet(5);
    const std::string twin = "elsewhere/twin.attr.json";
    quiet.store.put_sidecar(Store::changed(2, "older", -5), twin);
    quiet.store.full();
    quiet.store.remove(quiet.sidecar(2));
    quiet.once_read(twin, [&] { quiet.write(Store::changed(2, "written")); });
    good(quiet.store.service->refresh(sample_id(2), {}));
    CHECK(quiet.acted);
    CHECK(*quiet.store.find(2)->entry.description == "written");
  }
}
