// SPDX-License-Identifier: Apache-2.0
// A follower whose replica is in PostgreSQL, against plain statements over the same rows.
#include <algorithm>
#include <artcache/backends.hpp>
#include <artcache/follower.hpp>

#include "backends/postgres/columns.hpp"
#include "bench/bench.hpp"
#include "bench/index_bench.hpp"
#include "bench/postgres_site.hpp"
#include "bench/sample_rows.hpp"
#include "bench/servers.hpp"

namespace artcache::bench {
namespace {

constexpr std::uint64_t kApplied = 50'000;
constexpr std::size_t kAtOnce = 1000;

double catch_up(LogSource& log, MetadataStore& copy) {
  const auto sink = make_replica(copy, "bench", Deps{});
  Follower follower(log, *sink, {.batch = kAtOnce}, {});
  return time_of([&] {
    if (!must(follower.catch_up({})).proven) give_up("the replica is not in step");
  });
}

void apply_rows(MetadataStore& index, std::span<const BulkLoad::Row> rows) {
  std::vector<EntryChange> changes;
  for (const auto& row : rows) changes.push_back(change_of(row));
  for (std::size_t at = 0; at < changes.size(); at += kAtOnce)
    must(index.apply({.changes = std::span(changes).subspan(at, kAtOnce)}, {}));
}

}  // namespace

std::vector<Figure> follow_postgres_figures(const Options& options) {
  const Servers server("postgres");
  if (!server.running()) return {};
  const Site site(server.value("ARTCACHE_TEST_POSTGRES"));
  const SampleRows rows(options.files);
  const auto source = open_fresh(options.folder + "/artcache-bench-source.db");
  (void)load_index(*source, rows);
  const auto log = make_log_source(*source);
  const auto copy = site.open("copy");
  (void)catch_up(*log, *copy);
  const std::string names = postgres::column_names();
  site.psql("INSERT INTO raw(" + names + ") SELECT " + names + " FROM copy_files");
  site.psql("VACUUM ANALYZE raw, copy_files");
  const auto connection = site.connect();

  Pair sum;
  std::uint64_t next = options.files;
  for (const std::uint64_t end = next + kApplied; next < end; next += kChunk) {
    const auto some = rows.make(next, next + kChunk);
    apply_rows(*source, some);
    sum.floor += time_of([&] {
      for (std::size_t at = 0; at < some.size(); at += kAtOnce)
        upsert(*connection, std::span(some).subspan(at, kAtOnce));
    });
    sum.ours += catch_up(*log, *copy);
  }
  return {{.group = "follow-postgres",
           .name = "changes applied a second, 1,000 at a time",
           .value = kApplied / sum.ours,
           .floor = kApplied / sum.floor,
           .unit = "/s",
           .floor_name = "batched upserts with the same indexes, without a log",
           .must = 0.6,
           .aim = 0.8,
           .better = Better::higher}};
}

}  // namespace artcache::bench
