// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/prune.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

/// Paths held at once on their way out of the scan table, at most.
constexpr std::size_t kStaleMost = 10'000;
/// What is left after so many goes is left for the next run.
constexpr int kPassesMost = 1000;

/// A listing may have missed a file; that it is gone, only looking for it shows.
Result<void> prune_rows(Run& run, std::span<const Joined::Row> rows) {
  std::vector<FileId> ids;
  for (const Joined::Row& row : rows) ids.push_back(row.id);
  ARTCACHE_TRY(const auto briefs, run.context.index.briefs(ids, run.call));
  std::vector<Gone> gone;
  std::vector<std::string> stand;
  std::vector<FileId> owners;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!briefs[i] || briefs[i]->revision != rows[i].revision) continue;
    const std::string& path = briefs[i]->sidecar_path;
    const auto found = run.context.storage.stat(path, run.call);
    if (!found) {
      ++run.unmatched;
      run.tally.not_seen(path, found.error());
    } else if (*found) {
      stand.push_back(path);
      owners.push_back(rows[i].id);
    } else {
      gone.push_back({rows[i].id, rows[i].revision, path});
    }
  }
  ARTCACHE_CHECK(run.applier.remove(gone));
  if (!stand.empty()) ARTCACHE_CHECK(run.applier.settle_owned(std::move(stand), owners));
  return {};
}

Result<void> prune_absent(Run& run, std::span<const Joined::Row> rows) {
  for (std::size_t at = 0; at < rows.size(); at += kChunk) {
    ARTCACHE_CHECK(run.step());
    run.meter.report();
    ARTCACHE_CHECK(prune_rows(run, rows.subspan(at, std::min(kChunk, rows.size() - at))));
  }
  return {};
}

}  // namespace

Result<void> prune_entries(Run& run, Joined joined) {
  ARTCACHE_CHECK(prune_absent(run, joined.absent));
  for (int pass = 0; joined.more_absent && pass < kPassesMost; ++pass) {
    const std::uint64_t deleted = run.statistics.entries_deleted;
    joined = {};  // before as much is held again
    ARTCACHE_TRY(joined, join(run));
    ARTCACHE_CHECK(prune_absent(run, joined.absent));
    if (run.statistics.entries_deleted == deleted) break;
  }
  run.unmatched += joined.more_absent ? 1 : 0;  // the rest is left for the next run
  return {};
}

Result<Stale> find_stale(const Run& run, const std::string& after,
                         const std::function<Result<void>()>& step) {
  const std::size_t most = std::min(kStaleMost, run.context.settings.found_most);
  Stale stale{.files = {}, .all = true};
  const auto look = [&](std::span<const ScannedFile> files) -> Result<void> {
    for (const ScannedFile& file : files)
      if (run.found.holds(file.id) && !run.found.has_path(file.id, file.path))
        stale.files.push_back(file);
    stale.all = stale.files.size() <= most;
    // Only to end the scan: that it was this is told by `all`.
    if (!stale.all) return Error{Errc::cancelled, "enough for now"};
    return step();
  };
  const auto looked =
      run.context.index.scan_table({.folder = run.request.folder, .after = after}, look, run.call);
  if (!looked && stale.all) return looked.error();
  return stale;
}

Result<void> forget_stale(Run& run, std::optional<Stale> first) {
  for (std::string after;;) {
    if (!first) {
      ARTCACHE_TRY(first, find_stale(run, after, [&] { return run.step(); }));
    }
    const Stale stale = *std::exchange(first, std::nullopt);
    const std::span<const ScannedFile> files = stale.files;
    for (std::size_t at = 0; at < files.size(); at += kChunk) {
      const auto part = files.subspan(at, std::min(kChunk, files.size() - at));
      if (!run.request.folder.empty()) ARTCACHE_CHECK(run.applier.settle(part));
      ARTCACHE_CHECK(run.applier.forget(part));
    }
    if (stale.all) return {};
    after = stale.files.back().path;
  }
}

}  // namespace artcache::reconcile
