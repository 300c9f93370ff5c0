// SPDX-License-Identifier: Apache-2.0
// What a local folder tells of its changes.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "backends/file/storage.hpp"
#include "support/temp_dir.hpp"

namespace artcache::test {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

void write(const std::string& path, std::string_view text = "{}") { std::ofstream(path) << text; }

struct Place {
  Place() {
    fs::create_directories(root / "a/b");
    fs::create_directories(root / "c");
    fs::create_directories(dir / "outside/in");
    file::Options options;
    options.root = root.string();
    options.sync = file::Sync::off;
    auto opened = file::open_storage(options, {}, {});
    REQUIRE(opened.has_value());
    storage = std::move(*opened);
  }
  void watch(WatchLimits limits = {}) {
    auto begun = storage->watch(limits, {});
    REQUIRE(begun.has_value());
    notices = std::move(*begun);
  }
  /// All that is told until `done` says so, or nothing comes for five minutes.
  template <class F>
  void until(F&& done) {
    while (!done()) {
      auto batch = notices->wait(Call().within(std::chrono::minutes(5)));
      REQUIRE(batch.has_value());
      sidecars.insert(batch->sidecars.begin(), batch->sidecars.end());
      folders.insert(batch->folders.begin(), batch->folders.end());
      overflowed = overflowed || batch->overflowed;
    }
  }
  void until_sidecar(const std::string& path) {
    until([&] { return sidecars.contains(path); });
  }
  void until_folder(const std::string& path) {
    until([&] { return folders.contains(path); });
  }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return (root / name).string();
  }

  const TempDir dir;
  const fs::path root = dir / "root";
  std::unique_ptr<StorageBackend> storage;
  std::unique_ptr<ChangeNotices> notices;
  Names sidecars, folders;
  bool overflowed = false;
};

}  // namespace

