// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/rebuild.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <exception>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "core/reconcile/applier.hpp"
#include "core/reconcile/found_set.hpp"
#include "core/reconcile/run_log.hpp"
#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

/// From so many sidecars on, and ten times as many as there are entries, an index is filled in
/// bulk. Below, its log tells every change.
constexpr std::uint64_t kBulkLeast = 10'000;
/// An index with more entries is compared row by row: to find out whether there are ten times as
/// many sidecars would take a listing of its own.
constexpr std::uint64_t kBulkEntriesMost = 10'000;

/// Paths held at once on their way out of the scan table.
constexpr std::size_t kStaleMost = 10'000;
/// Sidecars to be compared once more, because their entries changed after they were read. What is
/// beyond is left to the join.
constexpr std::size_t kAgainMost = 50'000;
/// What is left after so many goes is left for the next run.
constexpr int kStalePassesMost = 1000, kPrunePassesMost = 1000;

std::uint64_t random_seed() {
  std::array<std::uint8_t, 8> bytes{};
  util::fill_random(bytes);
  return std::bit_cast<std::uint64_t>(bytes);
}

/// One run. Its walks are: the first over everything; then, for what the index was found not to
/// say, another one that opens just that; then the same for every further part of the ids.
class Rebuild final : public WalkTaker {
 public:
  Rebuild(const Context& context, RunKind kind, const RebuildRequest& request, Session& session)
      : context_(context),
        full_(kind == RunKind::full),
        prunes_(full_ || request.prune == Prune::yes),
        request_(request),
        session_(session),
        call_(session.call()),
        tally_(context),
        meter_(context, request.progress, session.call()),
        applier_(context, session, tally_, statistics_),
        log_(context.index, session.fence(), session.call()),
        found_(context.settings.found_most, random_seed()) {}

  Result<RebuildReport> run(const Keep& keep);

  Result<void> listed(std::span<const ListedFile> sidecars,
                      std::span<const std::optional<ScannedFile>> scanned,
                      std::vector<char>& open) override;
  void not_seen(const ListProblem& problem) override {
    if (first_walk_) tally_.not_seen(problem);
  }
  Result<void> opened(Chunk& chunk) override;
  Result<void> pause() override;

 private:
  enum class Rule : std::uint8_t { all, changed, differing };
  struct Row {
    FileId id;
    std::uint64_t revision = 0;
  };

  Result<void> begin();
  Result<void> end();
  Result<bool> wants_bulk();
  Result<std::uint64_t> count_sidecars(std::uint64_t most);
  Result<void> fill_in_bulk();
  Result<bool> may_switch();
  Result<void> compare(Rule rule);
  Result<void> compare_part(std::uint32_t part, Rule rule);
  [[nodiscard]] bool by_stamp() const;
  Result<void> walk_over(Rule rule, const ScanLookup& lookup);
  Result<void> settle_again();
  Result<void> name_twins();
  Result<void> join();
  Result<void> prune();
  Result<void> prune_absent();
  Result<void> prune_rows(std::span<const Row> rows);
  /// Paths of the scan table that were not listed; perhaps not all of them at once.
  struct Stale {
    std::vector<ScannedFile> files;
    bool all = false;
  };
  using Step = std::function<Result<void>()>;
  Result<void> join_beside_stale();
  Result<Stale> find_stale(const std::string& after, const Step& step) const;
  Result<void> forget_paths();
  Result<void> add_to_bulk(Chunk& chunk);
  void note_found(const Chunk& chunk);
  void note_known(std::span<const ListedFile> sidecars,
                  std::span<const std::optional<ScannedFile>> scanned,
                  const std::vector<char>& open);
  Result<bool> settle_known(Chunk& chunk);
  Result<void> freshen(std::uint64_t as_of);

  const Context& context_;
  const bool full_, prunes_;
  const RebuildRequest& request_;
  Session& session_;
  const Call& call_;
  Tally tally_;
  RunStatistics statistics_;
  IndexHead seen_;  // when it began
  Meter meter_;
  Applier applier_;
  RunLog log_;

