// SPDX-License-Identifier: Apache-2.0
// A process that writes files is killed before each of its steps, over and over.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "conformance/file_service_suite.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

struct Ended {
  bool killed = false;
  bool acknowledged = false;
};

Ended run_writer(const TempDir& folder, long step, const char* operation, const FileId& id) {
  const std::string storage = "file://" + (folder / "store") + "?create=on";
  const std::string index = "sqlite://" + (folder / "i.db");
  const std::string number = std::to_string(step), name = to_string(id);
  const std::array<const char*, 7> arguments{
      ARTCACHE_FILE_WRITER, storage.c_str(), index.c_str(), number.c_str(), operation,
      name.c_str(),         nullptr};
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::execv(arguments[0], const_cast<char* const*>(arguments.data()));
    ::_exit(127);
  }
  ::close(ends[1]);
  std::array<char, 64> said{};
  const ssize_t bytes = ::read(ends[0], said.data(), said.size());
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  REQUIRE((killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0)));
  return {killed, bytes > 0};
}

/// What stands there after a recovery: nothing contradicts, and the data is what was uploaded.
bool is_whole(const TempDir& folder, const FileId& id, std::vector<std::string>* tags = nullptr) {
  const Backends backends = Backends::builtin();
  const auto storage =
      good(backends.open_storage(good(Url::parse("file://" + (folder / "store"))), {}, {}));
  const auto index =
      good(backends.open_index(good(Url::parse("sqlite://" + (folder / "i.db"))), {}, {}));
  const auto locks = good(make_lock_manager(*index->locks(), {}));
  FileService files(*storage, *index, *locks, {}, {});
  const auto report = good(files.recover({}));
  CHECK(report.left.empty());
  CHECK(report.under_way == 0);
  CHECK(good(index->intents({})).empty());
  for (const auto& found : std::filesystem::recursive_directory_iterator(folder / "store"))
    CHECK_MESSAGE(!found.path().filename().string().starts_with(".tmp_"), found.path().string());
  CacheRebuildService rebuild(*storage, *index, *locks, {}, {});
  const auto check = good(rebuild.check_consistency({.data = DataCheck::checksums}, {}));
  for (const Finding& finding : check.findings)
    FAIL_CHECK(to_string(finding.kind) << " " << finding.path << " " << finding.detail);
  const auto row = good(index->find(id, {}));
  if (row && tags != nullptr) *tags = row->entry.tags;
  return row.has_value();
}

constexpr int kRounds = 200;

}  // namespace

TEST_SUITE("files.crash") {
  TEST_CASE(
      "[G3] kill -9 before any step of an upload, update or removal leaves a file whole or not") {
    TempDir folder;
    int kills = 0, rounds = 0;
    while (rounds < kRounds)
      for (const std::string operation : {"upload", "update", "remove"}) {
        for (long step = 1; step < 60; ++step) {
          INFO(operation << ", step " << step);
          const FileId id = FileId::mint(system_clock());
          // Far beyond the last step: it is done without a kill.
          if (operation != "upload") REQUIRE(run_writer(folder, 1000, "upload", id).acknowledged);
          const Ended ended = run_writer(folder, step, operation.c_str(), id);
          ++rounds;
          kills += ended.killed ? 1 : 0;
          std::vector<std::string> tags;
          const bool whole = is_whole(folder, id, &tags);
          if (ended.acknowledged) {
            CHECK(whole == (operation != "remove"));
            if (operation == "update") CHECK(tags == std::vector<std::string>{"changed"});
          }
          if (operation == "update") CHECK(whole);
          if (!ended.killed) break;
        }
      }
    MESSAGE(rounds << " rounds, " << kills << " kills");
    CHECK(kills > kRounds / 2);
  }
}
