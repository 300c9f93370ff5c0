// SPDX-License-Identifier: Apache-2.0
// Where data files and their sidecars live: a local folder, a bucket, memory. The truth.
#pragma once

#include <array>
#include <artcache/call.hpp>
#include <artcache/change_notices.hpp>
#include <artcache/export.hpp>
#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

/// The ending of a sidecar's name; what is in front of it names its data file.
inline constexpr std::string_view kSidecarSuffix = ".attr.json";

[[nodiscard]] inline bool is_sidecar_path(std::string_view path) {
  return path.ends_with(kSidecarSuffix);
}

/// The data file that a sidecar is named after.
[[nodiscard]] inline std::string_view data_path_of(std::string_view sidecar_path) {
  return sidecar_path.substr(0, sidecar_path.size() - kSidecarSuffix.size());
}

/// Paths inside a storage are relative, '/' separates folders. Fails for what is empty, absolute,
/// longer than 1024 bytes, not UTF-8, or holds a NUL or an empty, a `.` or a `..` part.
/// Errors: invalid_argument naming what is wrong.
ARTCACHE_EXPORT Result<void> check_storage_path(std::string_view path);

/// True for the names that are artcache's own and that no listing shows: paths with a part
/// `.artcache`, `.keep` or `.tmp_*`. For implementers of StorageBackend.
ARTCACHE_EXPORT bool is_own_path(std::string_view path);

/// The mark of one state of a file: equal stamps mean an unchanged file. Opaque but for the size.
struct Stamp {
  std::uint64_t size = 0;
  std::array<std::uint8_t, 24> mark{};  ///< all zero: unsettled, equal to nothing listed

  /// A stamp younger than this when it was read does not vouch for the content: two quick changes
  /// of one size can share it. Such files are read again by the next comparison. One that was put
  /// vouches for what was put from the start: see StagedFile::commit().
  static constexpr std::chrono::seconds kSettledAfter{2};

  friend bool operator==(const Stamp&, const Stamp&) = default;
};

/// One file as found. `path` lives as long as the batch that it came in.
struct ListedFile {
  std::string_view path;
  Stamp stamp;
  Timestamp modified;
};

/// Something that a listing did not see, and why: a symbolic link, a device, no permission, a
/// folder that vanished. Never a reason to stop.
struct ListProblem {
  std::string path;
  Error error;
};

struct ListBatch {
  std::span<const ListedFile> files;
  std::span<const ListProblem> problems;
};

enum class ListWhat : std::uint8_t {
  sidecars,  ///< only names that end in `.attr.json`
  all,       ///< data files too
};

enum class ListStamps : std::uint8_t {
  wanted,
  /// Who opens the files anyway gets them there: a backend to which a stamp costs a call for each
  /// file may leave it, and `modified`, as they are in an empty ListedFile.
  not_needed,
};

struct ListRequest {
  std::string folder = {};  ///< only what is below it; empty for the whole storage
  ListWhat what = ListWhat::sidecars;
  ListStamps stamps = ListStamps::wanted;
};

/// Takes one batch; called from several threads at once. An error ends the listing with it.
using ListSink = std::function<Result<void>(const ListBatch&)>;

/// A sidecar that was read whole. `bytes` lives as long as the call to the sink.
struct SidecarBytes {
  std::string_view bytes;
  /// Taken before the bytes were read: never newer than they are. Unsettled where the file has
  /// changed so lately that another change may bear the same mark.
  Stamp stamp;
  Timestamp modified;
};

/// Takes the outcome of paths[index]; called from several threads at once, in any order, once for
/// each path. An error ends the reading with it.
using SidecarSink = std::function<Result<void>(std::size_t index, Result<SidecarBytes>)>;

/// Part of a file. The default is all of it.
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = std::numeric_limits<std::uint64_t>::max();
};

struct FileInfo {
  Stamp stamp;
  Timestamp modified;
};

/// Reads one file from front to back. For one thread at a time. Must not outlive its storage.
class ARTCACHE_EXPORT ByteReader {
 public:
  virtual ~ByteReader() = default;
  /// The whole file, also when only a range is read.
  [[nodiscard]] virtual const FileInfo& info() const = 0;
  /// Fills as much of `buffer` as there is; 0 at the end. A file that ends before the size it had
  /// when it was opened is corrupt. Errors: corrupt, unavailable, timed_out, cancelled.
  virtual Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) = 0;
};

/// A file in the making, visible to nobody until commit(). Destroyed without a commit it leaves
/// nothing behind. For one thread at a time. Must not outlive its storage.
class ARTCACHE_EXPORT StagedFile {
 public:
  virtual ~StagedFile() = default;
  /// Errors: no_space, unavailable, timed_out, cancelled, invalid_argument (more bytes than were
  /// announced); afterwards only destruction is useful.
  virtual Result<void> append(std::span<const std::byte> bytes, const Call& call) = 0;
  /// Makes the file durable, then visible under its path, in one step. After a crash the path
  /// holds the whole old file or the whole new one.
  /// The stamp is that of what was put: whatever others make of the file, however soon, has another
  /// one. It is unsettled where the backend cannot say so.
  /// Errors: conflict (must_not_exist, and there is one), invalid_argument (fewer bytes than were
  /// announced), no_space, unavailable, timed_out, cancelled; the outcome says whether the file
  /// may stand there all the same.
  virtual Result<Stamp> commit(const Call& call) = 0;
};

