// SPDX-License-Identifier: Apache-2.0
// What others do to an index in the middle of a rebuild.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>

#include "conformance/reconcile_suite.hpp"
#include "support/faulty_storage.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

constexpr std::uint64_t kFiles = 2400, kEach = 400;
// Nobody waits so long for a rebuild that goes on, and for one that waits for this write for ever.
constexpr std::chrono::seconds kForEver{300};

/// Writes one row, on another thread, and says whether that came to an end.
bool write_row(MetadataStore& index, std::uint64_t n) {
  std::stop_source stop;
  const EntryChange change = put_of(sample_entry(n));
  auto written = std::async(std::launch::async, [&] {
    return index.apply({.changes = {&change, 1}}, stoppable(stop)).has_value();
  });
  const bool ended = written.wait_for(kForEver) == std::future_status::ready;
  stop.request_stop();
  return written.get() && ended;
}

/// A full rebuild in which a row is written before each kEach-th sidecar is there; it waits for
/// that write. How many were written, with `look` after each.
std::uint64_t rebuild_beside_writes(Store& s, std::uint64_t from,
                                    const std::function<void(std::uint64_t)>& look) {
  FaultyStorage storage(*s.storage);
  std::atomic<std::uint64_t> read = 0, written = 0;
  std::mutex one;
  storage.before_each([&](StorageOp op, std::string_view) {
    if (op != StorageOp::sidecar || ++read % kEach != 0) return;
    const std::scoped_lock held(one);
    const std::uint64_t n = from + written;
    if (!write_row(*s.index, n)) return;
    ++written;
    look(n);
  });
  s.make_service(storage, {});
  CHECK(s.full().statistics.sidecars_opened == kFiles);
  s.make_service(*s.storage, {});
  return written;
}

}  // namespace

TEST_SUITE("beside rebuilds") {
  TEST_CASE("[G1] a write in the middle of a rebuild is done while the rebuild cannot go on") {
    for_each_store([](Store& s) {
      for (std::uint64_t n = 0; n < kFiles; ++n) s.put_sidecar(sample_entry(n));
      std::uint64_t last = 0;
      INFO("an empty index is loaded");
      CHECK(rebuild_beside_writes(s, 10'000, [&](std::uint64_t n) {
              CHECK(s.find(n).has_value());
            }) == kFiles / kEach);
      CHECK(s.head().count >= kFiles);

      INFO("then every entry is changed");
      for (std::uint64_t n = 0; n < kFiles; ++n) s.put_sidecar(Store::changed(n, "changed"));
      CHECK(rebuild_beside_writes(s, 20'000, [&](std::uint64_t n) {
              CHECK(s.find(n).has_value());
              CHECK(s.find(n % kFiles).has_value());
              CHECK(s.head().count >= kFiles);
              last = n;
            }) == kFiles / kEach);
      CHECK(last == 20'000 + kFiles / kEach - 1);
      CHECK(s.find(7)->entry.description == "changed");
    });
  }
}
