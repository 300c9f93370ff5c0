// SPDX-License-Identifier: Apache-2.0
// The contract of StorageBackend for single files, held against every backend.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <map>
#include <thread>

#include "conformance/storage_suite.hpp"

namespace artcache::test {
namespace {

Errc code_of(const auto& result) { return result ? Errc::internal : result.error().code; }

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("a file that was put is read back byte for byte") {
    for_each_storage([](Subject& subject) {
      const std::vector<std::size_t> sizes{0, 1, 4095, 4096, 65537, 3'000'001};
      for (const std::size_t size : sizes) {
        const std::string bytes = sample_bytes(size, 7);
        const std::string path = "a/b/c/" + std::to_string(size);
        CHECK(put(subject.storage, path, bytes).size == size);
        const auto read = content(subject.storage, path);
        REQUIRE(read.has_value());
        CHECK((*read == bytes));
      }
    });
  }

  TEST_CASE("a put replaces what stands there, whole") {
    for_each_storage([](Subject& subject) {
      put(subject.storage, "dir/file", sample_bytes(100'000, 1));
      put(subject.storage, "dir/file", "short");
      CHECK(content(subject.storage, "dir/file").value() == "short");
      CHECK(list_all(subject.storage).paths() == std::vector<std::string>{"dir/file"});
    });
  }

  TEST_CASE("a file of unknown size comes in pieces") {
    for_each_storage([](Subject& subject) {
      auto staged = subject.storage.stage({"pieces", PutMode::replace}, {});
      REQUIRE(staged.has_value());
      std::string expected;
      for (unsigned i = 0; i < 40; ++i) {
        const std::string piece = sample_bytes(i * 997, i);
        REQUIRE((*staged)->append(as_bytes(piece), {}).has_value());
        expected += piece;
      }
      REQUIRE((*staged)->commit({}).has_value());
      CHECK((content(subject.storage, "pieces").value() == expected));
    });
  }

  TEST_CASE("nothing of a file shows before its commit, and nothing is left without one") {
    for_each_storage([](Subject& subject) {
      put(subject.storage, "keep", "old");
      {
        auto staged = subject.storage.stage({"keep", PutMode::replace}, {});
        auto fresh = subject.storage.stage({"new/file", PutMode::must_not_exist}, {});
        REQUIRE((staged.has_value() && fresh.has_value()));
        REQUIRE((*staged)->append(as_bytes("new"), {}).has_value());
        REQUIRE((*fresh)->append(as_bytes("new"), {}).has_value());
        CHECK(content(subject.storage, "keep").value() == "old");
        CHECK(code_of(content(subject.storage, "new/file")) == Errc::not_found);
        CHECK(list_all(subject.storage).paths() == std::vector<std::string>{"keep"});
      }
      CHECK(content(subject.storage, "keep").value() == "old");
      CHECK(list_all(subject.storage).paths() == std::vector<std::string>{"keep"});
    });
  }

  TEST_CASE("must_not_exist refuses a file that exists and leaves it as it is") {
    for_each_storage([](Subject& subject) {
      if (!subject.storage.capabilities().exclusive_put) return;
      REQUIRE(subject.storage.put({"a/x", PutMode::must_not_exist}, "first", {}).has_value());
      const auto second = subject.storage.put({"a/x", PutMode::must_not_exist}, "second", {});
      CHECK(code_of(second) == Errc::conflict);
      CHECK(content(subject.storage, "a/x").value() == "first");
    });
  }

  TEST_CASE("of many writers of one new file exactly one wins") {
    for_each_storage([](Subject& subject) {
      if (!subject.storage.capabilities().exclusive_put) return;
      for (int round = 0; round < 8; ++round) {
        const std::string path = "race/" + std::to_string(round) + "/file";
        std::atomic<int> winner{-1}, wins{0}, conflicts{0};
        {
          std::vector<std::jthread> threads;
          for (int t = 0; t < 8; ++t)
            threads.emplace_back([&, t] {
              const auto stamp = subject.storage.put({path, PutMode::must_not_exist},
                                                     "writer " + std::to_string(t), {});
              if (stamp) {
                ++wins;
                winner = t;
              } else if (stamp.error().code == Errc::conflict) {
                ++conflicts;
              }
            });
        }
        CHECK(wins == 1);
        CHECK(conflicts == 7);
        CHECK(content(subject.storage, path).value() == "writer " + std::to_string(winner));
      }
    });
  }

  TEST_CASE("readers beside writers see one whole version") {
    for_each_storage([](Subject& subject) {
      put(subject.storage, "hot", std::string(5000, 'a'));
      std::atomic<int> torn{0}, reads{0};
      std::atomic<bool> done{false};
      {
        std::jthread reader([&] {
          while (!done || reads < 5) {
            const auto seen = content(subject.storage, "hot", {}, 777);
            ++reads;
            if (!seen || seen->size() != 5000 ||
                seen->find_first_not_of(seen->front()) != std::string::npos)
              ++torn;
          }
        });
        for (int i = 0; i < 100; ++i)
          put(subject.storage, "hot", std::string(5000, static_cast<char>('a' + i % 26)));
        done = true;
      }
      CHECK(torn == 0);
    });
  }

  TEST_CASE("announced and delivered bytes must agree") {
    for_each_storage([](Subject& subject) {
      auto less = subject.storage.stage({"less", PutMode::replace, 10}, {});
      REQUIRE(less.has_value());
      REQUIRE((*less)->append(as_bytes("123456789"), {}).has_value());
      CHECK(code_of((*less)->commit({})) == Errc::invalid_argument);
      auto more = subject.storage.stage({"more", PutMode::replace, 3}, {});
      REQUIRE(more.has_value());
      auto appended = (*more)->append(as_bytes("1234"), {});
      CHECK(code_of(appended ? Result<void>((*more)->commit({}).error()) : appended) ==
            Errc::invalid_argument);
      less = Error{};
      more = Error{};
      CHECK(list_all(subject.storage).paths().empty());
    });
  }

  TEST_CASE("the stamp of a put is the one that listing, stat and, once settled, reading show") {
    for_each_storage([](Subject& subject) {
      const Stamp stamp = put(subject.storage, "f/x.attr.json", "{}");
      CHECK(list(subject.storage).stamps["f/x.attr.json"] == stamp);
      CHECK(subject.storage.stat("f/x.attr.json", {}).value().value().stamp == stamp);
      const Stamp read = read_sidecars(subject.storage, {"f/x.attr.json"}).stamps[0];
      CHECK((read == stamp || (read.mark == Stamp().mark && read.size == stamp.size)));
      const auto reader = subject.storage.open("f/x.attr.json", {1, 1}, {});
      REQUIRE(reader.has_value());
      CHECK((*reader)->info().stamp == stamp);
    });
  }

  TEST_CASE("a rewrite of the same size moves the stamp") {
    for_each_storage([](Subject& subject) {
      const Stamp first = put(subject.storage, "x.attr.json", "1111");
      const Stamp second = put(subject.storage, "x.attr.json", "2222");
      CHECK(first.size == second.size);
      CHECK_FALSE(first == second);
    });
  }

  TEST_CASE("a range gives its bytes and no others") {
    for_each_storage([](Subject& subject) {
      const std::string bytes = sample_bytes(200'000, 3);
      put(subject.storage, "data", bytes);
      const std::vector<ByteRange> ranges{
          {0, 1}, {1, 4096}, {199'999, 1}, {100'000, 1'000'000}, {65'535, 2}, {7, 0}, {50'000}};
      for (const ByteRange& range : ranges)
        for (const std::size_t step : {std::size_t{333}, std::size_t{1} << 20}) {
          const auto part = content(subject.storage, "data", range, step);
          REQUIRE(part.has_value());
          CHECK((*part == bytes.substr(range.offset, range.length)));
        }
      const auto reader = subject.storage.open("data", {100, 5}, {});
      REQUIRE(reader.has_value());
      CHECK((*reader)->info().stamp.size == bytes.size());
    });
  }

  TEST_CASE("a range may begin at the end and not behind it") {
    for_each_storage([](Subject& subject) {
      put(subject.storage, "data", "0123456789");
      put(subject.storage, "empty", "");
      CHECK(content(subject.storage, "data", {10, 5}).value().empty());
      CHECK(content(subject.storage, "empty").value().empty());
      CHECK(code_of(subject.storage.open("data", {11, 1}, {})) == Errc::invalid_argument);
      CHECK(code_of(subject.storage.open("empty", {1}, {})) == Errc::invalid_argument);
    });
  }

  TEST_CASE("what is not there is not found, and no folder is a file") {
    for_each_storage([](Subject& subject) {
      put(subject.storage, "a/b/file", "x");
      for (const std::string path : {"nothing", "a/b", "a/nothing/file", "a/b/file/below"}) {
        CAPTURE(path);
        CHECK(code_of(subject.storage.open(path, {}, {})) == Errc::not_found);
        const auto info = subject.storage.stat(path, {});
        REQUIRE(info.has_value());
        CHECK_FALSE(info->has_value());
      }
    });
  }

  TEST_CASE("removing says whether there was a file") {
    for_each_storage([](Subject& subject) {
      put(subject.storage, "a/b/file", "x");
      put(subject.storage, "a/b/other", "x");
      CHECK(subject.storage.remove("a/b/file", {}).value() == true);
      CHECK(subject.storage.remove("a/b/file", {}).value() == false);
      CHECK(subject.storage.remove("no/such/folder/file", {}).value() == false);
      CHECK(list_all(subject.storage).paths() == std::vector<std::string>{"a/b/other"});
      const auto folder = subject.storage.remove("a/b", {});
      if (subject.storage.capabilities().folders)
        CHECK(code_of(folder) == Errc::unsupported);
      else
        CHECK(folder.value() == false);
      CHECK(content(subject.storage, "a/b/other").value() == "x");
    });
  }

  TEST_CASE("a path that is none is refused by every call") {
    for_each_storage([](Subject& subject) {
      StorageBackend& storage = subject.storage;
      const std::vector<std::string> bad{"",
                                         "/a",
                                         "../a",
                                         "a/../b",
                                         "a/..",
                                         "./a",
                                         "a/./b",
                                         "a//b",
                                         "a/",
                                         "a\xff",
                                         "a/\xc0\xaf..",
                                         std::string("a\0b", 3),
                                         std::string(1025, 'x')};
      for (const std::string& path : bad) {
        CAPTURE(path);
        CHECK(code_of(storage.stage({path, PutMode::replace}, {})) == Errc::invalid_argument);
        CHECK(code_of(storage.open(path, {}, {})) == Errc::invalid_argument);
        CHECK(code_of(storage.remove(path, {})) == Errc::invalid_argument);
        CHECK(code_of(storage.stat(path, {})) == Errc::invalid_argument);
        CHECK(code_of(read_sidecars(storage, {path}).bytes[0]) == Errc::invalid_argument);
        if (!path.empty()) CHECK(code_of(list_all(storage, path).result) == Errc::invalid_argument);
      }
      CHECK(list_all(storage).paths().empty());
    });
  }

  TEST_CASE("names of all kinds are kept exactly") {
    for_each_storage([](Subject& subject) {
      std::string wide;
      for (int i = 0; i < 100; ++i) wide += "ё";
      const std::vector<std::string> names{"plain",
                                           "with space",
                                           " leading and trailing ",
                                           "per%cent%20",
                                           "plus+sign",
                                           "договор_поставки",
                                           "日本語/ファイル",
                                           "quote'\"`$;&|<>?*",
                                           "back\\slash",
                                           "new\nline",
                                           "#hash?query=1&b=2",
                                           "...",
                                           ".hidden",
                                           "a.attr.json",
                                           "e\xcc\x81 and \xc3\xa9",
                                           wide,
                                           std::string(200, 'n') + "/" + std::string(200, 'm')};
      std::map<std::string, int> expected;
      for (const std::string& name : names) {
        put(subject.storage, name, name);
        ++expected[name];
      }
      CHECK(list_all(subject.storage).times == expected);
      for (const std::string& name : names) CHECK(content(subject.storage, name).value() == name);
    });
  }

  TEST_CASE("sidecars are handed over once each, whatever stands beside them") {
    for_each_storage([](Subject& subject) {
      StorageBackend& storage = subject.storage;
      std::vector<std::string> paths;
      for (int i = 0; i < 300; ++i)
        paths.push_back("f" + std::to_string(i / 50) + "/" + std::to_string(i) + ".attr.json");
      fill(storage, paths.size(), [&](std::size_t i) { return paths[i]; });
      put(storage, "f0/large.attr.json", std::string(1001, 'x'));
      put(storage, "f0/most.attr.json", std::string(1000, 'x'));
      put(storage, "f0/empty.attr.json", "");
      paths.insert(paths.begin() + 20,
                   {"f0/large.attr.json", "gone/x.attr.json", "f0/gone.attr.json",
                    "f0/most.attr.json", "f0/empty.attr.json", "../escape.attr.json"});
      const auto read = read_sidecars(storage, paths, 1000);
      REQUIRE(read.result.has_value());
      for (std::size_t i = 0; i < paths.size(); ++i) {
        CAPTURE(paths[i]);
        CHECK(read.times[i] == 1);
        if (i < 20) CHECK(read.bytes[i].value() == std::to_string(i));
        if (i >= 26) CHECK(read.bytes[i].value() == std::to_string(i - 6));
      }
      CHECK(code_of(read.bytes[20]) == Errc::invalid_argument);
      CHECK(code_of(read.bytes[21]) == Errc::not_found);
      CHECK(code_of(read.bytes[22]) == Errc::not_found);
      CHECK(read.bytes[23].value().size() == 1000);
      CHECK(read.bytes[24].value().empty());
      CHECK(code_of(read.bytes[25]) == Errc::invalid_argument);
      CHECK(read_sidecars(storage, {}).result.has_value());
    });
  }

  TEST_CASE("an error of the sink ends the reading") {
    for_each_storage([](Subject& subject) {
      std::vector<std::string> paths;
      for (int i = 0; i < 200; ++i) paths.push_back(std::to_string(i) + ".attr.json");
      fill(subject.storage, paths.size(), [&](std::size_t i) { return paths[i]; });
      const std::vector<std::string_view> views(paths.begin(), paths.end());
      const auto result = subject.storage.read_sidecars(
          views, 1000,
          [](std::size_t index, Result<SidecarBytes>) {
            return index == 10 ? Result<void>(Error{Errc::lease_lost, "mine"}) : Result<void>();
          },
          {});
      CHECK(code_of(result) == Errc::lease_lost);
    });
  }

  TEST_CASE("a call that is stopped or late does nothing") {
    for_each_storage([](Subject& subject) {
      StorageBackend& storage = subject.storage;
      put(storage, "x.attr.json", "old");
      for (const auto& [call, code] :
           {std::pair{late_call(), Errc::timed_out}, std::pair{stopped_call(), Errc::cancelled}}) {
        const auto written = storage.put({"x.attr.json", PutMode::replace}, "new", call);
        CHECK(code_of(written) == code);
        if (!written) CHECK(written.error().outcome == Outcome::not_applied);
        CHECK(code_of(storage.remove("x.attr.json", call)) == code);
        CHECK(code_of(storage.stat("x.attr.json", call)) == code);
        CHECK(code_of(storage.open("x.attr.json", {}, call)) == code);
        CHECK(code_of(list(storage, {}, call).result) == code);
        CHECK(code_of(read_sidecars(storage, {"x.attr.json"}, 100, call).result) == code);
        auto staged = storage.stage({"x.attr.json", PutMode::replace}, {});
        REQUIRE(staged.has_value());
        CHECK(code_of((*staged)->commit(call)) == code);
        auto reader = storage.open("x.attr.json", {}, {});
        REQUIRE(reader.has_value());
        std::array<std::byte, 8> buffer{};
        CHECK(code_of((*reader)->read(buffer, call)) == code);
      }
      CHECK(content(storage, "x.attr.json").value() == "old");
    });
  }

  TEST_CASE("capacity is reported or plainly not") {
    for_each_storage([](Subject& subject) {
      const auto capacity = subject.storage.capacity({});
      if (subject.storage.capabilities().reports_capacity) {
        REQUIRE(capacity.has_value());
        CHECK(capacity->total_bytes > 0);
        CHECK(capacity->available_bytes <= capacity->total_bytes);
      } else {
        CHECK(code_of(capacity) == Errc::unsupported);
      }
    });
  }

  TEST_CASE("a description names the storage and holds no secret") {
    for_each_storage([](Subject& subject) {
      const std::string text = subject.storage.describe();
      CHECK_FALSE(text.empty());
      CHECK(text.find("secret=") == std::string::npos);
    });
  }
}

}  // namespace artcache::test
