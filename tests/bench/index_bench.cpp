// SPDX-License-Identifier: Apache-2.0
// The index in SQLite against plain statements over the same rows.
#include "bench/index_bench.hpp"

#include <algorithm>
#include <artcache/backends.hpp>
#include <artcache/metadata_store.hpp>
#include <atomic>
#include <memory>
#include <random>
#include <thread>

#include "bench/bench.hpp"

namespace artcache::bench {
namespace {

/// Runs `load` over all rows; seconds without those that making the rows takes.
double time_over(const SampleRows& rows,
                 const std::function<void(std::span<const BulkLoad::Row>)>& load) {
  double seconds = 0;
  for (std::uint64_t at = 0; at < rows.files(); at += kChunk) {
    const auto chunk = rows.make(at, std::min(at + kChunk, rows.files()));
    seconds += time_of([&] { load(chunk); });
  }
  return seconds;
}

}  // namespace

double load_index(MetadataStore& index, const SampleRows& rows) {
  std::unique_ptr<BulkLoad> bulk;
  double seconds = time_of([&] { bulk = must(index.bulk_load(rows.files(), 0, {})); });
  seconds += time_over(rows, [&](auto chunk) { must(bulk->add(chunk, {})); });
  return seconds + time_of([&] { must(bulk->finish({})); });
}

double load_raw(RawSqlite& raw, const SampleRows& rows) {
  std::int64_t row = 0;
  double seconds = time_of([&] { raw.execute("BEGIN"); });
  seconds += time_over(rows, [&](auto chunk) {
    for (const auto& one : chunk) raw.insert(++row, one.put);
  });
  return seconds + time_of([&] {
           raw.create_indexes();
           raw.execute("COMMIT");
         });
}

void apply_to_raw(RawSqlite& raw, std::span<const BulkLoad::Row> rows, std::uint64_t number) {
  raw.execute("BEGIN IMMEDIATE");
  for (const auto& row : rows) {
    raw.insert(static_cast<std::int64_t>(++number), row.put);
    raw.insert_log(static_cast<std::int64_t>(number), row.put);
  }
  raw.execute("COMMIT");
}

namespace {

constexpr std::size_t kReads = 50'000;
constexpr std::uint64_t kApplied = 50'000;
constexpr std::size_t kAtOnce = 1000;
constexpr std::uint64_t kDurable = 4000;
constexpr int kDurableRounds = 5;
constexpr unsigned kWriters = 8;

/// An index and its floor, both holding the first `rows.files()` rows.
struct Both {
  SampleRows rows;
  std::string path, raw_path;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<RawSqlite> raw;
  std::uint64_t next;  ///< the first row that neither has
};

Figure load_figure(Both& both, int rounds) {
  Pair best{1e100, 1e100};
  for (int i = 0; i < rounds; ++i) {
    both.raw = std::make_unique<RawSqlite>(both.raw_path);
    best.floor = std::min(best.floor, load_raw(*both.raw, both.rows));
    both.index.reset();
    both.index = open_fresh(both.path);
    best.ours = std::min(best.ours, load_index(*both.index, both.rows));
  }
  return {.group = "index",
          .name = "bulk load of " + std::to_string(both.rows.files()),
          .value = best.ours,
          .floor = best.floor,
          .unit = "s",
          .floor_name = "prepared inserts, one transaction, indexes at its end",
          .must = 1.3,
          .aim = 1.1};
}

void apply_to_index(MetadataStore& index, std::span<const EntryChange> changes) {
  must(index.apply({.changes = changes}, {}));
}

Figure apply_figure(Both& both) {
  Pair sum;
  for (const std::uint64_t end = both.next + kApplied; both.next < end; both.next += kChunk) {
    const auto rows = both.rows.make(both.next, both.next + kChunk);
    std::vector<EntryChange> changes;
    for (const auto& row : rows) changes.push_back(change_of(row));
    sum.floor += time_of([&] {
      for (std::size_t at = 0; at < rows.size(); at += kAtOnce)
        apply_to_raw(*both.raw, std::span(rows).subspan(at, kAtOnce), both.next + at);
    });
    sum.ours += time_of([&] {
      for (std::size_t at = 0; at < rows.size(); at += kAtOnce)
        apply_to_index(*both.index, std::span(changes).subspan(at, kAtOnce));
    });
  }
  return {.group = "index",
          .name = "apply 1,000 a transaction",
          .value = sum.ours,
          .floor = sum.floor,
          .unit = "s",
          .floor_name = "batched upserts with the same indexes, words and log",
          .must = 1.4,
          .aim = 1.15};
}

void apply_from_threads(MetadataStore& index, std::span<const EntryChange> changes) {
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < kWriters; ++t)
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < changes.size(); i = next++)
        apply_to_index(index, changes.subspan(i, 1));
    });
}

