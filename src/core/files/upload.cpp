// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <artcache/storage_name.hpp>
#include <limits>
#include <memory>

#include "core/attr/sidecar.hpp"
#include "core/files/service.hpp"
#include "util/hash.hpp"
#include "util/try.hpp"

namespace artcache {

using namespace files;

namespace {

constexpr std::uint64_t kPiece = 256 * std::uint64_t{1024};

Error refused(std::string cause) {
  return Error{Errc::invalid_argument, "upload: " + std::move(cause)};
}

/// Reads a source to its end, a piece at a time. `take` is given each piece.
struct Taken {
  std::uint64_t size = 0;
  Sha256Sum sum;
};
template <class F>
Result<Taken> drain(ByteSource& source, std::uint64_t most, const Call& call, const F& take) {
  const auto size = static_cast<std::size_t>(std::min(most, kPiece - 1) + 1);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(size);
  util::Sha256 sum;
  Taken taken;
  while (true) {
    ARTCACHE_TRY(const std::size_t bytes, source.read({buffer.get(), size}, call));
    if (bytes == 0) break;
    taken.size += bytes;
    if (taken.size > most) return refused("there are more than " + std::to_string(most) + " bytes");
    sum.update({buffer.get(), bytes});
    ARTCACHE_CHECK(take(std::span<const std::byte>(buffer.get(), bytes), taken.size));
  }
  taken.sum.bytes = sum.finish();
  return taken;
}

Result<void> check_promise(const UploadRequest& request, const Taken& taken) {
  if (request.size && *request.size != taken.size)
    return refused(std::to_string(*request.size) + " bytes were announced and " +
                   std::to_string(taken.size) + " came");
  if (request.checksum && *request.checksum != taken.sum)
    return refused("the checksum of the bytes is " + to_string(taken.sum) + ", not the expected " +
                   to_string(*request.checksum));
  return {};
}

std::uint64_t most_bytes(const UploadRequest& request, const FileSettings& settings) {
  return std::min(settings.upload_most, request.size.value_or(settings.upload_most));
}

/// The folder of a version 7 id follows from it, so that the file is found without an index.
std::string folder_of(const FileId& id, Timestamp created_at) {
  const auto minted = id.minted_at();
  return storage_folder(minted && *minted <= Timestamp::max() ? *minted : created_at);
}

/// All that may be known as late as behind the last byte.
void describe(FileEntry& entry, const UploadRequest& request) {
  entry.created_by_fullname = request.created_by_fullname;
  entry.description = request.description;
  entry.version = request.version;
  entry.tags = request.tags;
  entry.retention_policy = request.retention_policy;
  entry.ttl_days = request.ttl_days;
  entry.retention_expires_at = request.retention_expires_at;
  entry.metadata = request.metadata;
  entry.custom_attributes = request.custom_attributes == "{}" ? "" : request.custom_attributes;
}

}  // namespace

Result<FileEntry> FileService::Impl::new_entry(const UploadRequest& request) const {
  FileEntry entry;
  entry.id = request.id ? *request.id : FileId::mint(*place_.deps.clock);
  entry.original_filename = request.original_filename;
  entry.created_at = entry.updated_at = place_.now();
  entry.storage_path = folder_of(entry.id, entry.created_at);
  entry.storage_filename = storage_filename(request.original_filename, request.created_by_username,
                                            entry.created_at, entry.id);
  entry.content_type = request.content_type;
  entry.created_by_id = request.created_by_id;
  entry.created_by_username = request.created_by_username;
  describe(entry, request);
  if (entry.original_filename.empty()) return refused("the file has no name");
  // Before a byte is taken in: whatever is wrong with the sidecar is wrong now.
  entry.file_size = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (auto fits = attr::encode(entry); !fits) return std::move(fits).error().in("upload");
  return entry;
}

Result<IndexedEntry> FileService::Impl::upload(const UploadRequest& request, ByteSource& source,
                                               const Call& call) {
  ARTCACHE_CHECK(allow(may_write_files(settings_.mode), "File upload"));
  ARTCACHE_TRY(FileEntry entry, new_entry(request));
  if (request.size && *request.size > settings_.upload_most)
    return refused("a file may have " + std::to_string(settings_.upload_most) + " bytes");
  // Nobody else can know an id that was minted this moment.
  const bool may_be_taken = request.id && !request.id_is_new;
  const auto exclusive = may_be_taken ? Exclusive::everywhere : Exclusive::here;
  ARTCACHE_TRY(Work work, begin(entry.id, Intent::Operation::upload, exclusive, call));
  if (may_be_taken) {
    ARTCACHE_TRY(const auto row, find_taken(entry.id, call));
    if (row) return repeat(request, *row, source, call);
    ARTCACHE_TRY(const auto stands, storage().stat(entry.data_path(), call));
    if (stands) return Error{Errc::conflict, "upload: '" + entry.data_path() + "' exists already"};
  }
  Room room(capacity_);
  ARTCACHE_CHECK(room.reach(request.size.value_or(0), call));
  ARTCACHE_CHECK(announce(work, entry.data_path(), call));
  const FileId id = entry.id;
  if (auto taken = take_in(request, source, work, entry, room, call); !taken) {
    ARTCACHE_CHECK(give_up(work, Stage::data, std::move(taken).error()));
    return now_in_index(id, grace());
  }
  return put_new(work, std::move(entry), call);
}

/// Who has the id already. What this store was given is in the index, and what is on its way has a
/// claim; to list a folder for each upload would cost more the more files there are, so that is for
/// an index that may be wrong.
Result<std::optional<IndexedEntry>> FileService::Impl::find_taken(const FileId& id,
                                                                  const Call& call) {
  ARTCACHE_TRY(auto row, index().find(id, call));
  if (row) return row;
  ARTCACHE_TRY(const IndexHead head, index().head(call));
  if (head.suspect_reason.empty()) return row;
  return find_or_follow(id, call);
}

Result<void> FileService::Impl::take_in(const UploadRequest& request, ByteSource& source,
                                        Work& work, FileEntry& entry, Room& room,
                                        const Call& call) {
  ARTCACHE_TRY(auto staged, storage().stage({.path = entry.data_path(),
                                             .mode = PutMode::must_not_exist,
                                             .size = request.size},
                                            call));
  const auto take = [&](std::span<const std::byte> bytes, std::uint64_t so_far) -> Result<void> {
    ARTCACHE_CHECK(call.check("upload", *place_.deps.clock));
    ARTCACHE_CHECK(room.reach(so_far, call));
    if (work.claim) ARTCACHE_CHECK(work.claim->keep(call));
    ARTCACHE_TRY(const Presence::Mark mark, presence_.mark(call));
    // The intent was that of a writer who has been taken for dead: it may be settled by now, and
    // what is put there from here on may be removed after it was acknowledged.
    if (mark.fence != work.mark.fence)
      return Error{Errc::lease_lost, "upload: the lease under which it began was lost"};
    return staged->append(bytes, call);
  };
  ARTCACHE_TRY(const Taken taken, drain(source, most_bytes(request, settings_), call, take));
  ARTCACHE_CHECK(check_promise(request, taken));
  if (request.at_end) {
    UploadRequest whole = request;
    ARTCACHE_CHECK(request.at_end(whole));
    describe(entry, whole);
    if (auto fits = attr::encode(entry); !fits) return std::move(fits).error().in("upload");
  }
  entry.file_size = taken.size;
  entry.checksum = taken.sum;
  ARTCACHE_CHECK(staged->commit(call));
  return {};
}

/// The data is durable; now the file comes to be.
Result<IndexedEntry> FileService::Impl::put_new(Work& work, FileEntry entry, const Call& call) {
  const FileId id = entry.id;
  const std::string sidecar = sidecar_of(work.intent.path);
  const auto failed = [&](Stage stage, Error error) -> Result<IndexedEntry> {
    ARTCACHE_CHECK(give_up(work, stage, std::move(error)));
    return now_in_index(id, grace());
  };
  auto text = attr::encode(entry);
  if (!text) return failed(Stage::data, std::move(text).error().in("upload"));
  auto stamp = storage().put(
      {.path = sidecar, .mode = PutMode::must_not_exist, .size = text->size()}, *text, call);
  if (!stamp) return failed(Stage::sidecar, std::move(stamp).error());

  EntryChange change;
  change.id = id;
  change.put = prepare(std::move(entry));
  change.freshness = place_.fresh();
  change.base = 0;
  const ScannedFile scanned{.path = sidecar,
                            .stamp = *stamp,
                            .id = id,
                            .hash = change.put.hash,
                            .updated_at = change.put.entry.updated_at,
                            .text_hash = attr::text_hash(*text)};
  auto applied = index().apply({.changes = {&change, 1},
                                .fence = work.mark.fence,
                                .scanned = {&scanned, 1},
                                .finished_intents = {&id, 1}},
                               call);
  if (!applied) return failed(Stage::index, std::move(applied).error());
  // A rebuild was quicker: what it read there is ours, or what somebody has made of it since.
  if (applied->outcomes.front() == ChangeOutcome::moved)
    return failed(Stage::index, Error{Errc::conflict, "upload: moved", Outcome::unknown});
  return IndexedEntry{std::move(change.put.entry), change.put.hash, applied->position.seq,
                      change.freshness};
}

/// The same upload once more, because its answer was lost? Only its bytes can tell.
Result<IndexedEntry> FileService::Impl::repeat(const UploadRequest& request,
                                               const IndexedEntry& row, ByteSource& source,
                                               const Call& call) const {
  const auto skip = [](std::span<const std::byte>, std::uint64_t) -> Result<void> { return {}; };
  ARTCACHE_TRY(const Taken taken, drain(source, most_bytes(request, settings_), call, skip));
  ARTCACHE_CHECK(check_promise(request, taken));
  const FileEntry& entry = row.entry;
  if (entry.original_filename != request.original_filename ||
      entry.created_by_username != request.created_by_username || entry.file_size != taken.size ||
      entry.checksum != taken.sum)
    return Error{Errc::conflict, "upload: file with ID " + to_string(entry.id) + " already exists"};
  return row;
}

}  // namespace artcache
