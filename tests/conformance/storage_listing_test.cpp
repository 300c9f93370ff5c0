// SPDX-License-Identifier: Apache-2.0
// The contract of StorageBackend::list(), held against every backend.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "conformance/storage_suite.hpp"

namespace artcache::test {
namespace {

constexpr std::size_t kBatchMost = 1000;

Errc code_of(const Result<void>& result) { return result ? Errc::internal : result.error().code; }

std::string nested(std::size_t i) {
  return "2026/03/0" + std::to_string(i % 5) + "/" + std::to_string(i / 100) + "/" +
         std::to_string(i) + ".attr.json";
}

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("an empty storage lists nothing") {
    for_each_storage([](Subject& subject) {
      const Listed listed = list_all(subject.storage);
      CHECK(listed.result.has_value());
      CHECK(listed.times.empty());
      CHECK(listed.problems.empty());
    });
  }

  TEST_CASE("every file of a tree is listed once, in batches of a bounded size") {
    for_each_storage([](Subject& subject) {
      fill(subject.storage, 2500, nested);
      const Listed listed = list(subject.storage);
      REQUIRE(listed.result.has_value());
      CHECK(listed.times.size() == 2500);
      for (const auto& file : listed.times) CHECK_MESSAGE(file.second == 1, file.first);
      CHECK(listed.problems.empty());
      CHECK(listed.largest_batch <= kBatchMost);
    });
  }

