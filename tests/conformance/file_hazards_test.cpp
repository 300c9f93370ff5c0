// SPDX-License-Identifier: Apache-2.0
// What can stand in a folder beside ordinary files, and what can happen to it meanwhile.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "backends/file/storage.hpp"
#include "conformance/storage_suite.hpp"
#include "support/temp_dir.hpp"

namespace artcache::test {
namespace {

namespace fs = std::filesystem;

constexpr auto kSecret = "nobody may read this";

Errc code_of(const auto& result) { return result ? Errc::internal : result.error().code; }

void write(const std::string& path, std::string_view text) { std::ofstream(path) << text; }

/// A storage in `root/` of a folder, with `outside/` beside it, opened in both ways there are.
class Place {
 public:
  Place() {
    fs::create_directories(root / "");
    fs::create_directories(outside);
    write(outside + "/secret.attr.json", kSecret);
  }
  [[nodiscard]] std::unique_ptr<StorageBackend> open(file::Resolve resolve,
                                                     unsigned threads) const {
    file::Options options;
    options.root = root.string();
    options.sync = file::Sync::off;
    options.threads = threads;
    options.resolve = resolve;
    auto opened = file::open_storage(options, {}, {});
    REQUIRE(opened.has_value());
    return std::move(*opened);
  }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return (root / name).string();
  }

  const TempDir dir;
  const fs::path root = dir / "root";
  const std::string outside = dir / "outside";
};

void for_each_way(const std::function<void(const Place&, StorageBackend&)>& body) {
  for (const unsigned threads : {1U, 4U}) {
    CAPTURE(threads);
    const Place place;
    body(place,
         *place.open(threads == 1 ? file::Resolve::components : file::Resolve::best, threads));
  }
}

}  // namespace

