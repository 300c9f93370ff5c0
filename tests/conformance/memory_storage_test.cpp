// SPDX-License-Identifier: Apache-2.0
// What only mem: has: its address and its capacity.
#include <doctest/doctest.h>

#include <artcache/backends.hpp>

#include "conformance/storage_suite.hpp"

namespace artcache::test {
namespace {

Result<std::unique_ptr<StorageBackend>> open(const std::string& url) {
  return Backends::builtin().open_storage(Url::parse(url).value(), {}, {});
}

Errc code_of(const auto& result) { return result ? Errc::internal : result.error().code; }

}  // namespace

TEST_SUITE("memory storage") {
  TEST_CASE("each open is a store of its own, without a name") {
    const auto one = open("mem:");
    const auto two = open("mem:");
    put(**one, "a", "x");
    CHECK(list_all(**two).times.empty());
    for (const char* url : {"mem:name", "mem://host", "mem:/path", "mem:?size=1",
                            "mem:?capacity=-1", "mem:?capacity=lots"})
      CHECK_MESSAGE(code_of(open(url)) == Errc::invalid_argument, url);
  }

  TEST_CASE("a store that is full takes nothing more until something is removed") {
    const auto opened = open("mem:?capacity=100");
    StorageBackend& storage = **opened;
    CHECK(storage.capabilities().reports_capacity);
    put(storage, "a", std::string(60, 'a'));
    CHECK(storage.capacity({}).value().available_bytes == 40);
    CHECK(code_of(storage.put({"b", PutMode::replace}, std::string(41, 'b'), {})) ==
          Errc::no_space);
    // Old and new stand side by side until the commit, as on a disk.
    CHECK(code_of(storage.put({"a", PutMode::replace}, std::string(41, 'b'), {})) ==
          Errc::no_space);
    CHECK(content(storage, "a").value() == std::string(60, 'a'));
    put(storage, "a", std::string(40, 'c'));
    CHECK(storage.capacity({}).value().available_bytes == 60);
    CHECK(storage.remove("a", {}).value() == true);
    put(storage, "b", std::string(100, 'b'));
    CHECK(storage.capacity({}).value().available_bytes == 0);
  }

  TEST_CASE("what was staged and thrown away, or refused, takes no room") {
    const auto opened = open("mem:?capacity=100");
    StorageBackend& storage = **opened;
    {
      auto staged = storage.stage({"a", PutMode::must_not_exist}, {});
      REQUIRE(staged.has_value());
      const std::string bytes(40, 'x');
      REQUIRE((*staged)->append(std::as_bytes(std::span(bytes)), {}).has_value());
      CHECK(storage.capacity({}).value().available_bytes == 60);
      put(storage, "a", "first");
      CHECK(code_of((*staged)->commit({})) == Errc::conflict);
      auto dropped = storage.stage({"b", PutMode::replace}, {});
      REQUIRE((*dropped)->append(std::as_bytes(std::span(bytes)), {}).has_value());
    }
    CHECK(storage.capacity({}).value().available_bytes == 95);
  }
}

}  // namespace artcache::test
