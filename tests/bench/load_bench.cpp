// SPDX-License-Identifier: Apache-2.0
// What readers and writers of an index notice of a bulk load, and how much memory it takes.
#include <algorithm>
#include <artcache/metadata_store.hpp>
#include <atomic>
#include <random>
#include <thread>

#include "bench/bench.hpp"
#include "bench/index_bench.hpp"

namespace artcache::bench {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::uint64_t kThere = 2000;  // the first of the rows: the index has them before
constexpr std::size_t kIdleReads = 5000;
constexpr std::chrono::microseconds kBetweenReads{200};
/// A read behind a commit of another connection fills the cache anew, load or no load. So rare that
/// these are not the slowest hundredth.
constexpr std::chrono::milliseconds kBetweenWrites{200};

/// Times of point reads, one every kBetweenReads, until told to stop or `most` were made.
std::vector<double> read_at_a_pace(MetadataStore& index, const std::vector<FileId>& ids,
                                   std::size_t most, const std::atomic<bool>& stop) {
  std::vector<double> times;
  std::mt19937_64 random(7);
  while (!stop && times.size() < most) {
    const FileId& id = ids[random() % ids.size()];
    times.push_back(time_of([&] {
      if (!must(index.find(id, {}))) give_up("an entry is missing");
    }));
    std::this_thread::sleep_for(kBetweenReads);
  }
  std::ranges::sort(times);
  return times;
}

double p99(const std::vector<double>& sorted) { return sorted[sorted.size() * 99 / 100]; }

void load(MetadataStore& index, const SampleRows& rows) {
  const auto bulk = must(index.bulk_load(rows.files(), 0, {}));
  for (std::uint64_t at = 0; at < rows.files(); at += kChunk)
    must(bulk->add(rows.make(at, std::min(at + kChunk, rows.files())), {}));
  must(bulk->finish({}));
}

void apply_one(MetadataStore& index, const SampleRows& rows, std::uint64_t number) {
  const EntryChange change = change_of(rows.make(number, number + 1).front());
  must(index.apply({.changes = {&change, 1}}, {}));
}

/// The longest of one-row writes, until told to stop.
double write_at_a_pace(MetadataStore& index, const SampleRows& rows, std::uint64_t next,
                       const std::atomic<bool>& stop) {
  double longest = 0;
  for (; !stop; ++next) {
    const EntryChange change = change_of(rows.make(next, next + 1).front());
    longest = std::max(longest, time_of([&] { must(index.apply({.changes = {&change, 1}}, {})); }));
    std::this_thread::sleep_for(kBetweenWrites);
  }
  return longest;
}

/// Everything that the index figures do, in a process of its own.
void use_all(const std::string& path, const SampleRows& rows) {
  const auto index = open_fresh(path);
  load(*index, rows);
  for (std::uint64_t i = 0; i < 200; ++i) apply_one(*index, rows, rows.files() + i);
  for (const char* query : {"bay1 lot1", "quarterly draft", "plan"})
    must(index->search({.query = query}, {}));
  std::uint64_t count = 0;
  must(index->scan(
      [&](std::span<const KeyAndHash> some) -> Result<void> {
        count += some.size();
        return {};
      },
      {}));
  if (count != rows.files() + 200) give_up("entries are missing");
}

}  // namespace

std::vector<Figure> load_figures(const Options& options) {
  const SampleRows rows(options.files);
  const std::string path = options.folder + "/artcache-bench-load.db";
  const double memory = peak_memory_of([&] { use_all(path, rows); });

  const auto index = open_fresh(path);
  std::vector<FileId> ids;
  for (std::uint64_t i = 0; i < kThere; ++i) apply_one(*index, rows, i);
  for (const auto& row : rows.make(0, kThere)) ids.push_back(row.put.entry.id);
  std::atomic<bool> stop{false};
  const double idle = p99(read_at_a_pace(*index, ids, kIdleReads, stop));
  double longest = 0, busy = 0;
  {
    std::jthread writer([&] { longest = write_at_a_pace(*index, rows, rows.files(), stop); });
    std::jthread reader(
        [&] { busy = p99(read_at_a_pace(*index, ids, std::size_t{1} << 24, stop)); });
    load(*index, rows);
    stop = true;
  }
  return {{.group = "load",
           .name = "p99 of point reads during a bulk load",
           .value = busy * 1e6,
           .floor = idle * 1e6,
           .unit = "us",
           .floor_name = "the same, idle",
           .must = 1.5,
           .aim = 1.1},
          {.group = "load",
           .name = "longest wait of a one-row write during it",
           .value = longest * 1e3,
           .unit = "ms",
           .must = 1500,
           .aim = 300},
          {.group = "load",
           .name = "memory of load, changes, searches and a scan",
           .value = memory,
           .unit = "MiB",
           .must = 160,
           .aim = 64}};
}

}  // namespace artcache::bench