  util::Mutex mutex_;  // of found_ while a walk goes on
  FoundSet found_;
  // Entries of this part that no sidecar tells of: as many as there may be sidecars, or all.
  std::vector<Row> absent_;
  bool more_absent_ = false;
  std::uint64_t unmatched_ = 0;
  std::optional<Stale> stale_;
  Rule rule_ = Rule::all;
  std::vector<std::string> again_;  // somebody was quicker: to be compared once more
  bool first_walk_ = true, collecting_ = true;
  std::atomic<std::uint64_t> scanned_files_{0};
  std::vector<FileId> aged_;  // entries that say what their sidecars say, and are to be made fresh
  std::unique_ptr<BulkLoad> bulk_;
  std::vector<BulkLoad::Row> bulk_rows_;  // its buffers go back to the readers, and come again
};

Result<RebuildReport> Rebuild::run(const Keep& keep) {
  ARTCACHE_TRY(Stopwatch watch, Stopwatch::start(context_, call_));
  seen_ = watch.before();
  statistics_.cache_entries_before = seen_.count;
  ARTCACHE_CHECK(begin());
  ARTCACHE_TRY(const bool in_bulk, wants_bulk());
  bool compared = false, loaded = false;
  if (in_bulk) {
    ARTCACHE_CHECK(fill_in_bulk());
    loaded = bulk_ != nullptr;
    // What an earlier run has loaded may have changed since; the comparison shows it.
    compared = bulk_ != nullptr && bulk_->resumed_rows() == 0;
    bulk_.reset();
  }
  // Of what a bulk load has read only what changed since is opened again.
  if (!compared) ARTCACHE_CHECK(compare(loaded || !full_ ? Rule::changed : Rule::all));
  ARTCACHE_CHECK(end());

  RebuildReport report;
  report.kind = full_ ? RunKind::full : RunKind::incremental;
  ARTCACHE_TRY(report.verdict, watch.stop(tally_, call_));
  statistics_.attr_files_scanned = scanned_files_.load();
  statistics_.cache_entries_after = watch.after().count;
  statistics_.entries_created = full_ ? statistics_.entries_inserted + statistics_.entries_changed +
                                            statistics_.entries_unchanged
                                      : statistics_.entries_inserted;
  statistics_.entries_updated = full_ ? 0 : statistics_.entries_changed;
  report.statistics = statistics_;
  report.errors = tally_.messages();
  if (keep) keep(report);
  if (full_) ARTCACHE_CHECK(log_.end());
  return report;
}

/// A full rebuild that was cut short not long ago is gone on with: what it has read is not opened
/// again.
Result<void> Rebuild::begin() {
  if (!full_) return {};
  const Freshness fresh = context_.fresh();
  return log_.begin(request_.folder, statistics_.cache_entries_before, fresh.refreshed_at,
                    std::chrono::hours(fresh.ttl_hours) / 2);
}

Result<void> Rebuild::end() {
  // Only who has seen everything, and left nothing different, may say that the index is right.
  const bool in_step = request_.folder.empty() && tally_.unseen().empty() && unmatched_ == 0;
  // What others have found against it while this went on is not made good by it.
  if (in_step && !seen_.suspect_reason.empty())
    ARTCACHE_CHECK(context_.index.trust(seen_, session_.fence(), call_));
  return {};
}

// --- Bulk ---------------------------------------------------------------------------------------

Result<bool> Rebuild::wants_bulk() {
  if (!request_.folder.empty()) return false;
  ARTCACHE_TRY(const IndexHead head, context_.index.head(call_));
  // Without pruning every entry stays, and a bulk load keeps none.
  if ((!prunes_ && head.count > 0) || head.count > kBulkEntriesMost) return false;
  const std::uint64_t needed = std::max(kBulkLeast, head.count * 10);
  meter_.phase("counting", 0);
  ARTCACHE_TRY(const std::uint64_t listed, count_sidecars(request_.progress ? ~0ULL : needed));
  meter_.phase("rebuilding", listed > needed || request_.progress ? listed : 0);
  return listed >= needed;
}

/// As far as it matters.
Result<std::uint64_t> Rebuild::count_sidecars(std::uint64_t most) {
  std::atomic<std::uint64_t> count{0};
  const auto enough = [&](const ListBatch& batch) -> Result<void> {
    if (count.fetch_add(batch.files.size()) + batch.files.size() < most) return {};
    return Error{Errc::conflict, "enough"};
  };
  const auto listed = context_.storage.list({.stamps = ListStamps::not_needed}, enough, call_);
  if (!listed && count.load() < most) return listed.error();
  return count.load();
}

