// SPDX-License-Identifier: Apache-2.0
// The index in PostgreSQL against what the server takes for the same rows without it.
#include <algorithm>
#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <atomic>
#include <cstdio>
#include <memory>
#include <span>
#include <thread>

#include "backends/postgres/columns.hpp"
#include "bench/bench.hpp"
#include "bench/index_bench.hpp"
#include "bench/postgres_site.hpp"
#include "bench/sample_rows.hpp"
#include "bench/sample_store.hpp"
#include "bench/servers.hpp"

namespace artcache::bench {
namespace {

constexpr unsigned kWriters = 8;
constexpr std::uint64_t kDurable = 4000;

double rebuild(MetadataStore& index, StorageBackend& storage) {
  const auto locks = must(make_lock_manager(*index.locks(), {}));
  CacheRebuildService service(storage, index, *locks, RebuildSettings{}, Deps{});
  return time_of([&] { must(service.rebuild_full({}, {})); });
}

/// The rows of `prefix`, copied out and into the plain table, which has its indexes all the time.
double copy_seconds(const Site& site, const std::string& prefix, const std::string& file) {
  const std::string names = postgres::column_names();
  site.psql("\\copy " + prefix + "_files(" + names + ") TO '" + file + "' (FORMAT binary)");
  site.psql("TRUNCATE raw");
  return time_of(
      [&] { site.psql("\\copy raw(" + names + ") FROM '" + file + "' (FORMAT binary)"); });
}

/// Forked before anything big is in memory here, which would count for the child too.
Figure memory_figure(const Site& site, const SampleStore& store) {
  const double memory =
      peak_memory_of([&] { (void)rebuild(*site.open("memory"), store.storage()); });
  site.psql("TRUNCATE memory_files");
  return {.group = "postgres",
          .name = "memory of a full rebuild from files",
          .value = memory,
          .unit = "MiB",
          .must = 256,
          .aim = 96};
}

std::vector<Figure> load_figures(const Site& site, const SampleStore& store,
                                 const Options& options) {
  const SampleRows rows(options.files);
  const std::string file = options.folder + "/artcache-bench-copy.bin";
  Pair full{1e100, 1e100}, bulk{1e100, 1e100};
  for (const char* round : {"1", "2"}) {
    const std::string rebuilt = std::string("rebuilt") + round,
                      loaded = std::string("bulk") + round;
    full.ours = std::min(full.ours, rebuild(*site.open(rebuilt), store.storage()));
    full.floor = std::min(full.floor, copy_seconds(site, rebuilt, file));
    bulk.ours = std::min(bulk.ours, load_index(*site.open(loaded), rows));
    bulk.floor = std::min(bulk.floor, copy_seconds(site, loaded, file));
  }
  std::remove(file.c_str());
  const auto figure = [&](std::string name, const Pair& pair) {
    return Figure{.group = "postgres",
                  .name = std::move(name),
                  .value = pair.ours,
                  .floor = pair.floor,
                  .unit = "s",
                  .floor_name = "COPY of the same rows into the same indexed table",
                  .must = 1.6,
                  .aim = 1.2};
  };
  return {figure("full rebuild from files into an empty index", full),
          figure("bulk load of " + std::to_string(options.files), bulk)};
}

/// Calls `work(i)` for each i below `count` from eight threads, each with a `make()` of its own.
template <class Make, class Work>
double from_threads(std::size_t count, const Make& make, const Work& work) {
  std::vector<decltype(make())> own;
  for (unsigned t = 0; t < kWriters; ++t) own.push_back(make());
  return time_of([&] {
    std::atomic<std::size_t> next{0};
    std::vector<std::jthread> threads;
    for (auto& one : own)
      threads.emplace_back([&] {
        for (std::size_t i = next++; i < count; i = next++) work(one, i);
      });
  });
}

Figure durable_figure(const Site& site, const Options& options) {
  const SampleRows rows(options.files);
  const auto index = site.open("durable");
  Pair best{1e100, 1e100};
  for (std::uint64_t round = 0; round < 3; ++round) {
    const auto some = rows.make(round * kDurable, (round + 1) * kDurable);
    std::vector<EntryChange> changes;
    for (const auto& row : some) changes.push_back(change_of(row));
    const auto raw = [&](std::unique_ptr<sql::PostgresConnection>& connection, std::size_t i) {
      upsert(*connection, std::span(some).subspan(i, 1));
    };
    best.floor = std::min(best.floor, from_threads(
                                          some.size(), [&] { return site.connect(); }, raw));
    best.ours = std::min(best.ours, from_threads(
                                        some.size(), [] { return 0; },
                                        [&](int, std::size_t i) {
                                          must(index->apply({.changes = {&changes[i], 1}}, {}));
                                        }));
  }
  return {.group = "postgres",
          .name = "single durable applies from 8 clients, a second",
          .value = kDurable / best.ours,
          .floor = kDurable / best.floor,
          .unit = "/s",
          .floor_name = "INSERT ... ON CONFLICT of the same rows, no triggers, 8 connections",
          .must = 0.25,
          .aim = 0.5,
          .better = Better::higher};
}

}  // namespace

std::vector<Figure> postgres_figures(const Options& options) {
  const Servers servers("postgres");
  if (!servers.running()) return {};
  const Site site(servers.value("ARTCACHE_TEST_POSTGRES"));
  const SampleStore store(options.folder, options.files);
  std::vector<Figure> figures{memory_figure(site, store)};
  for (Figure& figure : load_figures(site, store, options)) figures.push_back(std::move(figure));
  figures.push_back(durable_figure(site, options));
  return figures;
}

}  // namespace artcache::bench
