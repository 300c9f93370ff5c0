// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/cleanup.hpp"

#include <algorithm>
#include <optional>

#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

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

struct Expired {
  std::vector<FileId> ids;
  bool more = false;  ///< behind the largest of them
};

/// Whose freshness is over at that moment: of the ids behind one, the smallest, as many as memory
/// is there for. Entries that were looked at stay out.
Result<Expired> expired_entries(const Context& context, Timestamp now,
                                const std::optional<FileId>& behind, Session& session,
                                Meter& meter) {
  const std::size_t most = std::max<std::size_t>(context.settings.found_most / 2, 1);
  Expired expired;
  const auto trim = [&] {
    if (expired.ids.size() <= most) return;
    std::ranges::nth_element(expired.ids, expired.ids.begin() + static_cast<std::ptrdiff_t>(most));
    expired.ids.resize(most);
    expired.more = true;
  };
  const auto collect = [&](std::span<const KeyAndHash> rows) -> Result<void> {
    for (const KeyAndHash& row : rows) {
      if (!row.freshness.expired(now) || (behind && row.id <= *behind)) continue;
      expired.ids.push_back(row.id);
      if (expired.ids.size() == 2 * most) trim();
    }
    return session.step(meter.text());
  };
  ARTCACHE_CHECK(context.index.scan(collect, session.call()));
  trim();
  return expired;
}

/// An entry whose sidecar is gone, and of which the scan table does not say that this was its own:
/// a row that came by hand.
struct Unscanned {
  std::size_t at = 0;  ///< among the ids that are refreshed
  FileId id;
  const RowBrief* row = nullptr;  ///< as it was before the sidecar was looked for
};

/// Another sidecar of the file takes the place of the one that is gone; without one the entry goes.
Result<void> settle_unscanned(const Context& context, std::span<const Unscanned> entries,
                              Session& session, Applier& applier,
                              std::vector<RefreshOutcome>& outcomes) {
  std::vector<Gone> gone;
  std::vector<std::size_t> at;
  for (const Unscanned& entry : entries) {
    ARTCACHE_TRY(const auto others, context.index.scanned_paths_of(entry.id, session.call()));
    if (!others.empty()) {
      ARTCACHE_TRY(const Settled settled, applier.replace(entry.id, *entry.row, Standing::gone));
      outcomes[entry.at] = outcome_of(settled);
      continue;
    }
    gone.push_back({entry.id, entry.row->revision, entry.row->sidecar_path});
    at.push_back(entry.at);
  }
  if (gone.empty()) return {};
  ARTCACHE_TRY(const auto removed, applier.remove(gone));
  for (std::size_t n = 0; n < gone.size(); ++n)
    outcomes[at[n]] = outcome_of(removed[n] != 0 ? Settled::removed : Settled::moved);
  return {};
}

}  // namespace

Result<std::vector<RefreshOutcome>> refresh(const Context& context, std::span<const FileId> ids,
                                            Session& session, Tally& tally,
                                            RunStatistics& statistics) {
  ARTCACHE_TRY(const auto rows, context.index.briefs(ids, session.call()));
  std::vector<RefreshOutcome> outcomes(ids.size(), RefreshOutcome::unknown);
  std::vector<std::string> paths;
  std::vector<FileId> owners;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!rows[i]) continue;
    owners.push_back(ids[i]);
    paths.push_back(rows[i]->sidecar_path);
    at.push_back(i);
  }
  if (paths.empty()) return outcomes;
  Applier applier(context, session, tally, statistics);
  ARTCACHE_TRY(const auto settled, applier.settle_owned(std::move(paths), owners));
  std::vector<Unscanned> unscanned;
  for (std::size_t n = 0; n < settled.size(); ++n) {
    const std::size_t i = at[n];
    outcomes[i] = outcome_of(settled[n]);
    if (settled[n] == Settled::forgotten) unscanned.push_back({i, ids[i], &*rows[i]});
  }
  ARTCACHE_CHECK(settle_unscanned(context, unscanned, session, applier, outcomes));
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
  // What cannot be read stays, and stays expired: it must not be looked at for ever.
  std::optional<FileId> behind;
  for (bool more = true; more;) {
    ARTCACHE_TRY(const Expired expired, expired_entries(context, now, behind, session, meter));
    const std::span<const FileId> ids = expired.ids;
    for (std::size_t begin = 0; begin < ids.size(); begin += kChunk) {
      ARTCACHE_CHECK(session.step(meter.text()));
      const auto part = ids.subspan(begin, std::min(kChunk, ids.size() - begin));
      ARTCACHE_TRY(const auto outcomes, refresh(context, part, session, tally, work));
      for (const RefreshOutcome outcome : outcomes) {
        statistics.entries_refreshed += outcome == RefreshOutcome::refreshed;
        statistics.entries_deleted +=
            outcome == RefreshOutcome::refreshed || outcome == RefreshOutcome::removed;
      }
      meter.add(part.size());
      meter.report();
    }
    more = expired.more;
    if (more) behind = std::ranges::max(ids);
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