TEST_SUITE("file storage") {
  TEST_CASE("[G12] links are reported and not followed, wherever they lead") {
    for_each_way([](const Place& place, StorageBackend& storage) {
      put(storage, "in/real.attr.json", "{}");
      fs::create_symlink(place.outside, place / "out-folder");
      fs::create_symlink(place.outside + "/secret.attr.json", place / "in/out.attr.json");
      fs::create_symlink("in", place / "in-folder");
      fs::create_symlink("real.attr.json", place / "in/alias.attr.json");
      fs::create_symlink("..", place / "in/up");
      fs::create_symlink("nowhere", place / "dangling");
      const Listed listed = list(storage);
      REQUIRE(listed.result.has_value());
      CHECK(listed.paths() == std::vector<std::string>{"in/real.attr.json"});
      CHECK(listed.problems.size() == 6);
      for (const auto& problem : listed.problems)
        CHECK_MESSAGE(problem.second.code == Errc::unsupported, problem.first);
      CHECK(listed.problems.contains("in/out.attr.json"));
      CHECK(code_of(list(storage, {"out-folder", ListWhat::all}).result) == Errc::unsupported);
    });
  }

  TEST_CASE("[G12] no call goes through a link") {
    for_each_way([](const Place& place, StorageBackend& storage) {
      fs::create_symlink(place.outside, place / "folder");
      fs::create_symlink(place.outside + "/secret.attr.json", place / "x.attr.json");
      for (const std::string path : {"folder/secret.attr.json", "x.attr.json"}) {
        CAPTURE(path);
        CHECK(code_of(storage.open(path, {}, {})) == Errc::unsupported);
        CHECK(code_of(storage.stat(path, {})) == Errc::unsupported);
        CHECK(code_of(storage.remove(path, {})) == Errc::unsupported);
        CHECK(code_of(read_sidecars(storage, {path}).bytes[0]) == Errc::unsupported);
      }
      CHECK(code_of(storage.put({"folder/new", PutMode::replace}, "x", {})) == Errc::unsupported);
      CHECK(code_of(storage.put({"folder/a/b", PutMode::replace}, "x", {})) == Errc::unsupported);
      // A put over a link takes the link's place and leaves alone what it stood for.
      put(storage, "x.attr.json", "mine");
      CHECK(content(storage, "x.attr.json").value() == "mine");
      CHECK(fs::file_size(place.outside + "/secret.attr.json") == std::strlen(kSecret));
      CHECK_FALSE(fs::exists(place.outside + "/new"));
    });
  }

  TEST_CASE("[G12] a link that is swapped in at the wrong moment leads nowhere") {
    for_each_way([](const Place& place, StorageBackend& storage) {
      fs::create_directory(place / "sub");
      write(place / "sub/secret.attr.json", "harmless");
      fs::create_symlink(place.outside, place / "link");
      std::atomic<bool> done{false};
      std::jthread swapper([&] {
        while (!done) {  // the two trade places, over and over
          (void)::renameat2(AT_FDCWD, (place / "sub").c_str(), AT_FDCWD, (place / "link").c_str(),
                            RENAME_EXCHANGE);
        }
      });
      int leaked = 0, seen = 0;
      for (int i = 0; i < 300; ++i) {
        const Listed listed = list(storage);
        CHECK(listed.result.has_value());
        for (const auto& [path, stamp] : listed.stamps) leaked += stamp.size != 8 ? 1 : 0;
        for (const std::string path : {"sub/secret.attr.json", "link/secret.attr.json"}) {
          const auto one = content(storage, path);
          const auto many = read_sidecars(storage, {path}).bytes[0];
          for (const auto* text : {&one, &many}) {
            seen += *text ? 1 : 0;
            leaked += *text && **text != "harmless" ? 1 : 0;
          }
        }
      }
      done = true;
      CHECK(leaked == 0);
      CHECK(seen > 0);
    });
  }

  TEST_CASE("pipes, sockets and devices are reported and wait for nobody") {
    for_each_way([](const Place& place, StorageBackend& storage) {
      put(storage, "a.attr.json", "{}");
      REQUIRE(::mkfifo((place / "pipe.attr.json").c_str(), 0644) == 0);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      const std::string path = place / "socket.attr.json";
      REQUIRE(path.size() < sizeof address.sun_path);
      std::memcpy(address.sun_path, path.c_str(), path.size());
      const util::Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
      REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
      std::vector<std::string> names{"pipe.attr.json", "socket.attr.json"};
      if (::mknod((place / "null.attr.json").c_str(), S_IFCHR | 0644, ::makedev(1, 3)) == 0)
        names.emplace_back("null.attr.json");
      const Listed listed = list(storage);
      CHECK(listed.paths() == std::vector<std::string>{"a.attr.json"});
      CHECK(listed.problems.size() == names.size());
      for (const std::string& name : names) {
        CAPTURE(name);
        REQUIRE(listed.problems.contains(name));
        CHECK(listed.problems.at(name).code == Errc::unsupported);
        CHECK(code_of(storage.open(name, {}, {})) == Errc::unsupported);
        CHECK(code_of(storage.stat(name, {})) == Errc::unsupported);
        CHECK(code_of(storage.remove(name, {})) == Errc::unsupported);
        CHECK(code_of(read_sidecars(storage, {name}).bytes[0]) == Errc::unsupported);
      }
    });
  }

  TEST_CASE("a folder and a file without permission are reported, the rest is listed") {
    for_each_way([](const Place& place, StorageBackend& storage) {
      put(storage, "closed/x.attr.json", "{}");
      put(storage, "open/y.attr.json", "{}");
      put(storage, "open/z.attr.json", "{}");
      const bool root = ::geteuid() == 0;
      REQUIRE(::chmod(place.dir.path().c_str(), 0755) == 0);
      REQUIRE(::chmod((place / "closed").c_str(), 0000) == 0);
      REQUIRE(::chmod((place / "open/z.attr.json").c_str(), 0000) == 0);
      if (root) REQUIRE(::seteuid(65534) == 0);
      const Listed listed = list(storage);
      const SidecarsRead read = read_sidecars(storage, {"open/z.attr.json", "open/y.attr.json"});
      const auto whole = list(storage, {"closed", ListWhat::all}).result;
      if (root) REQUIRE(::seteuid(0) == 0);
      REQUIRE(::chmod((place / "closed").c_str(), 0755) == 0);
      CHECK(listed.result.has_value());
      CHECK(listed.times.size() == 2);
      REQUIRE(listed.problems.contains("closed"));
      CHECK(listed.problems.at("closed").code == Errc::unavailable);
      CHECK(code_of(read.bytes[0]) == Errc::unavailable);
      CHECK(read.bytes[1].value() == "{}");
      CHECK(code_of(whole) == Errc::unavailable);
    });
  }

  TEST_CASE("names that are no paths of ours are reported") {
    for_each_way([](const Place& place, StorageBackend& storage) {
      put(storage, "good.attr.json", "{}");
      write(place / "bad\xff.attr.json", "{}");
      fs::create_directory(place / "d\xc3(");
      write(place / "d\xc3(/x.attr.json", "{}");
      std::string deep = place.root.string();
      for (int i = 0; i < 5; ++i) fs::create_directory(deep += "/" + std::string(240, 'd'));
      const Listed listed = list(storage);
      CHECK(listed.paths() == std::vector<std::string>{"good.attr.json"});
      CHECK(listed.problems.size() == 3);
      for (const auto& problem : listed.problems)
        CHECK_MESSAGE(problem.second.code == Errc::unsupported, problem.first);
      CHECK(listed.problems.contains("bad\\xff.attr.json"));
      CHECK(listed.problems.contains("d\\xc3("));
    });
  }

  TEST_CASE("folders and files that vanish are no reason to stop") {
    for_each_way([](const Place& place, StorageBackend& storage) {
      for (int i = 0; i < 50; ++i) put(storage, "stay/" + std::to_string(i) + ".attr.json", "{}");
      std::atomic<bool> done{false};
      std::jthread mover([&] {
        while (!done) {
          fs::create_directories(place / "go/away/soon");
          write(place / "go/away/soon/x.attr.json", "{}");
          fs::remove_all(place / "go");
        }
      });
      for (int i = 0; i < 200; ++i) {
        const Listed listed = list(storage);
        REQUIRE(listed.result.has_value());
        CHECK(listed.times.size() >= 50);
        for (const auto& [path, error] : listed.problems) CHECK(error.code == Errc::not_found);
      }
      done = true;
    });
  }

  TEST_CASE("a root that was removed is an error, not an empty storage") {
    for_each_way([](const Place& place, StorageBackend& storage) {
      put(storage, "a.attr.json", "{}");
      fs::remove_all(place.root);
      CHECK(code_of(list(storage).result) == Errc::not_found);
      CHECK_FALSE(storage.put({"b", PutMode::replace}, "x", {}).has_value());
    });
  }

  TEST_CASE("[G11] a flat folder of 20,000 names is listed once each, in bounded batches") {
    const Place place;
    fs::create_directory(place / "flat");
    for (int i = 0; i < 20'000; ++i) {
      const std::string name = place / ("flat/" + std::to_string(i) + ".attr.json");
      const util::Fd made(::open(name.c_str(), O_CREAT | O_WRONLY, 0644));
      REQUIRE(static_cast<bool>(made));
    }
    for (const unsigned threads : {1U, 2U, 8U}) {
      CAPTURE(threads);
      const Listed listed = list(*place.open(file::Resolve::best, threads));
      CHECK(listed.times.size() == 20'000);
      for (const auto& [path, count] : listed.times) CHECK(count == 1);
      CHECK(listed.largest_batch <= 1000);
    }
  }

  TEST_CASE("a tree that is deep and wide keeps few folders open") {
    for_each_way([](const Place& place, StorageBackend& storage) {
      std::string path = place.root.string();
      for (int level = 0; level < 40; ++level) {
        for (int i = 0; i < 6; ++i) {
          fs::create_directory(path + "/s" + std::to_string(i));
          write(path + "/s" + std::to_string(i) + "/x.attr.json", "{}");
        }
        fs::create_directory(path += "/deeper");
      }
      std::atomic<long> open_most{0};
      std::atomic<long> files{0};
      const auto result = storage.list(
          {},
          [&](const ListBatch& batch) {
            files += static_cast<long>(batch.files.size());
            open_most = std::max(
                open_most.load(),
                static_cast<long>(std::distance(fs::directory_iterator("/proc/self/fd"), {})));
            return Result<void>();
          },
          {});
      CHECK(result.has_value());
      CHECK(files == 40 * 6);
      CHECK(open_most < 60);
    });
  }
}

}  // namespace artcache::test
