// SPDX-License-Identifier: Apache-2.0
#include "core/files/settler.hpp"

#include <algorithm>
#include <span>
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

/// A sidecar that could be read: nothing of another file stays that came from it, and then the
/// index says what it says. In this order: cut short, the scan table still knows what there is to
/// undo.
Result<Look> take_in(const reconcile::Succession& succession, std::span<const FileId> ids,
                     reconcile::Chunk& chunk) {
  reconcile::Opened& file = chunk.files.front();
  EntryChange change;
  change.id = file.put->entry.id;
  std::vector<reconcile::Bereft> bereft;
  for (const FileId& id : ids)
    if (id != change.id) bereft.push_back({0, id});
  ARTCACHE_TRY(const auto settled, succession.settle(bereft, chunk));
  if (std::ranges::count(settled, std::optional(reconcile::Settled::moved)) > 0) return Look();
  const ScannedFile scanned = reconcile::scanned_of(file);
  change.put = std::move(*file.put);
  change.freshness = succession.fresh;
  change.as_of = chunk.as_of;
  ARTCACHE_TRY(const ApplyResult applied, succession.index.apply({.changes = {&change, 1},
                                                                  .fence = succession.fence,
                                                                  .scanned = {&scanned, 1},
                                                                  .twins = TwinRule::newest_wins},
                                                                 succession.call));
  if (applied.outcomes.front() == ChangeOutcome::moved) return Look();
  return Look(SidecarSeen::whole);
}

/// A sidecar that is gone, and what came from it with it, unless another one tells of that.
Result<Look> let_go(const reconcile::Succession& succession, std::span<const FileId> ids,
                    const reconcile::Chunk& chunk) {
  const std::string_view path = chunk.files.front().path;
  ARTCACHE_TRY(const auto rows, succession.index.briefs(ids, succession.call));
  bool forgotten = false;
  for (std::size_t n = 0; n < ids.size(); ++n) {
    if (!rows[n] || rows[n]->sidecar_path != path) continue;
    if (rows[n]->revision > chunk.as_of) return Look();
    forgotten = true;
    ARTCACHE_TRY(const reconcile::Settled settled,
                 succession.replace(ids[n], *rows[n], reconcile::Standing::gone));
    if (settled == reconcile::Settled::moved) return Look();
  }
  if (!forgotten)
    ARTCACHE_CHECK(succession.index.apply({.fence = succession.fence, .unscanned = {&path, 1}},
                                          succession.call));
  return Look(SidecarSeen::absent);
}

/// One try. `ids` are those that an entry may have from this sidecar: one more, where the scan
/// table knows of it, for the tries that follow, because the first of them may have changed the
/// table.
Result<Look> follow_once(const Place& place, std::vector<FileId>& ids, const std::string& sidecar,
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
  ARTCACHE_TRY(const auto known, place.index.find_scanned({&path, 1}, call));
  if (known.front() && std::ranges::count(ids, known.front()->id) == 0)
    ids.push_back(known.front()->id);
  ARTCACHE_TRY(reconcile::Chunk chunk,
               reconcile::read_chunk(succession.plan, {{.path = sidecar}}, call));
  const Result<PreparedEntry>& put = chunk.files.front().put;
  if (put) return take_in(succession, ids, chunk);
  const Errc code = put.error().code;
  if (code == Errc::not_found) return let_go(succession, ids, chunk);
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
  std::vector<FileId> ids{id};
  for (int tries = 0; tries < kTriesMost; ++tries) {
    ARTCACHE_TRY(const auto seen, follow_once(place, ids, sidecar, fence, call));
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
