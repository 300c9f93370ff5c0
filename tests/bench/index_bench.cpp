// SPDX-License-Identifier: Apache-2.0
// The index in SQLite against plain statements over the same rows.
#include <artcache/backends.hpp>
#include <artcache/metadata_store.hpp>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "bench/bench.hpp"
#include "bench/raw_sqlite.hpp"
#include "bench/sample_store.hpp"
#include "core/attr/sidecar.hpp"

namespace artcache::bench {
namespace {

constexpr std::size_t kReads = 50'000;
constexpr std::size_t kDurable = 400;
constexpr unsigned kWriters = 8;

std::vector<BulkLoad::Row> make_rows(const Options& options) {
  const SampleStore store(options.folder, options.files);
  std::vector<BulkLoad::Row> rows;
  rows.reserve(options.files);
  FileEntry entry;
  for (const std::string& bytes : store.read_all()) {
    must(attr::decode(bytes, "bench", entry));
    BulkLoad::Row& row = rows.emplace_back();
    row.put = prepare(entry);
    row.freshness = {entry.updated_at, 24};
    row.scanned.path = entry.data_path().append(kSidecarSuffix);
    row.scanned.id = entry.id;
    row.scanned.hash = row.put.hash;
    row.scanned.updated_at = entry.updated_at;
  }
  return rows;
}

std::unique_ptr<MetadataStore> open_fresh(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-owners"}) std::remove((path + suffix).c_str());
  return must(Backends::builtin().open_index(must(Url::parse("sqlite://" + path)), Deps{}, Call{}));
}

EntryChange change_of(const BulkLoad::Row& row) {
  EntryChange change;
  change.id = row.put.entry.id;
  change.put = row.put;
  change.freshness = row.freshness;
  return change;
}

Figure bulk_figure(MetadataStore& index, RawSqlite& raw, std::span<const BulkLoad::Row> rows) {
  const double ours = time_of([&] {
    const auto bulk = must(index.bulk_load(rows.size(), 0, {}));
    must(bulk->add(rows, {}));
    must(bulk->finish({}));
  });
  const double floor = time_of([&] {
    raw.execute("BEGIN");
    std::int64_t row = 0;
    for (const auto& one : rows) raw.insert(++row, one.put);
    raw.create_indexes();
    raw.execute("COMMIT");
  });
  return {.group = "index",
          .name = "bulk load of " + std::to_string(rows.size()),
          .value = ours,
          .floor = floor,
          .unit = "s",
          .floor_name = "prepared inserts, one transaction, indexes at its end",
          .must = 1.3,
          .aim = 1.1};
}

Figure apply_figure(const std::string& folder, std::span<const BulkLoad::Row> rows) {
  rows = rows.first(std::min<std::size_t>(rows.size(), 50'000));
  const auto index = open_fresh(folder + "/artcache-bench-apply.db");
  RawSqlite raw(folder + "/artcache-bench-apply-raw.db");
  raw.create_indexes();
  std::vector<EntryChange> changes;
  for (const auto& row : rows) changes.push_back(change_of(row));
  constexpr std::size_t kAtOnce = 1000;
  const double ours = time_of([&] {
    for (std::size_t at = 0; at < changes.size(); at += kAtOnce)
      must(index->apply(
          {.changes = std::span(changes).subspan(at, std::min(kAtOnce, changes.size() - at))}, {}));
  });
  const double floor = time_of([&] {
    for (std::size_t at = 0; at < rows.size(); at += kAtOnce) {
      raw.execute("BEGIN IMMEDIATE");
      for (std::size_t i = at; i < std::min(rows.size(), at + kAtOnce); ++i) {
        raw.insert(static_cast<std::int64_t>(i + 1), rows[i].put);
        raw.insert_log(static_cast<std::int64_t>(i + 1), rows[i].put);
      }
      raw.execute("COMMIT");
    }
  });
  return {.group = "index",
          .name = "apply 1,000 a transaction",
          .value = ours,
          .floor = floor,
          .unit = "s",
          .floor_name = "batched upserts with the same indexes, words and log",
          .must = 1.4,
          .aim = 1.15};
}

/// Small durable changes from eight threads, against a loop that commits as many at once.
Figure durable_figure(const std::string& folder, std::span<const BulkLoad::Row> rows) {
  const auto index = open_fresh(folder + "/artcache-bench-durable.db");
  RawSqlite raw(folder + "/artcache-bench-durable-raw.db");
  raw.create_indexes();
  std::atomic<std::size_t> next{0};
  const double ours = time_of([&] {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < kWriters; ++t)
      threads.emplace_back([&] {
        for (std::size_t i = next++; i < kDurable; i = next++) {
          const EntryChange change = change_of(rows[i]);
          must(index->apply({.changes = {&change, 1}}, {}));
        }
      });
  });
  const double floor = time_of([&] {
    for (std::size_t at = 0; at < kDurable; at += kWriters) {
      raw.execute("BEGIN IMMEDIATE");
      for (std::size_t i = at; i < at + kWriters; ++i) {
        raw.insert(static_cast<std::int64_t>(i + 1), rows[i].put);
        raw.insert_log(static_cast<std::int64_t>(i + 1), rows[i].put);
      }
      raw.execute("COMMIT");
    }
  });
  return {.group = "index",
          .name = "single durable applies from 8 threads, a second",
          .value = kDurable / ours,
          .floor = kDurable / floor,
          .unit = "/s",
          .floor_name = "plain commits of 8 at once",
          .must = 0.7,
          .aim = 0.9,
          .better = Better::higher};
}

Figure read_figure(MetadataStore& index, RawSqlite& raw, std::span<const BulkLoad::Row> rows) {
  std::mt19937_64 random(1);
  std::vector<FileId> ids;
  for (std::size_t i = 0; i < kReads; ++i) ids.push_back(rows[random() % rows.size()].put.entry.id);
  const Pair best = best_of(
      3,
      [&] {
        for (const FileId& id : ids)
          if (!must(index.find(id, {}))) give_up("an entry is missing");
      },
      [&] {
        for (const FileId& id : ids)
          if (!raw.find(id)) give_up("a row is missing");
      });
  return {.group = "index",
          .name = "point read by id",
          .value = best.ours * 1e6 / kReads,
          .floor = best.floor * 1e6 / kReads,
          .unit = "us",
          .floor_name = "prepared SELECT by id",
          .must = 1.5,
          .aim = 1.2};
}

Figure search_figure(MetadataStore& index) {
  std::vector<double> times;
  for (int round = 0; round < 20; ++round)
    for (const char* query :
         {"quarterly draft", "договор legal", "invoice отчёт", "plan hr", "photo signed"})
      times.push_back(
          time_of([&] { (void)must(index.search({.query = query, .limit = 50}, {})); }));
  std::ranges::sort(times);
  return {.group = "index",
          .name = "search of two words, p99",
          .value = times[times.size() * 99 / 100] * 1e3,
          .unit = "ms",
          .must = 20,
          .aim = 5};
}

}  // namespace

std::vector<Figure> index_figures(const Options& options) {
  const std::vector<BulkLoad::Row> rows = make_rows(options);
  if (rows.size() < kDurable) give_up("the index figures need at least 400 files");
  const auto index = open_fresh(options.folder + "/artcache-bench-index.db");
  RawSqlite raw(options.folder + "/artcache-bench-raw.db");
  std::vector<Figure> figures;
  figures.push_back(bulk_figure(*index, raw, rows));
  figures.push_back(read_figure(*index, raw, rows));
  figures.push_back(search_figure(*index));
  figures.push_back(apply_figure(options.folder, rows));
  figures.push_back(durable_figure(options.folder, rows));
  return figures;
}

}  // namespace artcache::bench
