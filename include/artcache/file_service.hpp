// SPDX-License-Identifier: Apache-2.0
// The files of one element: upload, download, metadata, list, search, update, remove.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/element.hpp>
#include <artcache/export.hpp>
#include <artcache/file_entry.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/result.hpp>
#include <artcache/storage_backend.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

class LockManager;

/// Where the bytes of an upload come from. For one thread at a time.
class ARTCACHE_EXPORT ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills as much of `buffer` as there is; 0 at the end. An error ends the upload with it.
  virtual Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) = 0;
};

/// Bytes that are in memory, which must stay there.
class ARTCACHE_EXPORT MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : left_(bytes) {}
  Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) override;

 private:
  std::string_view left_;
};

/// What an upload says of its file. Limits are those of the sidecar (docs/formats/sidecar.md): all
/// of it must fit into 4096 bytes.
struct UploadRequest {
  /// One is minted when there is none. With an id of the caller's the upload may be repeated: the
  /// same file again is a success, another one under that id a conflict.
  std::optional<FileId> id = {};
  /// The caller has just minted that id and asks with it only once: nobody is looked for who has
  /// it too, as if it were minted here. Repeating such an upload is not recognized.
  bool id_is_new = false;
  std::string original_filename = {};
  std::string content_type = "application/octet-stream";
  std::string created_by_id = {}, created_by_username = {};
  std::optional<std::string> created_by_fullname = {}, description = {}, version = {};
  std::vector<std::string> tags = {};
  std::optional<std::string> retention_policy = {};
  std::optional<std::int64_t> ttl_days = {};
  std::optional<Timestamp> retention_expires_at = {};
  std::string metadata = "{}";         ///< a JSON object
  std::string custom_attributes = {};  ///< a JSON object, or nothing
  /// When known; another number of bytes is refused, and so is what has no room beforehand.
  std::optional<std::uint64_t> size = {};
  std::optional<Sha256Sum> checksum = {};  ///< bytes with another sum are refused
  /// Called once behind the last byte, for a caller that learns the rest only then, as from a form
  /// whose file comes first. May change what follows the names of the creator up to the custom
  /// attributes; other changes do not count. An error of it ends the upload, which leaves nothing.
  std::function<Result<void>(UploadRequest&)> at_end = {};
};

/// What an update changes. A member that holds no value is left as it is; an inner optional
/// without a value takes the text away.
struct FileChanges {
  std::optional<std::optional<std::string>> description = {}, version = {};
  std::optional<std::string> metadata = {};           ///< a JSON object, replaced whole
  std::optional<std::string> custom_attributes = {};  ///< likewise; `{}` for none
  std::optional<std::vector<std::string>> tags = {};
  std::optional<std::optional<std::string>> retention_policy = {};
  std::optional<std::optional<std::int64_t>> ttl_days = {};
  std::optional<std::optional<Timestamp>> retention_expires_at = {};
};

struct UpdateRequest {
  FileChanges changes = {};
  /// IndexedEntry::revision as the caller saw it: if it is another one by now, that is a conflict.
  std::optional<std::uint64_t> base = {};
};

struct RemoveRequest {
  /// As UpdateRequest::base.
  std::optional<std::uint64_t> base = {};
};

enum class Verify : std::uint8_t { no, yes };
struct DownloadRequest {
  ByteRange range = {};
  /// The bytes are compared with the checksum on the way; only with the whole file. Where they are
  /// others the error comes in place of the last of them.
  Verify verify = Verify::no;
};

/// A file that is being read. For one thread at a time.
class ARTCACHE_EXPORT Download {
 public:
  virtual ~Download() = default;
  [[nodiscard]] virtual const IndexedEntry& row() const = 0;
  /// How many bytes there are to be read.
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Fills as much of `buffer` as there is; 0 at the end. Errors: corrupt (the file is shorter
  /// than it was, or, instead of the end, its bytes are not those that were uploaded),
  /// unavailable, timed_out, cancelled.
  virtual Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) = 0;
};

struct FileSettings {
  std::string element = "default";
  ElementMode mode = ElementMode::edit;
  std::optional<std::int32_t> ttl_hours = {};          ///< default_ttl_hours(mode) otherwise
  std::optional<std::uint64_t> capacity_bytes = {};    ///< what all files together may take
  std::uint64_t upload_most = std::uint64_t{1} << 40;  ///< bytes of one file
  std::uint64_t sidecar_size_most = std::uint64_t{1024} * 1024;
  /// Told of every expired entry that was read; false when it has no room. Must not wait. To be
  /// connected with CacheRebuildService::queue_refresh().
  std::function<bool(const FileId&)> refresh = {};
};