/// Small durable changes from eight threads, against a loop that commits as many at once.
Figure durable_figure(Both& both) {
  Pair best{1e100, 1e100};
  for (int round = 0; round < kDurableRounds; ++round, both.next += kDurable) {
    const auto rows = both.rows.make(both.next, both.next + kDurable);
    std::vector<EntryChange> changes;
    for (const auto& row : rows) changes.push_back(change_of(row));
    best.floor =
        std::min(best.floor, time_of([&] {
                   for (std::size_t at = 0; at < rows.size(); at += kWriters)
                     apply_to_raw(*both.raw, std::span(rows).subspan(at, kWriters), both.next + at);
                 }));
    best.ours = std::min(best.ours, time_of([&] { apply_from_threads(*both.index, changes); }));
  }
  return {.group = "index",
          .name = "single durable applies from 8 threads, a second",
          .value = kDurable / best.ours,
          .floor = kDurable / best.floor,
          .unit = "/s",
          .floor_name = "plain commits of 8 at once",
          .must = 0.7,
          .aim = 0.9,
          .better = Better::higher};
}

Figure read_figure(Both& both) {
  std::mt19937_64 random(1);
  std::vector<FileId> ids;
  for (const auto& row : both.rows.make(0, std::min(both.rows.files(), std::uint64_t{kReads})))
    ids.push_back(row.put.entry.id);
  std::ranges::shuffle(ids, random);
  const Pair best = best_of(
      5,
      [&] {
        for (const FileId& id : ids)
          if (!must(both.index->find(id, {}))) give_up("an entry is missing");
      },
      [&] {
        for (const FileId& id : ids)
          if (!both.raw->find(id)) give_up("a row is missing");
      });
  const double scale = 1e6 / static_cast<double>(ids.size());
  return {.group = "index",
          .name = "point read by id",
          .value = best.ours * scale,
          .floor = best.floor * scale,
          .unit = "us",
          .floor_name = "prepared SELECT by id",
          .must = 1.5,
          .aim = 1.2};
}

/// Two words that one entry in a hundred has, or one in a thousand; a tenth has the first.
Figure search_figure(MetadataStore& index, std::uint64_t entries) {
  std::vector<double> times;
  for (int i = 0; i < 100; ++i)
    for (const char* word : {" lot", " pallet"}) {
      const std::string query = "bay" + std::to_string(i % 10) + word + std::to_string(i / 10);
      EntryPage page;
      times.push_back(
          time_of([&] { page = must(index.search({.query = query, .limit = 50}, {})); }));
      if (page.total > entries / 100 || page.total < entries / 1000) give_up("other matches");
    }
  std::ranges::sort(times);
  return {.group = "index",
          .name = "search of two words matching 1 % and less, p99",
          .value = times[times.size() * 99 / 100] * 1e3,
          .unit = "ms",
          .must = 20,
          .aim = 5};
}

}  // namespace

std::unique_ptr<MetadataStore> open_fresh(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-owners"}) std::remove((path + suffix).c_str());
  return must(Backends::builtin().open_index(must(Url::parse("sqlite://" + path)), Deps{}, Call{}));
}

std::vector<Figure> index_figures(const Options& options) {
  Both both{.rows = SampleRows(options.files),
            .path = options.folder + "/artcache-bench-index.db",
            .raw_path = options.folder + "/artcache-bench-raw.db",
            .index = nullptr,
            .raw = nullptr,
            .next = options.files};
  std::vector<Figure> figures;
  figures.push_back(load_figure(both, options.files > 200'000 ? 1 : 3));
  figures.push_back(read_figure(both));
  figures.push_back(search_figure(*both.index, options.files));
  figures.push_back(apply_figure(both));
  figures.push_back(durable_figure(both));
  return figures;
}

}  // namespace artcache::bench