Result<void> Rebuild::fill_in_bulk() {
  auto bulk = context_.index.bulk_load(kBulkLeast, session_.fence(), call_);
  if (!bulk && bulk.error().code == Errc::conflict) return {};
  if (!bulk) return std::move(bulk).error();
  bulk_ = std::move(*bulk);
  found_.begin(0);
  const ScanLookup loaded = [this](std::span<const std::string_view> paths, const Call& call) {
    return bulk_->find_scanned(paths, call);
  };
  if (auto walked = walk_over(Rule::changed, loaded); !walked) {
    // What was loaded so far stays for the next run, unless it is what fills the disk.
    if (walked.error().code == Errc::no_space) (void)bulk_->discard(call_);
    return walked;
  }
  found_.seal();
  ARTCACHE_TRY(const bool whole, may_switch());
  if (whole) {
    meter_.phase("building indexes", 0);
    if (full_) ARTCACHE_CHECK(log_.loading());
    ARTCACHE_TRY(seen_.position, bulk_->finish(call_));  // this reset is ours
    ARTCACHE_CHECK(name_twins());
    ARTCACHE_TRY(const IndexHead head, context_.index.head(call_));
    seen_.generation = head.generation;
    statistics_.entries_inserted = head.count;
    return {};
  }
  // What is there already must stay: the comparison row by row keeps it.
  ARTCACHE_CHECK(bulk_->discard(call_));
  bulk_.reset();
  statistics_ = {.cache_entries_before = statistics_.cache_entries_before};
  scanned_files_ = 0;
  first_walk_ = true;
  return {};
}

/// Only entries whose sidecars are known to be gone may be missing in the new generation.
Result<bool> Rebuild::may_switch() {
  ARTCACHE_TRY(const IndexHead head, context_.index.head(call_));
  if (head.count == 0) return true;
  if (!tally_.unseen().empty() || statistics_.unreadable > 0 || found_.parts() > 1) return false;
  ARTCACHE_CHECK(join());
  if (more_absent_) return false;
  for (const Row& row : absent_) {
    ARTCACHE_TRY(const auto briefs, context_.index.briefs({&row.id, 1}, call_));
    if (!briefs.front()) continue;
    ARTCACHE_TRY(const bool stands, context_.may_stand(briefs.front()->sidecar_path, call_));
    if (stands) return false;
  }
  statistics_.entries_deleted = absent_.size();
  return true;
}

Result<void> Rebuild::add_to_bulk(Chunk& chunk) {
  statistics_.sidecars_opened += chunk.files.size();
  statistics_.bytes_read += chunk.bytes;
  const Freshness fresh = context_.fresh();
  std::size_t count = 0;
  if (bulk_rows_.size() < chunk.files.size()) bulk_rows_.resize(chunk.files.size());
  for (Opened& file : chunk.files) {
    if (!file.put) {
      applier_.unread(file);
      continue;
    }
    BulkLoad::Row& row = bulk_rows_[count++];
    row.scanned.path.swap(file.path);
    row.scanned.stamp = file.stamp;
    row.scanned.id = file.put->entry.id;
    row.scanned.hash = file.put->hash;
    row.scanned.updated_at = file.put->entry.updated_at;
    std::swap(row.put, *file.put);
    row.freshness = fresh;
  }
  return bulk_->add(std::span(bulk_rows_).first(count), call_);
}

// --- Comparison ---------------------------------------------------------------------------------

Result<void> Rebuild::compare(Rule rule) {
  ARTCACHE_CHECK(compare_part(0, rule));
  for (std::uint32_t part = 1; part < found_.parts(); ++part)
    ARTCACHE_CHECK(compare_part(part, Rule::changed));
  if (prunes_) ARTCACHE_CHECK(forget_paths());
  return {};
}

