// SPDX-License-Identifier: Apache-2.0
// Rebuilds and checks of a local store with an index in SQLite, against what must be done anyway.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <atomic>
#include <boost/json.hpp>
#include <cstdlib>
#include <random>
#include <thread>

#include "bench/bench.hpp"
#include "bench/raw_sqlite.hpp"
#include "bench/sample_store.hpp"
#include "core/attr/sidecar.hpp"

namespace artcache::bench {
namespace {

constexpr std::size_t kRowsAtOnce = 10'000;
constexpr int kRounds = 3;

/// The least that reading and parsing can be: open, read, close, Boost.JSON at its fastest.
double read_and_parse(const std::vector<std::string>& full_paths, unsigned threads) {
  return time_of([&] {
    std::atomic<std::size_t> next{0};
    std::atomic<std::size_t> members{0};
    const auto work = [&] {
      std::array<unsigned char, 65536> memory_buffer;  // NOLINT: filled by the parser
      std::vector<char> bytes(65536);
      boost::json::parser parser;
      std::size_t sum = 0;
      constexpr std::size_t kRun = 256;
      for (std::size_t at = next.fetch_add(kRun); at < full_paths.size(); at = next.fetch_add(kRun))
        for (std::size_t i = at; i < std::min(at + kRun, full_paths.size()); ++i) {
          const int fd = ::openat(AT_FDCWD, full_paths[i].c_str(), O_RDONLY | O_CLOEXEC);
          const ssize_t got = ::read(fd, bytes.data(), bytes.size());
          ::close(fd);
          if (got < 0) give_up("cannot read " + full_paths[i]);
          boost::json::monotonic_resource memory(memory_buffer.data(), memory_buffer.size());
          parser.reset(&memory);
          parser.write(bytes.data(), static_cast<std::size_t>(got));
          sum += parser.release().as_object().size();
        }
      members += sum;
    };
    std::vector<std::jthread> others;
    for (unsigned t = 1; t < threads; ++t) others.emplace_back(work);
    work();
    others.clear();
    if (members == 0 && !full_paths.empty()) give_up("nothing was parsed");
  });
}

/// The same rows, ready, through prepared statements, with the same indexes and words at the end.
double insert_ready_rows(const std::string& folder, const SampleStore& store,
                         const std::vector<std::string>& paths) {
  RawSqlite raw(folder + "/artcache-bench-reconcile-raw.db");
  raw.execute("BEGIN");
  double seconds = 0;
  std::int64_t row = 0;
  for (std::size_t at = 0; at < paths.size(); at += kRowsAtOnce) {
    std::vector<std::string_view> some(
        paths.begin() + static_cast<std::ptrdiff_t>(at),
        paths.begin() + static_cast<std::ptrdiff_t>(std::min(paths.size(), at + kRowsAtOnce)));
    std::vector<PreparedEntry> ready(some.size());
    must(store.storage().read_sidecars(
        some, 1 << 20,
        [&](std::size_t index, Result<SidecarBytes> read) -> Result<void> {
          FileEntry entry;
          must(attr::decode(must(std::move(read)).bytes, "bench", entry));
          ready[index] = prepare(std::move(entry));
          return {};
        },
        {}));
    seconds += time_of([&] {
      for (const PreparedEntry& put : ready) raw.insert(++row, put);
    });
  }
  return seconds + time_of([&] {
           raw.create_indexes();
           raw.execute("COMMIT");
         });
}

void find_all(const std::string& path) {
  const std::string command =
      "find '" + path + "' -name '*.attr.json' -printf '%s %T@\\n' > /dev/null";
  if (std::system(command.c_str()) != 0) give_up("find failed");
}

/// An index with its locks, and the service over it and a store.
class Setup {
 public:
  Setup(const std::string& path, StorageBackend& storage, bool fresh) {
    if (fresh)
      for (const char* suffix : {"", "-wal", "-shm", "-owners"})
        std::remove((path + suffix).c_str());
    index_ = must(Backends::builtin().open_index(must(Url::parse("sqlite://" + path)), {}, {}));
    locks_ = must(make_lock_manager(*index_->locks(), {}));
    service_ =
        std::make_unique<CacheRebuildService>(storage, *index_, *locks_, RebuildSettings{}, Deps{});
  }
  MetadataStore& index() { return *index_; }
  CacheRebuildService& service() { return *service_; }

