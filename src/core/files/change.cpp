// SPDX-License-Identifier: Apache-2.0
// update and remove
#include <algorithm>
#include <chrono>

#include "core/attr/sidecar.hpp"
#include "core/files/service.hpp"
#include "util/try.hpp"

namespace artcache {

using namespace files;

namespace {

attr::Changes changes_of(const FileChanges& changes, Timestamp updated_at) {
  return {.description = changes.description,
          .version = changes.version,
          .metadata = changes.metadata,
          .custom_attributes = changes.custom_attributes,
          .tags = changes.tags,
          .retention_policy = changes.retention_policy,
          .ttl_days = changes.ttl_days,
          .retention_expires_at = changes.retention_expires_at,
          .updated_at = updated_at};
}

Error gone_error(std::string_view operation, const FileId& id) {
  return Error{Errc::not_found, std::string(operation) + ": file " + to_string(id) + " not found"};
}

}  // namespace

// --- update -------------------------------------------------------------------------------------

Result<IndexedEntry> FileService::Impl::update(const FileId& id, const UpdateRequest& request,
                                               const Call& call) {
  ARTCACHE_CHECK(allow(may_write_files(settings_.mode), "File update"));
  ARTCACHE_TRY(Work work, begin(id, Intent::Operation::update, Exclusive::everywhere, call));
  ARTCACHE_TRY(Located file, locate(id, call));
  auto changed = rewrite(file, request, call);
  if (!changed && changed.error().code == Errc::not_found) {
    // The storage is the truth: the entry goes, too.
    ARTCACHE_CHECK(follow(place_, id, file.sidecar, work.mark.fence, call));
    return gone_error("update", id);
  }
  if (!changed) return std::move(changed).error();
  ARTCACHE_CHECK(announce(work, std::string(data_path_of(file.sidecar)), call));
  return put_changed(work, file, std::move(*changed), call);
}

Result<FileService::Impl::Sidecar> FileService::Impl::read_seen(std::string_view operation,
                                                                const Located& file,
                                                                std::optional<std::uint64_t> base,
                                                                const Call& call) {
  const std::string who(operation);
  const auto moved = [&] {
    return Error{Errc::conflict,
                 who + ": file " + to_string(file.row.entry.id) + " has changed; read it again"};
  };
  if (base && *base != file.row.revision) return moved();
  Sidecar now;
  const std::string_view path = file.sidecar;
  const auto keep = [&](std::size_t, Result<SidecarBytes> read) -> Result<void> {
    if (!read) return std::move(read).error();
    now.text = read->bytes;
    return {};
  };
  ARTCACHE_CHECK(storage().read_sidecars({&path, 1}, settings_.sidecar_size_most, keep, call));
  ARTCACHE_CHECK(attr::decode(now.text, path, now.entry));
  if (now.entry.id != file.row.entry.id)
    return Error{Errc::corrupt, who + ": '" + file.sidecar + "' tells of another file"};
  // The caller saw the entry, and other hands have changed the sidecar behind it.
  if (base && content_hash(now.entry) != file.row.hash) return moved();
  return now;
}

Result<FileService::Impl::Sidecar> FileService::Impl::rewrite(const Located& file,
                                                              const UpdateRequest& request,
                                                              const Call& call) {
  ARTCACHE_TRY(const Sidecar now, read_seen("update", file, request.base, call));
  const Timestamp at = std::max(place_.now(), now.entry.updated_at + std::chrono::microseconds(1));
  Sidecar changed;
  ARTCACHE_TRY(changed.text,
               attr::rewrite(now.text, file.sidecar, changes_of(request.changes, at)));
  ARTCACHE_CHECK(attr::decode(changed.text, file.sidecar, changed.entry));
  return changed;
}

Result<IndexedEntry> FileService::Impl::put_changed(Work& work, const Located& file,
                                                    Sidecar changed, const Call& call) {
  const FileId id = work.intent.id;
  EntryChange change;
  change.id = id;
  change.put = prepare(std::move(changed.entry));
  change.freshness = place_.fresh();
  change.base = file.row.revision;
  const auto failed = [&](Stage stage, Error error) -> Result<IndexedEntry> {
    const Error kept = error;
    const Outcome otherwise = may_arrive(stage, error) ? Outcome::unknown : Outcome::not_applied;
    ARTCACHE_CHECK(give_up(work, stage, std::move(error)));
    ARTCACHE_TRY(auto row, now_in_index(id, grace()));
    // The file is whole in any case; is it as it was asked to be?
    if (row.hash == change.put.hash) return row;
    return Error{kept.code, kept.message, otherwise};
  };
  auto stamp =
      storage().put({.path = file.sidecar, .size = changed.text.size()}, changed.text, call);
  if (!stamp) return failed(Stage::sidecar, std::move(stamp).error());
  const ScannedFile scanned{.path = file.sidecar,
                            .stamp = *stamp,
                            .id = id,
                            .hash = change.put.hash,
                            .updated_at = change.put.entry.updated_at,
                            .text_hash = attr::text_hash(changed.text)};
  auto applied = index().apply({.changes = {&change, 1},
                                .fence = work.mark.fence,
                                .scanned = {&scanned, 1},
                                .finished_intents = {&id, 1}},
                               call);
  if (!applied) return failed(Stage::index, std::move(applied).error());
  if (applied->outcomes.front() == ChangeOutcome::moved)
    return failed(Stage::index, Error{Errc::conflict, "update: moved", Outcome::unknown});
  return IndexedEntry{std::move(change.put.entry), change.put.hash, applied->position.seq,
                      change.freshness};
}

// --- remove -------------------------------------------------------------------------------------

Result<void> FileService::Impl::remove(const FileId& id, const RemoveRequest& request,
                                       const Call& call) {
  ARTCACHE_CHECK(allow(settings_.mode == ElementMode::edit, "File deletion"));
  ARTCACHE_TRY(Work work, begin(id, Intent::Operation::remove, Exclusive::everywhere, call));
  ARTCACHE_TRY(const Located file, locate(id, call));
  if (request.base) {
    const auto seen = read_seen("remove", file, request.base, call);
    // A sidecar that is gone says nothing that would be lost.
    if (!seen && seen.error().code != Errc::not_found) return seen.error();
  }
  ARTCACHE_CHECK(announce(work, std::string(data_path_of(file.sidecar)), call));
  return take_away(work, file, call);
}

Result<void> FileService::Impl::take_away(Work& work, const Located& file, const Call& call) {
  const FileId id = work.intent.id;
  if (auto gone = storage().remove(file.sidecar, call); !gone)
    return give_up(work, Stage::sidecar, std::move(gone).error());
  EntryChange change;
  change.kind = EntryChange::Kind::remove;
  change.id = id;
  change.base = file.row.revision;
  const std::string_view path = file.sidecar;
  auto applied = index().apply(
      {.changes = {&change, 1}, .fence = work.mark.fence, .unscanned = {&path, 1}}, call);
  if (!applied) return give_up(work, Stage::index, std::move(applied).error());
  if (applied->outcomes.front() == ChangeOutcome::moved)
    return give_up(work, Stage::index, Error{Errc::conflict, "remove: moved", Outcome::unknown});
  // The file is gone for everybody. What follows only frees its room, and recovery goes on with it.
  const auto freed = [&]() -> Result<void> {
    ARTCACHE_CHECK(storage().remove(work.intent.path, call));
    return end_intent(place_, id, work.mark.fence, call);
  }();
  if (freed) return {};
  warn("The data of a removed file is still there; recovery will remove it", work.intent,
       freed.error());
  unsettled_.add(id, Unsettled::Why::abandoned);
  return {};
}

}  // namespace artcache