enum class PutMode : std::uint8_t {
  replace,         ///< what stands there is replaced
  must_not_exist,  ///< conflict when something stands there
};

struct PutRequest {
  std::string path;
  PutMode mode = PutMode::replace;
  /// When known: lets the backend choose and reserve. Other than so many bytes are not committed.
  std::optional<std::uint64_t> size = std::nullopt;
};

/// What a backend can and cannot do. Callers branch on these and never on a scheme.
struct StorageCapabilities {
  bool exclusive_put = true;     ///< PutMode::must_not_exist is decided by the storage, no race
  bool folders = true;           ///< an empty folder can exist; false: a key space
  bool reports_capacity = true;  ///< capacity() has figures
  bool hidden_names = true;      ///< hide() is honoured
  /// For so long a commit or removal may still take effect when who asked for it has been killed
  /// or has given up waiting: the request is on its way to a server. Zero: never.
  std::chrono::seconds late_writes = {};
};

struct StorageCapacity {
  std::uint64_t total_bytes = 0;
  std::uint64_t available_bytes = 0;  ///< to the user that this process runs as
};

/// Safe to call from any thread. Names that are artcache's own never show: `.artcache` and all
/// below it, `.tmp_*`, `.keep`, and what hide() was told. Nothing is followed out of the root.
class ARTCACHE_EXPORT StorageBackend {
 public:
  virtual ~StorageBackend() = default;

  /// The address without secrets, for people.
  [[nodiscard]] virtual std::string describe() const = 0;
  [[nodiscard]] virtual const StorageCapabilities& capabilities() const = 0;

  /// Keeps an index in SQLite that lies inside the storage out of every listing, with the files
  /// beside it (-wal, -shm, -journal, -peers, -owners, -PREFIX_owners). Call before listing.
  virtual void hide(std::string_view absolute_path) = 0;

  /// Hands every file to `sink`, in no order, a bounded batch at a time; memory does not grow with
  /// the number of files. What changes meanwhile may or may not be seen; a file that is there
  /// from beginning to end is seen once.
  /// Errors: not_found (the folder; in a key space: nothing is below it), unsupported (it is a
  /// symbolic link), unavailable, timed_out, cancelled, and those of `sink`.
  virtual Result<void> list(const ListRequest& request, const ListSink& sink, const Call& call) = 0;

  /// Reads many small files with the concurrency that suits the backend. A file above
  /// `size_most` is invalid_argument, one that is gone not_found, a symbolic link unsupported:
  /// each handed to `sink` as its outcome. Errors: timed_out, cancelled, and those of `sink`.
  virtual Result<void> read_sidecars(std::span<const std::string_view> paths,
                                     std::uint64_t size_most, const SidecarSink& sink,
                                     const Call& call) = 0;

  /// Errors: not_found, invalid_argument (path, a range beyond the end), unsupported (a symbolic
  /// link or special file), unavailable.
  virtual Result<std::unique_ptr<ByteReader>> open(std::string_view path, ByteRange range,
                                                   const Call& call) = 0;

  /// Begins a new file; folders on the way are made. Errors: invalid_argument (path), conflict
  /// (must_not_exist), no_space, unavailable, unsupported (a symbolic link on the way).
  virtual Result<std::unique_ptr<StagedFile>> stage(const PutRequest& request,
                                                    const Call& call) = 0;

  /// stage, append and commit of a small file in one call. Errors: as these.
  Result<Stamp> put(const PutRequest& request, std::string_view bytes, const Call& call);

  /// Durable when it returns; folders that became empty stay. True when there was a file.
  /// Errors: invalid_argument, unsupported (not a regular file), unavailable.
  virtual Result<bool> remove(std::string_view path, const Call& call) = 0;

  /// Makes durable what can be seen under `path`: a file that is there, or that there is none. For
  /// a commit or a removal that ended in an unknown outcome: what is seen after it may otherwise
  /// be undone by a power cut. The default does nothing, as suits a storage that shows only what
  /// is durable. Errors: invalid_argument, unavailable, timed_out, cancelled.
  virtual Result<void> sync(std::string_view path, const Call& call);

  /// Nothing when there is no such file. Errors: invalid_argument, unsupported, unavailable.
  virtual Result<std::optional<FileInfo>> stat(std::string_view path, const Call& call) = 0;

  /// Errors: unsupported, unavailable.
  virtual Result<StorageCapacity> capacity(const Call& call) = 0;

  /// Begins to tell of changes: of all that are made after it has returned. Must not outlive the
  /// storage. Errors: unsupported (the default), no_space (too many folders to be watched),
  /// not_found, unavailable, timed_out, cancelled.
  virtual Result<std::unique_ptr<ChangeNotices>> watch(const WatchLimits& limits, const Call& call);
};

}  // namespace artcache
