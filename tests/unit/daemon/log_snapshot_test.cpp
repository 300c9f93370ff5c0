// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <artcache/backends.hpp>
#include <memory>
#include <utility>
#include <vector>

#include "roles/element/log_snapshot.hpp"
#include "support/fake_clock.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"
#include "tokens.hpp"
#include "util/try.hpp"

namespace artcache::element {
namespace {

using namespace std::chrono_literals;

/// An index with more than a snapshot holds ready, and those who read it.
struct Large {
  Large() {
    const std::string address = "sqlite://" + (folder / "index.db");
    index = auth::must(
        Backends::builtin().open_index(auth::must(Url::parse(address)), Deps{.clock = &clock}, {}));
    std::vector<EntryChange> changes;
    for (std::uint64_t n = 0; n < 2000; ++n) {
      FileEntry entry = test::sample_entry(n);
      entry.description = std::string(4000, 'd');
      changes.push_back(test::put_of(std::move(entry)));
    }
    auth::must(index->apply({.changes = changes}, {}));
  }

  std::unique_ptr<LogSnapshot> read(std::chrono::nanoseconds limit) {
    auto place = SnapshotPlace::take(taken, 4);
    REQUIRE(place);
    return std::make_unique<LogSnapshot>(*index, "", *std::move(place),
                                         SnapshotLimit{.time = limit, .clock = &clock});
  }
  /// Bytes until the end.
  static Result<std::size_t> rest_of(LogSnapshot& snapshot) {
    std::byte piece[64 * 1024];
    for (std::size_t all = 0;;) {
      ARTCACHE_TRY(const std::size_t bytes, snapshot.read(piece, {}));
      if (bytes == 0) return all;
      all += bytes;
    }
  }

  test::TempDir folder;
  test::FakeClock clock;
  std::unique_ptr<MetadataStore> index;
  SnapshotPlace::All taken = std::make_shared<std::atomic<int>>(0);
};

TEST_SUITE_BEGIN("log snapshot");

TEST_CASE("a snapshot that is read slowly ends with its limit, and with it what it holds") {
  Large large;
  const auto snapshot = large.read(1h);
  std::byte piece[1000];
  CHECK(auth::must(snapshot->read(piece, {})) > 0);
  large.clock.advance(1h);
  const auto rest = Large::rest_of(*snapshot);
  REQUIRE_FALSE(rest);
  CHECK(rest.error().code == Errc::timed_out);
  CHECK(rest.error().message.find("snapshot_limit") != std::string::npos);
}

TEST_CASE("a snapshot without a limit takes as long as it takes") {
  Large large;
  const auto snapshot = large.read(0ns);
  std::byte piece[1000];
  CHECK(auth::must(snapshot->read(piece, {})) > 0);
  large.clock.advance(std::chrono::hours(1000));
  CHECK(auth::must(Large::rest_of(*snapshot)) > 2000 * 4000);
}

TEST_CASE("a place is given back in the end, also by one that was refused or moved") {
  const auto taken = std::make_shared<std::atomic<int>>(0);
  {
    auto first = SnapshotPlace::take(taken, 2);
    REQUIRE(first);
    const SnapshotPlace moved = *std::move(first);
    const auto second = SnapshotPlace::take(taken, 2);
    CHECK(second);
    CHECK_FALSE(SnapshotPlace::take(taken, 2));
    CHECK(*taken == 2);
  }
  CHECK(*taken == 0);
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::element
