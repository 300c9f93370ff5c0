// SPDX-License-Identifier: Apache-2.0
// Many processes that want the locks of one element. ARTCACHE_LOCK_SECONDS makes it last longer.
#include <algorithm>
#include <fstream>
#include <map>

#include "fault/lock_processes.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

struct Tenure {
  LockClass lock_class;
  std::uint64_t fence;
  std::int64_t begin, end;  // of one clock for all processes
};

/// As docs/operations/locks.md has it.
bool exclude_each_other(LockClass a, LockClass b) {
  if (a == LockClass::manual_rebuild || b == LockClass::manual_rebuild) return true;
  return a != LockClass::lazy_rebuild && b != LockClass::lazy_rebuild;
}

std::vector<Tenure> tenures_in(const std::string& path) {
  std::vector<Tenure> all;
  std::ifstream in(path);
  std::string name;
  for (Tenure one{}; in >> name >> one.fence >> one.begin >> one.end;) {
    one.lock_class = parse_lock_class(name).value();
    all.push_back(one);
  }
  return all;
}

std::string tenure_file(const LockSite& site, int round, std::size_t process) {
  return site.folder / ("t" + std::to_string(round) + "-" + std::to_string(process));
}

int seconds() {
  const char* given = std::getenv("ARTCACHE_LOCK_SECONDS");
  return given == nullptr ? 4 : std::atoi(given);
}

}  // namespace

TEST_CASE("16 processes of four classes: no two that exclude each other, and each has its turns") {
  LockSite site;
  constexpr std::array kNames{"manual_rebuild", "manual_check", "lazy_rebuild",
                              "background_cleanup"};
  std::vector<std::unique_ptr<Process>> processes;
  for (int i = 0; i < 16; ++i) processes.push_back(std::make_unique<Process>(site, "se-01", 600s));
  std::vector<Tenure> all;
  std::map<LockClass, int> turns;
  int rounds = 0;
  // The lowest class comes in when it has waited long enough, which a busy machine can put off.
  for (; rounds == 0 || (turns.size() < kNames.size() && rounds < 60); ++rounds) {
    for (std::size_t i = 0; i < processes.size(); ++i)
      processes[i]->tell("contend " + std::string(kNames[i % 4]) + " " +
                         std::to_string(seconds() * 1000) + " " + tenure_file(site, rounds, i));
    for (std::size_t i = 0; i < processes.size(); ++i) {
      CHECK(processes[i]->hear() == "ok");
      for (const Tenure& one : tenures_in(tenure_file(site, rounds, i))) {
        ++turns[one.lock_class];
        all.push_back(one);
      }
    }
  }
  std::ranges::sort(all, {}, &Tenure::begin);
  int clashes = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t k = i + 1; k < all.size() && all[k].begin < all[i].end; ++k)
      if (exclude_each_other(all[i].lock_class, all[k].lock_class)) ++clashes;
    if (i > 0 && exclude_each_other(all[i - 1].lock_class, all[i].lock_class))
      CHECK(all[i - 1].fence < all[i].fence);
  }
  CHECK(clashes == 0);
  CHECK(turns.size() == kNames.size());
  MESSAGE("turns: " << turns[LockClass::manual_rebuild] << " rebuild, "
                    << turns[LockClass::manual_check] << " check, "
                    << turns[LockClass::lazy_rebuild] << " lazy, "
                    << turns[LockClass::background_cleanup] << " cleanup in " << rounds * seconds()
                    << " s");
  CHECK(good(site.locks->list("", {})).empty());
}
