// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/rebuild.hpp"

#include <chrono>

#include "core/reconcile/bulk_fill.hpp"
#include "core/reconcile/compare.hpp"
#include "core/reconcile/run.hpp"
#include "core/sync/replica_note.hpp"
#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

/// A full rebuild that was cut short not long ago is gone on with: what it has read is not opened
/// again.
Result<void> begin(Run& run) {
  if (!run.full) return {};
  const Freshness fresh = run.context.fresh();
  return run.log.begin(run.request.folder, run.statistics.cache_entries_before, fresh.refreshed_at,
                       std::chrono::hours(fresh.ttl_hours) / 2);
}

/// What says what a storage says is the copy of no index any more: who went on following would
/// take that back.
Result<void> end_copy(Run& run) {
  MetadataStore& index = run.context.index;
  ARTCACHE_TRY(const std::string copy, index.note(sync::kReplicaNote, run.call));
  if (copy.empty()) return {};
  return index.set_note(sync::kReplicaNote, {}, run.session.fence(), run.call);
}

/// Only who has seen everything, and left nothing different, may say that the index is right.
Result<void> vouch(Run& run) {
  const bool in_step =
      run.request.folder.empty() && run.tally.unseen().empty() && run.unmatched == 0;
  // What others have found against it while this went on is not made good by it.
  if (in_step && !run.seen.suspect_reason.empty())
    ARTCACHE_CHECK(run.context.index.trust(run.seen, run.session.fence(), run.call));
  return in_step ? end_copy(run) : Result<void>();
}

RunStatistics statistics_of(const Run& run, const IndexHead& after) {
  RunStatistics statistics = run.statistics;
  statistics.attr_files_scanned = run.sidecars_seen.load();
  statistics.cache_entries_after = after.count;
  statistics.entries_created = statistics.entries_inserted;
  if (run.full)
    statistics.entries_created += statistics.entries_changed + statistics.entries_unchanged;
  else
    statistics.entries_updated = statistics.entries_changed;
  return statistics;
}

}  // namespace

Result<RebuildReport> rebuild(const Context& context, RunKind kind, const RebuildRequest& request,
                              Session& session, const Keep& keep) {
  Run run(context, kind, request, session);
  ARTCACHE_TRY(Stopwatch watch, Stopwatch::start(context, run.call));
  run.seen = watch.before();
  run.statistics.cache_entries_before = run.seen.count;
  ARTCACHE_CHECK(begin(run));
  ARTCACHE_TRY(const Filled filled, fill_in_bulk(run));
  // Of what a bulk load has read only what changed since is opened again.
  const bool opens_all = run.full && filled == Filled::no;
  if (filled != Filled::entirely)
    ARTCACHE_CHECK(compare(run, opens_all ? Opening::all : Opening::changed));
  // What a comparison came upon again was counted when it was filled in.
  if (filled == Filled::partly)
    run.statistics.entries_changed = run.statistics.entries_unchanged = 0;
  ARTCACHE_CHECK(vouch(run));

  RebuildReport report;
  report.kind = kind;
  ARTCACHE_TRY(report.verdict, watch.stop(run.tally, run.call));
  report.statistics = statistics_of(run, watch.after());
  report.errors = run.tally.messages();
  if (keep) keep(report);
  if (run.full) ARTCACHE_CHECK(run.log.end());
  return report;
}

}  // namespace artcache::reconcile