/// What became of the work that crashed writers had left.
struct RecoveryReport {
  std::uint64_t completed = 0;    ///< files that are whole, with their entries
  std::uint64_t undone = 0;       ///< nothing of them is left
  std::uint64_t under_way = 0;    ///< belong to writers that are alive, or may be
  std::uint64_t watched = 0;      ///< settled, and to be looked at again: see recover()
  std::vector<std::string> left;  ///< could not be settled now, and why
};

/// One storage and the index of it. Safe to call from any thread; any number of services in any
/// number of processes may share a storage and an index. What was acknowledged is durable, in the
/// storage and in the index. After a crash at any moment a file is there whole with its entry, or
/// nothing of it is, as soon as the next service has recovered.
///
/// Changes of one file exclude each other: in one process they wait, across processes they are
/// busy. A change that fails with Outcome::unknown may have happened, and may be repeated.
///
/// Errors of every operation: unavailable, timed_out, cancelled, corrupt; of the changing ones
/// besides: invalid_argument (the mode of the element does not allow it), no_space, lease_lost.
class ARTCACHE_EXPORT FileService {
 public:
  /// Does nothing yet. What is named must outlive the service.
  FileService(StorageBackend& storage, MetadataStore& index, LockManager& locks,
              FileSettings settings, const Deps& deps);
  ~FileService();
  FileService(const FileService&) = delete;
  FileService& operator=(const FileService&) = delete;

  /// Settles what crashed writers have left; looks at their intents, never at all files. The first
  /// change does it by itself; a server does it when it opens. In modes ro and ar it only counts.
  ///
  /// Where requests of the dead may still arrive (StorageCapabilities::late_writes) what was
  /// settled is watched: its intent stays, and a recovery after that time settles it once more and
  /// for good. Until then a change of that file is busy.
  ///
  /// One at a time: whoever else recovers meanwhile, as every first change does, waits for it as
  /// long as his call lasts.
  Result<RecoveryReport> recover(const Call& call);
  /// How many changes it knew of at its last recover(), or has given up since, that are not settled
  /// for good: another recover() is due while there are any. Those of writers who are alive count.
  [[nodiscard]] std::size_t unsettled() const;

  /// Errors: invalid_argument (a field, a limit, the checksum or the size), conflict (another file
  /// has the id), no_space (disk or capacity), and those of `source`.
  Result<IndexedEntry> upload(const UploadRequest& request, ByteSource& source, const Call& call);

  /// Answers at once, fresh or not; an expired entry is offered to FileSettings::refresh. An entry
  /// that the index does not have is looked for in the storage where its id tells the folder.
  /// Errors: not_found; unavailable when the index is suspect, and cannot tell.
  Result<IndexedEntry> metadata(const FileId& id, const Call& call);
  /// The same where the index has the entry: one point read. Nothing where metadata() would look
  /// further, for callers that may not wait.
  Result<std::optional<IndexedEntry>> indexed(const FileId& id, const Call& call);

  /// Errors: not_found (no entry, or its data file is gone), invalid_argument (a range that begins
  /// behind the end, verify with a range), corrupt (the data file has another size).
  Result<std::unique_ptr<Download>> download(const FileId& id, const DownloadRequest& request,
                                             const Call& call);

  Result<EntryPage> list(const PageRequest& request, const Call& call);
  Result<EntryPage> search(const SearchRequest& request, const Call& call);

  /// Rewrites the sidecar, keeping all that it is not told to change, then the entry.
  /// Errors: not_found, conflict (base), busy, invalid_argument.
  Result<IndexedEntry> update(const FileId& id, const UpdateRequest& request, const Call& call);

  /// Sidecar, entry, data, in this order. Where another sidecar is known to tell of the file, the
  /// entry says what that one does from then on. Errors: not_found, conflict (base), busy.
  Result<void> remove(const FileId& id, const RemoveRequest& request, const Call& call);
  Result<void> remove(const FileId& id, const Call& call) { return remove(id, {}, call); }

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace artcache