Result<void> Rebuild::compare_part(std::uint32_t part, Rule rule) {
  found_.begin(part);
  collecting_ = true;
  const ScanLookup lookup = context_.plan().scanned;
  meter_.phase("comparing", std::max(statistics_.cache_entries_before, scanned_files_.load()));
  ARTCACHE_CHECK(walk_over(rule, lookup));
  collecting_ = false;
  ARTCACHE_CHECK(settle_again());
  found_.seal();
  ARTCACHE_CHECK(name_twins());
  // With a folder the stamps decide alone: what lies elsewhere has not been listed.
  if (!request_.folder.empty()) return {};
  ARTCACHE_CHECK(prunes_ && found_.parts() == 1 ? join_beside_stale() : join());
  if (found_.reread_count() > 0) ARTCACHE_CHECK(walk_over(Rule::differing, lookup));
  return prune();
}

/// Whose entries changed after they were read: by a writer, or by a twin in this very run.
Result<void> Rebuild::settle_again() {
  const std::vector<std::string> paths = std::exchange(again_, {});
  for (std::size_t at = 0; at < paths.size(); at += kChunk) {
    ARTCACHE_CHECK(pause());
    const auto part = std::span(paths).subspan(at, std::min(kChunk, paths.size() - at));
    ARTCACHE_CHECK(applier_.settle({part.begin(), part.end()}));
  }
  return {};
}

/// Says which sidecars do not count, because a newer one tells of the same id.
Result<void> Rebuild::name_twins() {
  const std::vector<FileId> ids = found_.twins();
  statistics_.twins += ids.size();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0 && ids[i] == ids[i - 1]) continue;
    if (tally_.is_full()) {
      tally_.message({});
      continue;
    }
    ARTCACHE_TRY(const auto rows, context_.index.briefs({&ids[i], 1}, call_));
    ARTCACHE_TRY(const auto paths, context_.index.scanned_paths_of(ids[i], call_));
    for (const ScannedFile& file : paths)
      if (rows.front() && file.path != rows.front()->sidecar_path)
        tally_.message("'" + file.path + "' is left out: '" + rows.front()->sidecar_path +
                       "' tells of the same id and is newer; remove the one that is wrong");
  }
  return {};
}

/// Whether the stamps of a listing have a say in what is opened.
bool Rebuild::by_stamp() const {
  if (rule_ == Rule::changed) return bulk_ == nullptr || bulk_->resumed_rows() > 0;
  return rule_ == Rule::all && log_.resumed();
}

Result<void> Rebuild::walk_over(Rule rule, const ScanLookup& lookup) {
  rule_ = rule;
  WalkPlan plan = context_.plan();
  plan.scanned = lookup;
  plan.list = {.folder = request_.folder,
               .stamps = by_stamp() ? ListStamps::wanted : ListStamps::not_needed};
  plan.drop_known = collecting_ && bulk_ == nullptr;
  ARTCACHE_CHECK(walk(plan, *this, call_));
  meter_.report();  // of what came after the last pause
  first_walk_ = false;
  return {};
}

Result<void> Rebuild::listed(std::span<const ListedFile> sidecars,
                             std::span<const std::optional<ScannedFile>> scanned,
                             std::vector<char>& open) {
  std::uint64_t known = 0;
  for (std::size_t i = 0; i < sidecars.size(); ++i) {
    const auto same = [&] { return scanned[i] && scanned[i]->stamp == sidecars[i].stamp; };
    if (rule_ == Rule::differing)
      open[i] = scanned[i] && found_.holds(scanned[i]->id) && found_.to_reread(scanned[i]->id);
    else
      open[i] = !by_stamp() || !same() || (rule_ == Rule::all && !log_.done(sidecars[i].path));
    known += open[i] == 0;
  }
  if (first_walk_) {
    scanned_files_.fetch_add(sidecars.size(), std::memory_order_relaxed);
    meter_.add(known);
  }
  if (collecting_) note_known(sidecars, scanned, open);
  return {};
}

void Rebuild::note_known(std::span<const ListedFile> sidecars,
                         std::span<const std::optional<ScannedFile>> scanned,
                         const std::vector<char>& open) {
  const util::MutexLock lock(mutex_);
  for (std::size_t i = 0; i < sidecars.size(); ++i)
    if (open[i] == 0) found_.add(scanned[i]->id, scanned[i]->hash, sidecars[i].path);
}

void Rebuild::note_found(const Chunk& chunk) {
  const util::MutexLock lock(mutex_);
  for (const Opened& file : chunk.files) {
    if (file.dropped)
      found_.add(file.known->id, file.known->hash, file.path);
    else if (file.put)
      found_.add(file.put->entry.id, file.put->hash, file.path);
    else if (file.known && file.put.error().code != Errc::not_found)
      found_.add_opaque(file.known->id, file.path);
  }
}