  TEST_CASE("a flat folder of 10,000 files is listed once each") {
    for_each_storage([](Subject& subject) {
      fill(subject.storage, 10'000,
           [](std::size_t i) { return "flat/" + std::to_string(i) + ".attr.json"; });
      const Listed listed = list(subject.storage, {"flat", ListWhat::sidecars});
      REQUIRE(listed.result.has_value());
      CHECK(listed.times.size() == 10'000);
      for (const auto& file : listed.times) CHECK_MESSAGE(file.second == 1, file.first);
      CHECK(listed.largest_batch <= kBatchMost);
    });
  }

  TEST_CASE("sidecars are told by their ending; data files only when asked for") {
    for_each_storage([](Subject& subject) {
      for (const char* path : {"a/x.pdf", "a/x.pdf.attr.json", "y.attr.json", "attr.json",
                               "z.attr.jsonx", "z.ATTR.JSON", "b.attr.json/inner.txt"})
        put(subject.storage, path, "x");
      CHECK(list(subject.storage).paths() ==
            std::vector<std::string>{"a/x.pdf.attr.json", "y.attr.json"});
      CHECK(list_all(subject.storage).times.size() == 7);
    });
  }

  TEST_CASE("who needs no stamps gets the same files, with their stamps or with none") {
    for_each_storage([](Subject& subject) {
      for (const char* path : {"a/x.pdf", "a/x.pdf.attr.json", "a/b/y.attr.json", "z.attr.json"})
        put(subject.storage, path, "not empty");
      for (const ListWhat what : {ListWhat::sidecars, ListWhat::all}) {
        const Listed with = list(subject.storage, {"", what});
        const Listed without = list(subject.storage, {"", what, ListStamps::not_needed});
        REQUIRE(without.result.has_value());
        CHECK(without.times == with.times);
        CHECK(without.problems.empty());
        for (const auto& one : without.stamps)
          CHECK_MESSAGE((one.second == Stamp{} || one.second == with.stamps.at(one.first)),
                        one.first);
      }
    });
  }

  TEST_CASE("a folder bounds the listing, by whole names") {
    for_each_storage([](Subject& subject) {
      for (const char* path : {"2026/03/a", "2026/03/x/b", "2026/031/c", "2026/0/d", "2026/03x"})
        put(subject.storage, path, "x");
      CHECK(list_all(subject.storage, "2026/03").paths() ==
            std::vector<std::string>{"2026/03/a", "2026/03/x/b"});
      CHECK(list_all(subject.storage, "2026").times.size() == 5);
    });
  }

  TEST_CASE("a folder that is not there is not found") {
    for_each_storage([](Subject& subject) {
      put(subject.storage, "a/file", "x");
      for (const char* folder : {"b", "a/b", "a/file", ".artcache"}) {
        CAPTURE(folder);
        CHECK(code_of(list_all(subject.storage, folder).result) == Errc::not_found);
      }
    });
  }

  TEST_CASE("names of artcache's own do not show") {
    for_each_storage([](Subject& subject) {
      for (const char* path : {".artcache/element", ".artcache/deep/er/x.attr.json", "a/.tmp_1234",
                               "a/.keep", ".keep", ".tmp_x.attr.json", "a/.artcache/x.attr.json",
                               "shown.attr.json", "a/keep", ".artcachex", "a/tmp_1"})
        put(subject.storage, path, "x");
      CHECK(list_all(subject.storage).paths() ==
            std::vector<std::string>{".artcachex", "a/keep", "a/tmp_1", "shown.attr.json"});
    });
  }

  TEST_CASE("an error of the sink ends the listing and is its result") {
    for_each_storage([](Subject& subject) {
      fill(subject.storage, 2500, nested);
      std::atomic<int> batches{0};
      const auto result = subject.storage.list(
          {},
          [&](const ListBatch&) {
            return ++batches == 2 ? Result<void>(Error{Errc::lease_lost, "mine"}) : Result<void>();
          },
          {});
      CHECK(code_of(result) == Errc::lease_lost);
    });
  }

  TEST_CASE("what a sink throws reaches the caller") {
    for_each_storage([](Subject& subject) {
      fill(subject.storage, 100, nested);
      const auto thrower = [](const ListBatch&) -> Result<void> { throw std::bad_alloc(); };
      CHECK_THROWS_AS((void)subject.storage.list({}, thrower, {}), std::bad_alloc);
    });
  }

  TEST_CASE("a listing that is stopped half-way says so, or has handed over everything") {
    for_each_storage([](Subject& subject) {
      fill(subject.storage, 2500, nested);
      std::stop_source source;
      Call call;
      call.stop = source.get_token();
      std::atomic<std::size_t> files{0};
      const auto stopper = [&](const ListBatch& batch) {
        files += batch.files.size();
        source.request_stop();
        return Result<void>();
      };
      const auto result = subject.storage.list({}, stopper, call);
      CHECK((result ? files == 2500 : code_of(result) == Errc::cancelled));
    });
  }

  TEST_CASE("files that are there from beginning to end are seen once beside busy writers") {
    for_each_storage([](Subject& subject) {
      StorageBackend& storage = subject.storage;
      const auto lasting = [](std::size_t i) {
        return "d" + std::to_string(i % 7) + "/lasting" + std::to_string(i) + ".attr.json";
      };
      fill(storage, 700, lasting);
      std::atomic<bool> done{false};
      std::jthread writer([&] {
        for (unsigned i = 0; !done; ++i) {
          const std::string path =
              "d" + std::to_string(i % 7) + "/brief" + std::to_string(i % 200) + ".attr.json";
          if (i % 3 == 2)
            (void)storage.remove(path, {});
          else
            (void)storage.put({path, PutMode::replace}, "brief", {});
        }
      });
      for (int round = 0; round < 5; ++round) {
        const Listed listed = list(storage);
        CHECK(listed.result.has_value());
        for (std::size_t i = 0; i < 700; ++i) {
          const auto found = listed.times.find(lasting(i));
          REQUIRE(found != listed.times.end());
          CHECK(found->second == 1);
        }
      }
      done = true;
    });
  }

  TEST_CASE("listing from several threads at once gives each the whole") {
    for_each_storage([](Subject& subject) {
      fill(subject.storage, 500, nested);
      std::atomic<int> whole{0};
      {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
          threads.emplace_back([&] { whole += list(subject.storage).times.size() == 500 ? 1 : 0; });
      }
      CHECK(whole == 4);
    });
  }
}

}  // namespace artcache::test
