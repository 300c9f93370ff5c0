// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/run.hpp"

#include "util/try.hpp"

namespace artcache::reconcile {
Run::Run(const Context& its_context, RunKind kind, const RebuildRequest& its_request,
         Session& its_session)
    : context(its_context),
      request(its_request),
      session(its_session),
      call(session.call()),
      full(kind == RunKind::full),
      prunes(full || request.prune == Prune::yes),
      tally(context),
      meter(context, request.progress, call),
      applier(context, session, tally, statistics),
      log(context.index, session.fence(), call),
      found(context.settings.found_most, random_seed()) {}

Result<void> name_twins(Run& run) {
  const std::vector<FileId> ids = run.found.twins();
  run.statistics.twins += ids.size();
  MetadataStore& index = run.context.index;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0 && ids[i] == ids[i - 1]) continue;
    if (run.tally.is_full()) {
      run.tally.message({});
      continue;
    }
    ARTCACHE_TRY(const auto rows, index.briefs({&ids[i], 1}, run.call));
    ARTCACHE_TRY(const auto paths, index.scanned_paths_of(ids[i], run.call));
    for (const ScannedFile& file : paths)
      if (rows.front() && file.path != rows.front()->sidecar_path)
        run.tally.message("'" + file.path + "' is left out: '" + rows.front()->sidecar_path +
                          "' tells of the same id and is newer; remove the one that is wrong");
  }
  return {};
}

// --- Walks --------------------------------------------------------------------------------------

Result<void> RunWalk::walk_over(const ScanLookup& scanned, ListStamps stamps) {
  WalkPlan plan = run_.context.plan();
  plan.scanned = scanned;
  plan.list = {.folder = run_.request.folder, .stamps = stamps};
  plan.drop_known = drops_known_;
  ARTCACHE_CHECK(walk(plan, *this, run_.call));
  run_.meter.report();  // of what came after the last pause
  run_.counting = false;
  return {};
}

void RunWalk::not_seen(const ListProblem& problem) {
  if (run_.counting) run_.tally.not_seen(problem);
}

Result<void> RunWalk::pause() {
  run_.meter.report();
  return run_.step();
}

Result<void> RunWalk::listed(std::span<const ListedFile> sidecars,
                             std::span<const std::optional<ScannedFile>> scanned,
                             std::vector<char>& open) {
  std::uint64_t known = 0;
  for (std::size_t i = 0; i < sidecars.size(); ++i) {
    open[i] = opens(sidecars[i], scanned[i]);
    known += open[i] == 0;
  }
  if (run_.counting) {
    run_.sidecars_seen.fetch_add(sidecars.size(), std::memory_order_relaxed);
    run_.meter.add(known);
  }
  if (noting_) note_known(sidecars, scanned, open);
  return {};
}

void RunWalk::note_known(std::span<const ListedFile> sidecars,
                         std::span<const std::optional<ScannedFile>> scanned,
                         const std::vector<char>& open) {
  const util::MutexLock lock(mutex_);
  for (std::size_t i = 0; i < sidecars.size(); ++i)
    if (open[i] == 0) run_.found.add(scanned[i]->id, scanned[i]->hash, sidecars[i].path);
}

Result<void> RunWalk::opened(Chunk& chunk) {
  if (run_.counting) run_.meter.add(chunk.files.size());
  for (const Opened& file : chunk.files)
    if (file.misnamed) run_.tally.message(misnamed_text(file.path, file.id()));
  if (noting_) note_opened(chunk);
  return take(chunk);
}

void RunWalk::note_opened(const Chunk& chunk) {
  const util::MutexLock lock(mutex_);
  for (const Opened& file : chunk.files) {
    if (file.dropped)
      run_.found.add(file.known->id, file.known->hash, file.path);
    else if (file.put)
      run_.found.add(file.put->entry.id, file.put->hash, file.path);
    else if (file.known && file.put.error().code != Errc::not_found)
      run_.found.add_opaque(file.known->id, file.path);
  }
}

}  // namespace artcache::reconcile