Result<void> Rebuild::opened(Chunk& chunk) {
  if (first_walk_) meter_.add(chunk.files.size());
  for (const Opened& file : chunk.files)
    if (file.misnamed) tally_.message(misnamed_text(file.path, file.id()));
  if (bulk_ != nullptr) {
    note_found(chunk);
    ARTCACHE_CHECK(add_to_bulk(chunk));
  } else {
    if (collecting_) {
      note_found(chunk);
      ARTCACHE_TRY(const bool more, settle_known(chunk));
      if (!more) return {};
    }
    ARTCACHE_TRY(const auto outcomes, applier_.put(chunk));
    for (std::size_t i = 0; i < outcomes.size(); ++i)
      if (outcomes[i] == Settled::moved && again_.size() < kAgainMost)
        again_.push_back(chunk.files[i].path);
  }
  return {};
}

/// Takes out of a chunk what says what the scan table knows already: the join compares it with
/// the index, and shows whose freshness is to be renewed. False when that was all: then the chunk
/// stays as it is, and its buffers serve again.
Result<bool> Rebuild::settle_known(Chunk& chunk) {
  if (full_)
    for (const Opened& file : chunk.files)
      if (file.dropped || file.put) ARTCACHE_CHECK(log_.add(file.path));
  const auto dropped = [](const Opened& file) { return file.dropped; };
  const auto known = static_cast<std::uint64_t>(std::ranges::count_if(chunk.files, dropped));
  statistics_.sidecars_opened += known;
  statistics_.entries_unchanged += known;
  if (known == chunk.files.size()) {
    statistics_.bytes_read += chunk.bytes;
    return false;
  }
  std::erase_if(chunk.files, dropped);
  return true;
}

Result<void> Rebuild::pause() {
  meter_.report();
  return session_.step(meter_.text());
}

/// Every entry against what was found.
Result<void> Rebuild::join() {
  absent_.clear();
  more_absent_ = false;
  aged_.clear();
  const Freshness fresh = context_.fresh();
  const auto recent = fresh.refreshed_at - std::chrono::hours(fresh.ttl_hours) / kFreshPart;
  const auto match = [&](std::span<const KeyAndHash> rows) -> Result<void> {
    for (const KeyAndHash& row : rows) {
      if (!found_.holds(row.id)) continue;
      const Match found = found_.match(row.id, row.hash);
      if (found == Match::absent) {
        more_absent_ = absent_.size() == context_.settings.found_most;
        if (!more_absent_) absent_.push_back({row.id, row.revision});
      }
      if (full_ && found == Match::equal &&
          (row.freshness.ttl_hours != fresh.ttl_hours || row.freshness.refreshed_at < recent))
        aged_.push_back(row.id);
    }
    return session_.step(meter_.text());
  };
  ARTCACHE_TRY(const Position at, context_.index.scan(match, call_));
  return freshen(at.seq);
}

/// What the join found equal, unless it has changed since.
Result<void> Rebuild::freshen(std::uint64_t as_of) {
  const Freshness fresh = context_.fresh();
  for (std::size_t at = 0; at < aged_.size(); at += kChunk) {
    std::vector<EntryChange> changes(std::min(kChunk, aged_.size() - at));
    for (std::size_t n = 0; n < changes.size(); ++n) {
      changes[n].kind = EntryChange::Kind::freshen;
      changes[n].id = aged_[at + n];
      changes[n].freshness = fresh;
      changes[n].as_of = as_of;
    }
    ARTCACHE_CHECK(context_.index.apply({.changes = changes, .fence = session_.fence()}, call_));
    ARTCACHE_CHECK(session_.step(meter_.text()));
  }
  return {};
}

// --- Pruning ------------------------------------------------------------------------------------

Result<void> Rebuild::prune() {
  if (!prunes_) {
    unmatched_ += absent_.size();
    return {};
  }
  ARTCACHE_CHECK(prune_absent());
  for (int pass = 0; more_absent_ && pass < kPrunePassesMost; ++pass) {
    const std::uint64_t deleted = statistics_.entries_deleted;
    ARTCACHE_CHECK(join());
    ARTCACHE_CHECK(prune_absent());
    if (statistics_.entries_deleted == deleted) break;
  }
  unmatched_ += more_absent_ ? 1 : 0;  // the rest is left for the next run
  return {};
}

