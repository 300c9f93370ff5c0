// SPDX-License-Identifier: Apache-2.0
// The storage that fails on order does what it is told, and nothing else.
#include "support/faulty_storage.hpp"

#include <doctest/doctest.h>

#include <array>
#include <artcache/backends.hpp>
#include <atomic>

#include "conformance/storage_suite.hpp"

namespace artcache::test {
namespace {

const Error kDown{Errc::unavailable, "down"};

struct Place {
  Result<std::unique_ptr<StorageBackend>> opened =
      Backends::builtin().open_storage(Url::parse("mem:").value(), {}, {});
  FaultyStorage storage{**opened};
};

Errc code_of(const auto& result) { return result ? Errc::internal : result.error().code; }

}  // namespace

TEST_SUITE("faulty storage") {
  TEST_CASE("without orders everything passes, and is counted") {
    Place place;
    put(place.storage, "a.attr.json", "{}");
    CHECK(content(place.storage, "a.attr.json").value() == "{}");
    CHECK(list(place.storage).times.size() == 1);
    CHECK(read_sidecars(place.storage, {"a.attr.json"}).bytes[0].value() == "{}");
    CHECK(place.storage.remove("a.attr.json", {}).value() == true);
    for (const auto op :
         {StorageOp::stage, StorageOp::append, StorageOp::commit, StorageOp::open, StorageOp::list,
          StorageOp::batch, StorageOp::read_sidecars, StorageOp::sidecar, StorageOp::remove})
      CHECK(place.storage.count(op) == 1);
    CHECK(place.storage.count(StorageOp::read) == 2);
    CHECK(place.storage.count(StorageOp::capacity) == 0);
  }

  TEST_CASE("the n-th call fails with the error given, once") {
    Place place;
    place.storage.fail(StorageOp::commit, kDown, 2);
    put(place.storage, "a", "1");
    CHECK(code_of(place.storage.put({"a", PutMode::replace}, "2", {})) == Errc::unavailable);
    CHECK(content(place.storage, "a").value() == "1");
    put(place.storage, "a", "3");
    place.storage.fail(StorageOp::sidecar, kDown, 2);
    put(place.storage, "b", "4");
    const auto read = read_sidecars(place.storage, {"a", "b", "a"});
    CHECK(read.result.has_value());
    CHECK(read.bytes[0].value() == "3");
    CHECK(code_of(read.bytes[1]) == Errc::unavailable);
    CHECK(read.bytes[2].value() == "3");
    place.storage.fail(StorageOp::batch, kDown);
    CHECK(code_of(list_all(place.storage).result) == Errc::unavailable);
  }

  TEST_CASE("a lost answer leaves the work done") {
    Place place;
    place.storage.lose_answer(StorageOp::commit, kDown);
    const auto result = place.storage.put({"a", PutMode::replace}, "new", {});
    REQUIRE(code_of(result) == Errc::unavailable);
    CHECK(result.error().outcome == Outcome::unknown);
    CHECK(content(place.storage, "a").value() == "new");
  }

  TEST_CASE("a torn commit leaves half of the bytes") {
    Place place;
    put(place.storage, "a", "before");
    place.storage.tear_commit();
    const auto result = place.storage.put({"a", PutMode::replace}, "12345678", {});
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().outcome == Outcome::unknown);
    CHECK(content(place.storage, "a").value() == "1234");
  }

  TEST_CASE("reads can be cut short without losing a byte") {
    Place place;
    const std::string bytes = sample_bytes(1000);
    put(place.storage, "a", bytes);
    place.storage.shorten_reads(7);
    CHECK((content(place.storage, "a").value() == bytes));
    CHECK(place.storage.count(StorageOp::read) == 1000 / 7 + 2);
  }

  TEST_CASE("the hook is called before each operation with its path") {
    Place place;
    std::vector<std::string> seen;
    place.storage.before_each([&](StorageOp op, std::string_view path) {
      if (op == StorageOp::stage || op == StorageOp::commit) seen.emplace_back(path);
    });
    put(place.storage, "a/b", "x");
    CHECK(seen == std::vector<std::string>{"a/b", "a/b"});
  }
}

}  // namespace artcache::test
