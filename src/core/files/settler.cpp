// SPDX-License-Identifier: Apache-2.0
#include "core/files/settler.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/reconcile/succession.hpp"
#include "util/try.hpp"

namespace artcache::files {
namespace {

/// How often an entry may be moved by others before this gives up.
constexpr int kTriesMost = 100;

/// Nothing: somebody else was quicker, so it must be looked at once more.
using Look = std::optional<SidecarSeen>;

/// A sidecar that could be read: the index says what it says, and nothing more of another file that
/// came from it, of this id or as the scan table knows it. So it does after a comparison.
Result<Look> take_in(const reconcile::Succession& succession, const FileId& id,
                     reconcile::Chunk& chunk) {
  reconcile::Opened& file = chunk.files.front();
  const std::vector<reconcile::Bereft> bereft = reconcile::bereft_by(chunk, {&id, 1});
  const ScannedFile scanned = reconcile::scanned_of(file);
  EntryChange change;
  change.id = file.put->entry.id;
  change.put = std::move(*file.put);
  change.freshness = succession.fresh;
  change.as_of = chunk.as_of;
  ARTCACHE_TRY(const ApplyResult applied, succession.index.apply({.changes = {&change, 1},
                                                                  .fence = succession.fence,
                                                                  .scanned = {&scanned, 1},
                                                                  .twins = TwinRule::newest_wins},
                                                                 succession.call));
  if (applied.outcomes.front() == ChangeOutcome::moved) return Look();
  ARTCACHE_TRY(const auto settled, succession.settle(bereft, chunk));
  const bool moved = std::ranges::count(settled, std::optional(reconcile::Settled::moved)) > 0;
  return moved ? Look() : Look(SidecarSeen::whole);
}

/// A sidecar that is gone, and what came from it with it.
Result<Look> let_go(const reconcile::Succession& succession, const FileId& id,
                    const reconcile::Chunk& chunk) {
  const reconcile::Opened& file = chunk.files.front();
  std::vector<FileId> ids{id};
  if (file.known && file.known->id != id) ids.push_back(file.known->id);
  ARTCACHE_TRY(const auto rows, succession.index.briefs(ids, succession.call));
  std::vector<reconcile::Gone> gone;
  for (std::size_t n = 0; n < ids.size(); ++n) {
    if (!rows[n] || rows[n]->sidecar_path != file.path) continue;
    if (rows[n]->revision > chunk.as_of) return Look();
    gone.push_back({ids[n], rows[n]->revision, gone.empty() ? file.path : std::string()});
  }
  if (gone.empty()) {
    const std::string_view path = file.path;
    ARTCACHE_CHECK(succession.index.apply({.fence = succession.fence, .unscanned = {&path, 1}},
                                          succession.call));
    return Look(SidecarSeen::absent);
  }
  ARTCACHE_TRY(const std::vector<char> removed, succession.remove(gone));
  return std::ranges::count(removed, 0) > 0 ? Look() : Look(SidecarSeen::absent);
}

/// One try.
Result<Look> follow_once(const Place& place, const FileId& id, const std::string& sidecar,
                         std::uint64_t fence, const Call& call) {
  const reconcile::Succession succession{.plan = {.storage = place.storage,
                                                  .log = place.index,
                                                  .scanned = {},
                                                  .size_most = place.settings.sidecar_size_most,
                                                  .clock = place.deps.clock},
                                         .index = place.index,
                                         .fresh = place.fresh(),
                                         .fence = fence,
                                         .call = call};
  const std::string_view path = sidecar;
  ARTCACHE_TRY(auto known, place.index.find_scanned({&path, 1}, call));
  std::vector<reconcile::Wanted> wanted(1);
  wanted[0] = {sidecar, std::move(known.front())};
  ARTCACHE_TRY(reconcile::Chunk chunk,
               reconcile::read_chunk(succession.plan, std::move(wanted), call));
  const Result<PreparedEntry>& put = chunk.files.front().put;
  if (put) return take_in(succession, id, chunk);
  const Errc code = put.error().code;
  if (code == Errc::not_found) return let_go(succession, id, chunk);
  if (code == Errc::corrupt || code == Errc::invalid_argument || code == Errc::unsupported)
    return Look(SidecarSeen::unreadable);
  return put.error();
}

}  // namespace

std::string sidecar_of(std::string_view data_path) {
  return std::string(data_path).append(kSidecarSuffix);
}

Result<SidecarSeen> follow(const Place& place, const FileId& id, const std::string& sidecar,
                           std::uint64_t fence, const Call& call) {
  for (int tries = 0; tries < kTriesMost; ++tries) {
    ARTCACHE_TRY(const auto seen, follow_once(place, id, sidecar, fence, call));
    if (seen) return *seen;
  }
  return Error{Errc::busy, "files: '" + sidecar + "': it is being changed all the time"};
}

Result<void> end_intent(const Place& place, const FileId& id, std::uint64_t fence,
                        const Call& call) {
  ARTCACHE_CHECK(place.index.apply({.fence = fence, .finished_intents = {&id, 1}}, call));
  return {};
}

namespace {

/// A sidecar that came after its data were dropped tells of nothing: it goes, too.
Result<void> drop_latecomer(const Place& place, const Intent& intent, const std::string& sidecar,
                            const Call& call) {
  if (place.storage.capabilities().late_writes.count() == 0 ||
      intent.operation != Intent::Operation::upload)
    return {};
  ARTCACHE_TRY(const auto data, place.storage.stat(intent.path, call));
  if (data) return {};
  ARTCACHE_CHECK(place.storage.remove(sidecar, call));
  return {};
}

}  // namespace

Result<Settled> settle(const Place& place, const Intent& intent, std::uint64_t fence,
                       const Call& call, IntentThen then) {
  const std::string sidecar = sidecar_of(intent.path);
  // What its writer saw fail, or did not live to do. Before anything follows from what can be seen:
  // an index that tells of it, and no intent, would be all that a power cut leaves.
  ARTCACHE_CHECK(place.storage.sync(sidecar, call));
  ARTCACHE_CHECK(drop_latecomer(place, intent, sidecar, call));
  const auto seen = follow(place, intent.id, sidecar, fence, call);
  Settled settled = seen && *seen == SidecarSeen::whole ? Settled::completed : Settled::undone;
  switch (settle(intent.operation, seen ? *seen : SidecarSeen::unknown)) {
    case Settle::later:
      return seen ? Error{Errc::internal, "files: nothing decided"} : seen.error();
    case Settle::give_up:
      settled = Settled::given_up;
      then = IntentThen::ends;
      break;
    case Settle::drop_data:
      ARTCACHE_CHECK(place.storage.remove(intent.path, call));
      break;
    case Settle::follow:
      break;
  }
  if (then == IntentThen::ends) ARTCACHE_CHECK(end_intent(place, intent.id, fence, call));
  return settled;
}

}  // namespace artcache::files