Result<void> Rebuild::prune_absent() {
  const std::span<const Row> rows = absent_;
  for (std::size_t at = 0; at < rows.size(); at += kChunk) {
    ARTCACHE_CHECK(session_.step(meter_.text()));
    meter_.report();
    ARTCACHE_CHECK(prune_rows(rows.subspan(at, std::min(kChunk, rows.size() - at))));
  }
  return {};
}

/// A listing may have missed a file; that it is gone, only looking for it shows.
Result<void> Rebuild::prune_rows(std::span<const Row> rows) {
  std::vector<FileId> ids;
  for (const Row& row : rows) ids.push_back(row.id);
  ARTCACHE_TRY(const auto briefs, context_.index.briefs(ids, call_));
  std::vector<Applier::Gone> gone;
  std::vector<std::string> stand;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!briefs[i] || briefs[i]->revision != rows[i].revision) continue;
    const std::string& path = briefs[i]->sidecar_path;
    const auto found = context_.storage.stat(path, call_);
    if (!found) {
      ++unmatched_;
      tally_.not_seen(path, found.error());
    } else if (*found) {
      stand.push_back(path);
    } else {
      gone.push_back({rows[i].id, rows[i].revision, path});
    }
  }
  ARTCACHE_CHECK(applier_.remove(gone));
  if (!stand.empty()) ARTCACHE_CHECK(applier_.settle(std::move(stand)));
  return {};
}

/// Both go through whole tables and hold up all the rest: they do so at the same time.
Result<void> Rebuild::join_beside_stale() {
  Result<Stale> stale = Error{};
  {
    const std::jthread finder([&] {
      try {
        stale = find_stale({}, [] { return Result<void>(); });
      } catch (const std::exception& e) {
        stale = Error{Errc::internal, std::string("rebuild: scan table: ") + e.what()};
      }
    });
    ARTCACHE_CHECK(join());
  }
  ARTCACHE_TRY(stale_, std::move(stale));
  return {};
}

/// `after`: the path that an earlier look has come to.
Result<Rebuild::Stale> Rebuild::find_stale(const std::string& after, const Step& step) const {
  Stale stale{.files = {}, .all = true};
  const auto look = [&](std::span<const ScannedFile> files) -> Result<void> {
    for (const ScannedFile& file : files)
      if (file.path > after && !found_.has_path(file.id, file.path)) stale.files.push_back(file);
    stale.all = stale.files.size() <= kStaleMost;
    // Only to end the scan: that it was this is told by `all`.
    if (!stale.all) return Error{Errc::cancelled, "enough for now"};
    return step();
  };
  const auto looked = context_.index.scan_table(request_.folder, look, call_);
  if (!looked && stale.all) return looked.error();
  return stale;
}

/// Takes out of the scan table what was not listed. A path that stands there after all is opened
/// by the next comparison.
Result<void> Rebuild::forget_paths() {
  if (found_.parts() > 1) return {};
  std::string after;
  for (int pass = 0; pass < kStalePassesMost; ++pass) {
    if (!stale_) {
      ARTCACHE_TRY(stale_, find_stale(after, [this] { return session_.step(meter_.text()); }));
    }
    const Stale stale = *std::exchange(stale_, std::nullopt);
    const std::span<const ScannedFile> files = stale.files;
    for (std::size_t at = 0; at < files.size(); at += kChunk) {
      const auto part = files.subspan(at, std::min(kChunk, files.size() - at));
      // Within a folder nothing else has looked for entries whose sidecar is gone.
      if (!request_.folder.empty()) ARTCACHE_CHECK(applier_.settle(part));
      ARTCACHE_CHECK(applier_.forget(part));
    }
    if (stale.all) break;
    after = stale.files.back().path;
  }
  return {};
}

}  // namespace

Result<RebuildReport> rebuild(const Context& context, RunKind kind, const RebuildRequest& request,
                              Session& session, const Keep& keep) {
  return Rebuild(context, kind, request, session).run(keep);
}

}  // namespace artcache::reconcile
