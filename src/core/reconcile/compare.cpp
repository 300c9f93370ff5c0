// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/compare.hpp"

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/reconcile/prune.hpp"
#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

/// Sidecars to be compared once more, because their entries changed after they were read. What is
/// beyond is left to the join.
constexpr std::size_t kAgainMost = 50'000;

class Comparison final : public RunWalk {
 public:
  explicit Comparison(Run& run) : RunWalk(run), lookup_(run.context.plan().scanned) {}

  Result<void> compare_part(std::uint32_t part, Opening opening);

 private:
  enum class Rule : std::uint8_t { all, unlogged, changed, differing };

  [[nodiscard]] bool opens(const ListedFile& sidecar,
                           const std::optional<ScannedFile>& known) const override;
  Result<void> take(Chunk& chunk) override;

  Result<void> walk_by(Rule rule);
  Result<bool> settle_known(Chunk& chunk);
  Result<void> note_done(const Opened& file);
  Result<void> settle_again();
  Result<void> against_index();
  Result<Joined> join_beside_stale();

  const ScanLookup lookup_;
  Rule rule_ = Rule::all;
  std::vector<std::string> again_;  // somebody was quicker: to be compared once more
  std::optional<Stale> stale_;
};

Result<void> Comparison::compare_part(std::uint32_t part, Opening opening) {
  run_.found.begin(part);
  run_.meter.phase("comparing",
                   std::max(run_.statistics.cache_entries_before, run_.sidecars_seen.load()));
  noting_ = drops_known_ = true;
  ARTCACHE_CHECK(walk_by(opening == Opening::changed ? Rule::changed
                         : run_.log.resumed()        ? Rule::unlogged
                                                     : Rule::all));
  noting_ = drops_known_ = false;
  ARTCACHE_CHECK(settle_again());
  run_.found.seal();
  ARTCACHE_CHECK(name_twins(run_));
  // With a folder the stamps decide alone: what lies elsewhere has not been listed.
  if (run_.request.folder.empty()) ARTCACHE_CHECK(against_index());
  if (!run_.prunes) return {};
  return forget_stale(run_, std::exchange(stale_, std::nullopt));
}

// --- Walks --------------------------------------------------------------------------------------

Result<void> Comparison::walk_by(Rule rule) {
  rule_ = rule;
  const bool by_stamp = rule == Rule::changed || rule == Rule::unlogged;
  return walk_over(lookup_, by_stamp ? ListStamps::wanted : ListStamps::not_needed);
}

bool Comparison::opens(const ListedFile& sidecar, const std::optional<ScannedFile>& known) const {
  const auto changed = [&] { return !known || known->stamp != sidecar.stamp; };
  switch (rule_) {
    case Rule::all:
      return true;
    case Rule::unlogged:
      return changed() || !run_.log.done(sidecar.path);
    case Rule::changed:
      return changed();
    case Rule::differing:
      return known && run_.found.holds(known->id) && run_.found.to_reread(known->id);
  }
  return true;
}

Result<void> Comparison::take(Chunk& chunk) {
  if (noting_) {
    ARTCACHE_TRY(const bool more, settle_known(chunk));
    if (!more) return {};
  }
  ARTCACHE_TRY(const auto outcomes, run_.applier.put(chunk));
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const Opened& file = chunk.files[i];
    if (outcomes[i] == Settled::moved && again_.size() < kAgainMost) again_.push_back(file.path);
    if (noting_ && file.put && outcomes[i] != Settled::moved) ARTCACHE_CHECK(note_done(file));
  }
  return {};
}

/// For the next run, should this one be cut short: the index says what this sidecar says.
Result<void> Comparison::note_done(const Opened& file) {
  return run_.full ? run_.log.add(file.path) : Result<void>();
}

/// Takes out of a chunk what says what the scan table knows already: the join compares it with
/// the index, and shows whose freshness is to be renewed. False when that was all: then the chunk
/// stays as it is, and its buffers serve again.
Result<bool> Comparison::settle_known(Chunk& chunk) {
  for (const Opened& file : chunk.files)
    if (file.dropped) ARTCACHE_CHECK(note_done(file));
  const auto dropped = [](const Opened& file) { return file.dropped; };
  const auto known = static_cast<std::uint64_t>(std::ranges::count_if(chunk.files, dropped));
  run_.statistics.sidecars_opened += known;
  run_.statistics.entries_unchanged += known;
  if (known == chunk.files.size()) {
    run_.statistics.bytes_read += chunk.bytes;
    return false;
  }
  std::erase_if(chunk.files, dropped);
  return true;
}

/// Whose entries changed after they were read: by a writer, or by a twin in this very run.
Result<void> Comparison::settle_again() {
  const std::vector<std::string> paths = std::exchange(again_, {});
  for (std::size_t at = 0; at < paths.size(); at += kChunk) {
    ARTCACHE_CHECK(pause());
    const auto part = std::span(paths).subspan(at, std::min(kChunk, paths.size() - at));
    ARTCACHE_CHECK(run_.applier.settle({part.begin(), part.end()}));
  }
  return {};
}

// --- What was found and what is known -----------------------------------------------------------

Result<void> Comparison::against_index() {
  ARTCACHE_TRY(Joined joined, run_.prunes ? join_beside_stale() : join(run_));
  ARTCACHE_CHECK(freshen(run_, joined));
  if (run_.found.reread_count() > 0) ARTCACHE_CHECK(walk_by(Rule::differing));
  if (run_.prunes) return prune_entries(run_, std::move(joined));
  run_.unmatched += joined.absent.size();
  return {};
}

/// Both go through whole tables and hold up all the rest: they do so at the same time.
Result<Joined> Comparison::join_beside_stale() {
  Result<Stale> stale = Error{};
  Result<Joined> joined = Error{};
  {
    const std::jthread finder([&] {
      try {
        stale = find_stale(run_, {}, [] { return Result<void>(); });
      } catch (const std::exception& e) {
        stale = Error{Errc::internal, std::string("rebuild: scan table: ") + e.what()};
      }
    });
    joined = join(run_);
  }
  if (!joined) return joined;
  ARTCACHE_TRY(stale_, std::move(stale));
  return joined;
}

}  // namespace

Result<void> compare(Run& run, Opening opening) {
  Comparison comparison(run);
  ARTCACHE_CHECK(comparison.compare_part(0, opening));
  for (std::uint32_t part = 1; part < run.found.parts(); ++part)
    ARTCACHE_CHECK(comparison.compare_part(part, Opening::changed));
  return {};
}

}  // namespace artcache::reconcile