TEST_SUITE("file notices") {
  TEST_CASE("sidecars that are put, changed, renamed and removed are told of, data files are not") {
    Place place;
    write(place / "a/old.attr.json");
    write(place / "c/from.attr.json");
    place.watch();
    write(place / "a/data.bin");
    write(place / "a/b/new.attr.json");
    fs::remove(place / "a/old.attr.json");
    fs::rename(place / "c/from.attr.json", place / "c/to.attr.json");
    fs::create_hard_link(place / "c/to.attr.json", place / "linked.attr.json");
    place.until_sidecar("linked.attr.json");
    CHECK(place.sidecars == Names{"a/b/new.attr.json", "a/old.attr.json", "c/from.attr.json",
                                  "c/to.attr.json", "linked.attr.json"});
    CHECK(place.folders.empty());
  }

  TEST_CASE("many changes of one sidecar are told of once") {
    Place place;
    place.watch();
    for (int i = 0; i < 100; ++i) write(place / "a/x.attr.json");
    const auto batch = place.notices->wait({});
    REQUIRE(batch.has_value());
    CHECK(batch->sidecars == std::vector<std::string>{"a/x.attr.json"});
  }

  TEST_CASE("much that has changed is told of in several batches, and all of it") {
    Place place;
    place.watch();
    constexpr std::size_t kFiles = 8000;  // 16,000 events, of 16,384 that the kernel keeps
    Names all;
    for (std::size_t i = 0; i < kFiles; ++i) {
      std::string name = "a/" + std::string(180, 'n') + std::to_string(i) + ".attr.json";
      write(place / name);
      all.insert(std::move(name));
    }
    const auto first = place.notices->wait({});
    REQUIRE(first.has_value());
    CHECK(first->sidecars.size() < kFiles);
    place.sidecars.insert(first->sidecars.begin(), first->sidecars.end());
    place.until([&] { return place.sidecars.size() == kFiles; });
    CHECK(place.sidecars == all);
    CHECK_FALSE(place.overflowed);
    CHECK(place.folders.empty());
  }

  TEST_CASE("names that no listing shows are not told of") {
    Place place;
    fs::create_directories(place / ".artcache");
    place.storage->hide(place / "c/hidden.attr.json");
    place.watch();
    write(place / ".artcache/x.attr.json");
    write(place / "a/.tmp_x.attr.json");
    fs::create_directories(place / ".tmp_folder");
    write(place / "c/hidden.attr.json");
    fs::create_directory_symlink(place.dir / "outside", place / "link");
    write(place.dir / "outside/x.attr.json");
    write(place / "a/seen.attr.json");
    place.until_sidecar("a/seen.attr.json");
    CHECK(place.sidecars == Names{"a/seen.attr.json"});
    CHECK(place.folders.empty());
  }

  TEST_CASE("a new folder is to be listed, and what is made in it later is told of") {
    Place place;
    place.watch();
    fs::create_directories(place / "n/m");
    place.until_folder("n");
    write(place / "n/m/x.attr.json");
    place.until_sidecar("n/m/x.attr.json");
  }

  TEST_CASE("a folder that moves is to be listed where it was and where it is, and followed") {
    Place place;
    place.watch();
    fs::rename(place / "a", place / "c/a");
    place.until_folder("a");
    place.until_folder("c/a");
    write(place / "c/a/b/x.attr.json");
    place.until_sidecar("c/a/b/x.attr.json");
    CHECK_FALSE(place.sidecars.contains("a/b/x.attr.json"));
  }

  TEST_CASE("a folder that moves in is followed, and one that moves out no longer") {
    Place place;
    place.watch();
    fs::rename(place.dir / "outside", place / "in");
    place.until_folder("in");
    fs::rename(place / "a", place.dir / "gone");
    place.until_folder("a");
    write(place.dir / "gone/b/x.attr.json");
    write(place / "in/in/y.attr.json");
    place.until_sidecar("in/in/y.attr.json");
    CHECK(place.sidecars == Names{"in/in/y.attr.json"});
  }

  TEST_CASE("[G11] more paths than the limit become their folders, and more of these the whole") {
    Place place;
    for (int i = 0; i < 8; ++i) fs::create_directories(place / ("f" + std::to_string(i)));
    place.watch({.paths_most = 5});
    for (int i = 0; i < 6; ++i) write(place / ("a/b/" + std::to_string(i) + ".attr.json"));
    auto batch = place.notices->wait({});
    REQUIRE(batch.has_value());
    CHECK(batch->sidecars.empty());
    CHECK(batch->folders == std::vector<std::string>{"a/b"});
    for (int i = 0; i < 8; ++i) write(place / ("f" + std::to_string(i) + "/x.attr.json"));
    batch = place.notices->wait({});
    REQUIRE(batch.has_value());
    CHECK(batch->folders == std::vector<std::string>{""});
    CHECK_FALSE(batch->overflowed);
  }

  TEST_CASE("lost notices make the whole storage to be listed, and it goes on from there") {
    Place place;
    place.watch();
    for (int i = 0; i < 20'000; ++i) {
      write(place / "a/x");
      fs::remove(place / "a/x");
    }
    fs::create_directories(place / "unseen");
    place.until([&] { return place.overflowed; });
    CHECK(place.folders == Names{""});
    write(place / "unseen/x.attr.json");
    place.until_sidecar("unseen/x.attr.json");
  }

  TEST_CASE("a wait ends by its deadline, by its stop token, and when the root is gone") {
    Place place;
    place.watch();
    const auto late = place.notices->wait(Call().within(std::chrono::milliseconds(5)));
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code == Errc::timed_out);
    std::stop_source source;
    Call call;
    call.stop = source.get_token();
    std::jthread stopper([&] { source.request_stop(); });
    const auto stopped = place.notices->wait(call);
    REQUIRE_FALSE(stopped.has_value());
    CHECK(stopped.error().code == Errc::cancelled);
    fs::remove_all(place.root);
    for (;;) {
      const auto gone = place.notices->wait({});
      if (gone) continue;
      CHECK(gone.error().code == Errc::not_found);
      break;
    }
  }

  TEST_CASE("too few watches for all folders is an error that names the limit") {
    Place place;
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      // In a user namespace of its own the limit can be lowered.
      if (::unshare(CLONE_NEWUSER) != 0) ::_exit(2);
      std::ofstream limit("/proc/sys/user/max_inotify_watches");
      if (!(limit << "2" << std::flush)) ::_exit(2);
      const auto begun = place.storage->watch({}, {});
      const bool named =
          !begun && begun.error().code == Errc::no_space &&
          begun.error().message.find("fs.inotify.max_user_watches") != std::string::npos;
      ::_exit(named ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2)
      MESSAGE("not run: no user namespace in which the limit can be lowered");
    else
      CHECK(WEXITSTATUS(status) == 0);
  }
}

}  // namespace artcache::test