 private:
  std::unique_ptr<MetadataStore> index_;
  std::unique_ptr<LockManager> locks_;
  std::unique_ptr<CacheRebuildService> service_;
};

Figure figure(std::string name, double value, double floor, std::string floor_name, double must,
              double aim) {
  return {.group = "reconcile",
          .name = std::move(name),
          .value = value,
          .floor = floor,
          .unit = "s",
          .floor_name = std::move(floor_name),
          .must = must,
          .aim = aim};
}

double p99(std::vector<double>& times) {
  std::ranges::sort(times);
  return times.empty() ? 0 : times[times.size() * 99 / 100];
}

struct Disturbance {
  double idle_p99 = 0, busy_p99 = 0, longest_write = 0;
};

/// Point reads of random entries for so long.
double p99_of_reads(Setup& setup, const std::vector<FileId>& ids, double seconds) {
  std::vector<double> times;
  std::mt19937_64 random(7);
  const auto end = std::chrono::steady_clock::now() + Seconds(seconds);
  while (std::chrono::steady_clock::now() < end)
    times.push_back(time_of([&] {
      if (!must(setup.index().find(ids[random() % ids.size()], {}))) give_up("a row is missing");
    }));
  return p99(times);
}

/// Point reads and one-row writes, idle and beside full rebuilds.
Disturbance disturb(Setup& setup, const std::vector<FileId>& ids) {
  Disturbance result;
  result.idle_p99 = p99_of_reads(setup, ids, 0.5);
  std::atomic<bool> stop{false};
  std::jthread rebuilds([&] {
    while (!stop) must(setup.service().rebuild_full({}, {}));
  });
  std::jthread writes([&] {
    std::uint64_t n = 0;
    while (!stop) {
      auto row = must(setup.index().find(ids[n++ % ids.size()], {}));
      EntryChange change;
      change.kind = EntryChange::Kind::freshen;
      change.id = row->entry.id;
      change.freshness = row->freshness;
      const double took = time_of([&] {
        must(setup.index().apply({.changes = {&change, 1}}, {}));
      });
      result.longest_write = std::max(result.longest_write, took);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  result.busy_p99 = p99_of_reads(setup, ids, 1);
  stop = true;
  return result;
}

/// The median of many: one per cent of such short times is what a machine does by the way, more of
/// it at one time than at another. Idle and busy in turn, a second at most, so that both have their
/// share of its good and of its bad times.
Disturbance usual_disturbance(Setup& setup, const std::vector<FileId>& ids) {
  constexpr int kTimes = 15;
  std::vector<double> idle, busy;
  Disturbance all;
  for (int i = 0; i < kTimes; ++i) {
    const Disturbance one = disturb(setup, ids);
    idle.push_back(one.idle_p99);
    busy.push_back(one.busy_p99);
    all.longest_write = std::max(all.longest_write, one.longest_write);
  }
  std::ranges::sort(idle);
  std::ranges::sort(busy);
  all.idle_p99 = idle[kTimes / 2];
  all.busy_p99 = busy[kTimes / 2];
  return all;
}

std::vector<FileId> some_ids(MetadataStore& index) {
  std::vector<FileId> ids;
  must(index.scan(
      [&](std::span<const KeyAndHash> rows) -> Result<void> {
        for (const KeyAndHash& row : rows) ids.push_back(row.id);
        return {};
      },
      {}));
  return ids;
}

}  // namespace

std::vector<Figure> reconcile_figures(const Options& options) {
  const SampleStore store(options.folder, options.files);
  const SampleStore whole(options.folder, options.files, SampleStore::Data::with);
  const std::string path = options.folder + "/artcache-bench-reconcile.db";
  const std::string other = options.folder + "/artcache-bench-check.db";
  // Forked before anything big is in memory here, which would count for the child too.
  const double memory_full = peak_memory_of(
      [&] { must(Setup(other, whole.storage(), true).service().rebuild_full({}, {})); });
  const double memory_check = peak_memory_of([&] {
    Setup setup(other, whole.storage(), false);
    must(setup.service().rebuild_full({}, {}));
    must(setup.service().rebuild_incremental({}, {}));
    must(setup.service().check_consistency({}, {}));
  });

  const std::vector<std::string> paths = store.paths();
  std::vector<std::string> full;
  for (const std::string& one : paths) full.push_back(store.path() + "/" + one);
  (void)read_and_parse(full, 1);  // so that all of it is in memory
  const double one_core = std::min(read_and_parse(full, 1), read_and_parse(full, 1));
  const double insert = insert_ready_rows(options.folder, store, paths);
  double empty = 1e100;
  for (int round = 0; round < 2; ++round) {
    Setup fresh(path, store.storage(), true);
    empty = std::min(empty, time_of([&] { must(fresh.service().rebuild_full({}, {})); }));
  }
  Setup setup(path, store.storage(), false);
  // What was read within two seconds of its last change is read again: let it settle.
  std::this_thread::sleep_for(std::chrono::milliseconds(2200));
  must(setup.service().rebuild_incremental({}, {}));
  double two_cores = 0;
  const Pair unchanged = best_of(
      kRounds, [&] { must(setup.service().rebuild_full({}, {})); },
      [&] { two_cores = read_and_parse(full, 2); });
  RebuildReport last;
  const Pair incremental = best_of(
      kRounds, [&] { last = must(setup.service().rebuild_incremental({}, {})); },
      [&] { find_all(store.path()); });
  Setup checking(other, whole.storage(), false);
  ConsistencyReport report;
  const Pair check = best_of(
      kRounds, [&] { report = must(checking.service().check_consistency({}, {})); },
      [&] { find_all(whole.path()); });
  if (!report.is_consistent() || report.count(FindingKind::missing_data) > 0)
    give_up("the check found something");
  const std::vector<FileId> ids = some_ids(setup.index());
  const Disturbance disturbance = usual_disturbance(setup, ids);

  std::vector<Figure> figures{
      figure("full rebuild of an empty index", empty, std::max(one_core, insert),
             insert > one_core ? "inserting the ready rows on one core"
                               : "reading and parsing on one core",
             1.6, 1.2),
      figure("full rebuild without change", unchanged.ours, unchanged.floor,
             "reading and parsing on 2 cores", 1.8, 1.2),
      figure("incremental rebuild without change", incremental.ours, incremental.floor,
             "find with size and time", 2, 1),
      figure("check", check.ours, check.floor, "find with size and time", 3, 1.5),
      figure("p99 of point reads during full rebuilds", disturbance.busy_p99, disturbance.idle_p99,
             "the same, idle", 2, 1.25)};
  const auto alone = [&](std::string name, double value, std::string unit, double must,
                         double aim) {
    figures.push_back({.group = "reconcile",
                       .name = std::move(name),
                       .value = value,
                       .unit = std::move(unit),
                       .must = must,
                       .aim = aim});
  };
  alone("sidecars opened by it", static_cast<double>(last.statistics.sidecars_opened), "", 0, 0);
  alone("longest wait of a one-row write", disturbance.longest_write * 1e3, "ms", 50, 10);
  alone("memory of a full rebuild", memory_full, "MiB", 256, 96);
  alone("memory of full, incremental and check", memory_check, "MiB", 256, 96);
  return figures;
}

}  // namespace artcache::bench
