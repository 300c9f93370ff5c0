// SPDX-License-Identifier: Apache-2.0
#include "core/files/settler.hpp"

#include "core/reconcile/applier.hpp"
#include "core/reconcile/walk.hpp"
#include "util/try.hpp"

namespace artcache::files {
namespace {

/// How often an entry may be moved by others before this gives up.
constexpr int kTriesMost = 100;

/// Nothing: somebody else was quicker, so it must be looked at once more.
using Look = std::optional<SidecarSeen>;

/// One try.
Result<Look> follow_once(const Place& place, const FileId& id, const std::string& sidecar,
                         std::uint64_t fence, const Call& call) {
  const reconcile::WalkPlan plan{.storage = place.storage,
                                 .log = place.index,
                                 .scanned = {},
                                 .size_most = place.settings.sidecar_size_most,
                                 .clock = place.deps.clock};
  std::vector<reconcile::Wanted> wanted(1);
  wanted[0].path = sidecar;
  ARTCACHE_TRY(reconcile::Chunk chunk, reconcile::read_chunk(plan, std::move(wanted), call));
  reconcile::Opened& file = chunk.files.front();
  EntryChange change;
  std::optional<ScannedFile> scanned;
  const std::string_view gone = sidecar;
  if (file.put) {
    scanned = reconcile::scanned_of(file);
    change.id = file.put->entry.id;
    change.put = std::move(*file.put);
    change.freshness = place.fresh();
    change.as_of = chunk.as_of;
  } else if (file.put.error().code == Errc::not_found) {
    change.kind = EntryChange::Kind::remove;
    change.id = id;
    ARTCACHE_TRY(const auto rows, place.index.briefs({&id, 1}, call));
    const bool ours = rows.front() && rows.front()->sidecar_path == sidecar;
    if (ours && rows.front()->revision > chunk.as_of) return Look();
    if (!ours) {
      ARTCACHE_CHECK(place.index.apply({.fence = fence, .unscanned = {&gone, 1}}, call));
      return Look(SidecarSeen::absent);
    }
    change.base = rows.front()->revision;
  } else {
    const Errc code = file.put.error().code;
    if (code == Errc::corrupt || code == Errc::invalid_argument || code == Errc::unsupported)
      return Look(SidecarSeen::unreadable);
    return file.put.error();
  }
  ApplyRequest request{.changes = {&change, 1}, .fence = fence, .twins = TwinRule::newest_wins};
  if (scanned)
    request.scanned = {&*scanned, 1};
  else
    request.unscanned = {&gone, 1};
  ARTCACHE_TRY(const ApplyResult applied, place.index.apply(request, call));
  if (applied.outcomes.front() == ChangeOutcome::moved) return Look();
  return Look(scanned ? SidecarSeen::whole : SidecarSeen::absent);
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
