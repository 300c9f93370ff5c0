// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/join.hpp"

#include <algorithm>
#include <chrono>

#include "util/try.hpp"

namespace artcache::reconcile {

Result<Joined> join(Run& run) {
  Joined joined;
  const Freshness fresh = run.context.fresh();
  const auto recent = fresh.refreshed_at - std::chrono::hours(fresh.ttl_hours) / kFreshPart;
  const auto match = [&](std::span<const KeyAndHash> rows) -> Result<void> {
    for (const KeyAndHash& row : rows) {
      if (!run.found.holds(row.id)) continue;
      const Match found = run.found.match(row.id, row.hash);
      if (found == Match::absent) {
        joined.more_absent = joined.absent.size() == run.context.settings.found_most;
        if (!joined.more_absent) joined.absent.push_back({row.id, row.revision});
      }
      if (run.full && found == Match::equal &&
          (row.freshness.ttl_hours != fresh.ttl_hours || row.freshness.refreshed_at < recent))
        joined.aged.push_back(row.id);
    }
    return run.step();
  };
  ARTCACHE_TRY(const Position at, run.context.index.scan(match, run.call));
  joined.as_of = at.seq;
  return joined;
}

Result<void> freshen(Run& run, const Joined& joined) {
  const Freshness fresh = run.context.fresh();
  for (std::size_t at = 0; at < joined.aged.size(); at += kChunk) {
    std::vector<EntryChange> changes(std::min(kChunk, joined.aged.size() - at));
    for (std::size_t n = 0; n < changes.size(); ++n) {
      changes[n].kind = EntryChange::Kind::freshen;
      changes[n].id = joined.aged[at + n];
      changes[n].freshness = fresh;
      changes[n].as_of = joined.as_of;
    }
    ARTCACHE_CHECK(
        run.context.index.apply({.changes = changes, .fence = run.session.fence()}, run.call));
    ARTCACHE_CHECK(run.step());
  }
  return {};
}

}  // namespace artcache::reconcile
