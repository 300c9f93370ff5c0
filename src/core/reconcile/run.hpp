// SPDX-License-Identifier: Apache-2.0
// What the parts of one full or incremental rebuild share: filling in bulk, comparing, pruning.
#pragma once

#include <atomic>

#include "core/reconcile/applier.hpp"
#include "core/reconcile/found_set.hpp"
#include "core/reconcile/run_log.hpp"

namespace artcache::reconcile {

/// One run over a storage and its index.
struct Run {
  Run(const Context& context, RunKind kind, const RebuildRequest& request, Session& session);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// Between two transactions.
  Result<void> step() { return session.step(meter.text()); }

  const Context& context;
  const RebuildRequest& request;
  Session& session;
  const Call& call;
  const bool full, prunes;

  Tally tally;
  RunStatistics statistics;
  Meter meter;
  Applier applier;
  RunLog log;
  IndexHead seen;  ///< when it began
  FoundSet found;
  std::uint64_t unmatched = 0;  ///< differences that it knows of and leaves
  /// A later walk sees the same sidecars once more.
  bool counting = true;
  std::atomic<std::uint64_t> sidecars_seen{0};
};

/// Says which sidecars do not count, because a newer one tells of the same id.
Result<void> name_twins(Run& run);

/// One part's walks over what the run is about. What they find is noted in Run::found, and counted
/// the first time; what is opened, and what becomes of it, is for who derives from it to say.
class RunWalk : public WalkTaker {
 public:
  Result<void> listed(std::span<const ListedFile> sidecars,
                      std::span<const std::optional<ScannedFile>> scanned,
                      std::vector<char>& open) final;
  void not_seen(const ListProblem& problem) final;
  Result<void> opened(Chunk& chunk) final;
  Result<void> pause() final;

 protected:
  explicit RunWalk(Run& run) : run_(run) {}

  Result<void> walk_over(const ScanLookup& scanned, ListStamps stamps);

  /// Whether to open a sidecar that was as `known` when it was read last. From several threads.
  [[nodiscard]] virtual bool opens(const ListedFile& sidecar,
                                   const std::optional<ScannedFile>& known) const = 0;
  virtual Result<void> take(Chunk& chunk) = 0;

  Run& run_;
  bool noting_ = true;       ///< what is found goes into Run::found
  bool drops_known_ = true;  ///< see WalkPlan::drop_known

 private:
  void note_known(std::span<const ListedFile> sidecars,
                  std::span<const std::optional<ScannedFile>> scanned,
                  const std::vector<char>& open);
  void note_opened(const Chunk& chunk);

  util::Mutex mutex_;  // of Run::found while a walk goes on
};

}  // namespace artcache::reconcile
