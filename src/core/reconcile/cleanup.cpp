// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/cleanup.hpp"

#include <algorithm>

#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

/// Ids of expired entries held at once; with more of them the index is looked through again.
constexpr std::size_t kIdsMost = 500'000;

RefreshOutcome outcome_of(Settled settled) {
  switch (settled) {
    case Settled::removed:
      return RefreshOutcome::removed;
    case Settled::unreadable:
      return RefreshOutcome::unreadable;
    case Settled::forgotten:
      return RefreshOutcome::unknown;
    default:
      return RefreshOutcome::refreshed;
  }
}

/// Whose freshness is over at that moment. Entries that were looked at stay out.
Result<std::vector<FileId>> expired_ids(const Context& context, Timestamp now, Session& session,
                                        Meter& meter) {
  std::vector<FileId> ids;
  const auto collect = [&](std::span<const KeyAndHash> rows) -> Result<void> {
    for (const KeyAndHash& row : rows)
      if (row.freshness.expired(now)) ids.push_back(row.id);
    if (ids.size() > kIdsMost) return Error{Errc::conflict, "enough for now"};
    return session.step(meter.text());
  };
  const auto scanned = context.index.scan(collect, session.call());
  if (!scanned && scanned.error().code != Errc::conflict) return scanned.error();
  return ids;
}

}  // namespace

Result<std::vector<RefreshOutcome>> refresh(const Context& context, std::span<const FileId> ids,
                                            Session& session, Tally& tally,
                                            RunStatistics& statistics) {
  ARTCACHE_TRY(const auto rows, context.index.briefs(ids, session.call()));
  std::vector<RefreshOutcome> outcomes(ids.size(), RefreshOutcome::unknown);
  std::vector<std::string> paths;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!rows[i]) continue;
    paths.push_back(rows[i]->sidecar_path);
    at.push_back(i);
  }
  if (paths.empty()) return outcomes;
  Applier applier(context, session, tally, statistics);
  ARTCACHE_TRY(const auto settled, applier.settle(std::move(paths)));
  for (std::size_t n = 0; n < settled.size(); ++n) outcomes[at[n]] = outcome_of(settled[n]);
  return outcomes;
}

Result<RebuildReport> cleanup_expired(const Context& context, Session& session) {
  Tally tally(context);
  RunStatistics work, statistics;
  const ProgressSink nobody;
  Meter meter(context, nobody, session.call());
  meter.phase("cleaning up", 0);
  ARTCACHE_TRY(Stopwatch watch, Stopwatch::start(context, session.call()));
  const Timestamp now = watch.started_at();
  std::size_t unreadable_before = 0;
  while (true) {
    ARTCACHE_TRY(const auto ids, expired_ids(context, now, session, meter));
    std::uint64_t unreadable = 0;
    for (std::size_t begin = 0; begin < ids.size(); begin += kChunk) {
      ARTCACHE_CHECK(session.step(meter.text()));
      const auto part = std::span(ids).subspan(begin, std::min(kChunk, ids.size() - begin));
      ARTCACHE_TRY(const auto outcomes, refresh(context, part, session, tally, work));
      for (const RefreshOutcome outcome : outcomes) {
        statistics.entries_refreshed += outcome == RefreshOutcome::refreshed;
        statistics.entries_deleted +=
            outcome == RefreshOutcome::refreshed || outcome == RefreshOutcome::removed;
        unreadable += outcome == RefreshOutcome::unreadable;
      }
      meter.add(part.size());
      meter.report();
    }
    // What cannot be read stays, and stays expired: it must not be looked at for ever.
    if (ids.size() <= kIdsMost || unreadable == unreadable_before + ids.size()) break;
    unreadable_before = unreadable;
  }
  RebuildReport report;
  report.kind = RunKind::cleanup_expired;
  ARTCACHE_TRY(report.verdict, watch.stop(tally, session.call()));
  statistics.cache_entries_before = watch.before().count;
  statistics.cache_entries_after = watch.after().count;
  statistics.sidecars_opened = work.sidecars_opened;
  statistics.bytes_read = work.bytes_read;
  statistics.unreadable = work.unreadable;
  statistics.entries_changed = work.entries_changed;
  statistics.entries_unchanged = work.entries_unchanged;
  report.statistics = statistics;
  report.errors = tally.messages();
  return report;
}

}  // namespace artcache::reconcile
