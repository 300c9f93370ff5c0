// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/bulk_fill.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "core/reconcile/join.hpp"
#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

/// From so many sidecars on, and ten times as many as there are entries, an index is filled in
/// bulk. Below, its log tells every change.
constexpr std::uint64_t kBulkLeast = 10'000;
/// An index with more entries is compared row by row: to find out whether there are ten times as
/// many sidecars would take a listing of its own.
constexpr std::uint64_t kBulkEntriesMost = 10'000;

/// As far as it matters.
Result<std::uint64_t> count_sidecars(const Run& run, std::uint64_t most) {
  std::atomic<std::uint64_t> count{0};
  const auto enough = [&](const ListBatch& batch) -> Result<void> {
    if (count.fetch_add(batch.files.size()) + batch.files.size() < most) return {};
    // Only to end the listing: that it was this is told by the count.
    return Error{Errc::cancelled, "enough for now"};
  };
  const auto listed =
      run.context.storage.list({.stamps = ListStamps::not_needed}, enough, run.call);
  if (!listed && count.load() < most) return listed.error();
  return count.load();
}

Result<bool> is_worth_it(Run& run) {
  if (!run.request.folder.empty()) return false;
  ARTCACHE_TRY(const IndexHead head, run.context.index.head(run.call));
  // Without pruning every entry stays, and a bulk load keeps none.
  if ((!run.prunes && head.count > 0) || head.count > kBulkEntriesMost) return false;
  const bool tells = static_cast<bool>(run.request.progress);
  const std::uint64_t needed = std::max(kBulkLeast, head.count * 10);
  run.meter.phase("counting", 0);
  ARTCACHE_TRY(const std::uint64_t listed, count_sidecars(run, tells ? ~0ULL : needed));
  run.meter.phase("rebuilding", listed > needed || tells ? listed : 0);
  return listed >= needed;
}

class BulkFill final : public RunWalk {
 public:
  BulkFill(Run& run, std::unique_ptr<BulkLoad> bulk)
      : RunWalk(run), bulk_(std::move(bulk)), resumed_(bulk_->resumed_rows() > 0) {
    drops_known_ = false;
  }

  Result<Filled> fill();

 private:
  [[nodiscard]] bool opens(const ListedFile& sidecar,
                           const std::optional<ScannedFile>& known) const override {
    return !resumed_ || !known || known->stamp != sidecar.stamp;
  }
  Result<void> take(Chunk& chunk) override;

  Result<void> load();
  Result<bool> may_switch();
  Result<void> switch_over();
  Result<void> give_up();

  const std::unique_ptr<BulkLoad> bulk_;
  const bool resumed_;
  std::vector<BulkLoad::Row> rows_;  // its buffers go back to the readers, and come again
};

Result<Filled> BulkFill::fill() {
  ARTCACHE_CHECK(load());
  run_.found.seal();
  ARTCACHE_TRY(const bool whole, may_switch());
  if (!whole) {
    ARTCACHE_CHECK(give_up());
    return Filled::no;
  }
  ARTCACHE_CHECK(switch_over());
  // What an earlier run has loaded may have changed since; the comparison shows it.
  return resumed_ ? Filled::partly : Filled::entirely;
}

Result<void> BulkFill::load() {
  run_.found.begin(0);
  const ScanLookup loaded = [this](std::span<const std::string_view> paths, const Call& call) {
    return bulk_->find_scanned(paths, call);
  };
  auto walked = walk_over(loaded, resumed_ ? ListStamps::wanted : ListStamps::not_needed);
  // What was loaded so far stays for the next run, unless it is what fills the disk.
  if (!walked && walked.error().code == Errc::no_space) (void)bulk_->discard(run_.call);
  return walked;
}

Result<void> BulkFill::take(Chunk& chunk) {
  run_.statistics.sidecars_opened += chunk.files.size();
  run_.statistics.bytes_read += chunk.bytes;
  const Freshness fresh = run_.context.fresh();
  std::size_t count = 0;
  if (rows_.size() < chunk.files.size()) rows_.resize(chunk.files.size());
  for (Opened& file : chunk.files) {
    if (!file.put) {
      run_.applier.unread(file);
      continue;
    }
    BulkLoad::Row& row = rows_[count++];
    row.scanned.path.swap(file.path);
    row.scanned.stamp = file.stamp;
    row.scanned.id = file.put->entry.id;
    row.scanned.hash = file.put->hash;
    row.scanned.updated_at = file.put->entry.updated_at;
    row.scanned.text_hash = file.text_hash;
    std::swap(row.put, *file.put);
    row.freshness = fresh;
  }
  return bulk_->add(std::span(rows_).first(count), run_.call);
}

/// Only entries whose sidecars are known to be gone may be missing in the new generation.
Result<bool> BulkFill::may_switch() {
  ARTCACHE_TRY(const IndexHead head, run_.context.index.head(run_.call));
  if (head.count == 0) return true;
  if (!run_.tally.unseen().empty() || run_.statistics.unreadable > 0 || run_.found.parts() > 1)
    return false;
  ARTCACHE_TRY(const Joined joined, join(run_));
  if (joined.more_absent) return false;
  for (const Joined::Row& row : joined.absent) {
    ARTCACHE_TRY(const auto briefs, run_.context.index.briefs({&row.id, 1}, run_.call));
    if (!briefs.front()) continue;
    ARTCACHE_TRY(const bool stands,
                 run_.context.may_stand(briefs.front()->sidecar_path, run_.call));
    if (stands) return false;
  }
  run_.statistics.entries_deleted = joined.absent.size();
  return true;
}

Result<void> BulkFill::switch_over() {
  run_.meter.phase("building indexes", 0);
  if (run_.full) ARTCACHE_CHECK(run_.log.loading());
  ARTCACHE_TRY(run_.seen.position, bulk_->finish(run_.call));  // this reset is ours
  ARTCACHE_CHECK(name_twins(run_));
  ARTCACHE_TRY(const IndexHead head, run_.context.index.head(run_.call));
  run_.seen.generation = head.generation;
  run_.statistics.entries_inserted = head.count;
  return {};
}

/// What is there already must stay: the comparison row by row keeps it, and counts anew.
Result<void> BulkFill::give_up() {
  ARTCACHE_CHECK(bulk_->discard(run_.call));
  run_.statistics = {.cache_entries_before = run_.statistics.cache_entries_before};
  run_.sidecars_seen = 0;
  run_.counting = true;
  return {};
}

}  // namespace

Result<Filled> fill_in_bulk(Run& run) {
  ARTCACHE_TRY(const bool worth_it, is_worth_it(run));
  if (!worth_it) return Filled::no;
  auto bulk = run.context.index.bulk_load(kBulkLeast, run.session.fence(), run.call);
  if (!bulk && bulk.error().code == Errc::conflict) return Filled::no;
  if (!bulk) return std::move(bulk).error();
  return BulkFill(run, std::move(*bulk)).fill();
}

}  // namespace artcache::reconcile
