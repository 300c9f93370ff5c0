// SPDX-License-Identifier: Apache-2.0
#include "backends/file/storage.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <vector>

#include "backends/file/byte_reader.hpp"
#include "backends/file/listing.hpp"
#include "backends/file/notices.hpp"
#include "backends/file/reading.hpp"
#include "backends/file/staged_file.hpp"
#include "backends/file/stamp.hpp"
#include "backends/file/temporary.hpp"
#include "util/try.hpp"

namespace artcache::file {
namespace {

constexpr unsigned kThreadsMost = 64;
constexpr unsigned kThreadsByDefaultMost = 16;

class FileStorage final : public StorageBackend {
 public:
  FileStorage(Root root, const Options& options, const Deps& deps)
      : root_(std::move(root)),
        description_(options.description),
        clock_(*deps.clock),
        pool_{options.threads, deps.clock},
        folders_(root_, options.sync) {}

  [[nodiscard]] std::string describe() const override { return description_; }
  [[nodiscard]] const StorageCapabilities& capabilities() const override { return capabilities_; }

  void hide(std::string_view absolute_path) override {
    const std::scoped_lock guard(mutex_);
    hidden_.emplace_back(absolute_path);
  }

  Result<void> list(const ListRequest& request, const ListSink& sink, const Call& call) override;
  Result<void> read_sidecars(std::span<const std::string_view> paths, std::uint64_t size_most,
                             const SidecarSink& sink, const Call& call) override {
    return read_many(root_, paths, size_most, sink, pool_, call);
  }
  Result<std::unique_ptr<ByteReader>> open(std::string_view path, ByteRange range,
                                           const Call& call) override {
    ARTCACHE_CHECK(begin("file: open", path, call));
    return open_reader(root_, path, range, clock_);
  }
  Result<std::unique_ptr<StagedFile>> stage(const PutRequest& request, const Call& call) override {
    ARTCACHE_CHECK(begin("file: put", request.path, call));
    return stage_file(folders_, request, clock_);
  }
  Result<bool> remove(std::string_view path, const Call& call) override;
  Result<void> sync(std::string_view path, const Call& call) override;
  Result<std::optional<FileInfo>> stat(std::string_view path, const Call& call) override;
  Result<StorageCapacity> capacity(const Call& call) override;
  Result<std::unique_ptr<ChangeNotices>> watch(const WatchLimits& limits,
                                               const Call& call) override {
    return watch_folders(root_, hidden(), limits, clock_, call);
  }

 private:
  Result<void> sync_folder_of(std::string_view path) const;
  Result<bool> absent(std::string_view path) const {
    // Somebody who removed it may not have come to this.
    ARTCACHE_CHECK(sync_folder_of(path));
    return false;
  }
  std::vector<std::string> hidden() {
    const std::scoped_lock guard(mutex_);
    return hidden_;
  }

  Result<void> begin(std::string_view operation, std::string_view path, const Call& call) const {
    ARTCACHE_CHECK(check_storage_path(path));
    return call.check(operation, clock_);
  }

  const Root root_;
  const std::string description_;
  const Clock& clock_;
  const Pool pool_;
  const StorageCapabilities capabilities_;
  Folders folders_;
  std::mutex mutex_;
  std::vector<std::string> hidden_;  // guarded by mutex_
};

Result<void> FileStorage::list(const ListRequest& request, const ListSink& sink, const Call& call) {
  if (!request.folder.empty()) ARTCACHE_CHECK(check_storage_path(request.folder));
  if (is_own_path(request.folder)) return errno_error(ENOENT, "list", request.folder);
  return list_folder(root_, request, hidden(), sink, pool_, call);
}

Result<bool> FileStorage::remove(std::string_view path, const Call& call) {
  ARTCACHE_CHECK(begin("file: remove", path, call));
  const SplitPath parts = split(path);
  const std::string name(parts.name);
  util::Fd folder;
  if (const Errno code = root_.open_below(parts.folder, O_RDONLY | O_DIRECTORY, folder)) {
    if (code == ENOENT || code == ENOTDIR) return absent(path);
    return errno_error(code, "remove", path);
  }
  struct stat found {};
  if (::fstatat(folder.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return absent(path);
    return errno_error(errno, "remove", path);
  }
  if (!S_ISREG(found.st_mode)) return not_regular(found.st_mode, "remove", path);
  if (::unlinkat(folder.get(), name.c_str(), 0) != 0) {
    if (errno == ENOENT) return absent(path);
    return errno_error(errno, "remove", path);
  }
  ARTCACHE_CHECK(sync_folder_of(path));
  return true;
}

/// A name is made and taken away in its folder; where that is missing, in the next one above.
/// Whoever asks for it wants nothing to be left of a writer that is dead.
Result<void> FileStorage::sync_folder_of(std::string_view path) const {
  Errno code = ENOENT;
  const std::string_view own = split(path).folder;
  for (std::string_view at = path; code == ENOENT || code == ENOTDIR;) {
    if (at.empty()) break;
    at = split(at).folder;
    util::Fd folder;
    code = root_.open_below(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC, folder);
    if (code == 0 && at == own) sweep_temporaries(folder.get(), split(path).name);
    if (code == 0) code = folders_.sync(folder.get());
  }
  if (code == 0) return {};
  Error error = errno_error(code, "sync the folder of", path);
  error.outcome = Outcome::unknown;
  return error;
}

Result<void> FileStorage::sync(std::string_view path, const Call& call) {
  ARTCACHE_CHECK(begin("file: sync", path, call));
  return sync_folder_of(path);
}

Result<std::optional<FileInfo>> FileStorage::stat(std::string_view path, const Call& call) {
  ARTCACHE_CHECK(begin("file: stat", path, call));
  util::Fd file;
  struct stat found {};
  const Errno code = root_.open_below(path, O_PATH, file);
  if (code == ENOENT || code == ENOTDIR) return std::optional<FileInfo>();
  if (code != 0) return errno_error(code, "stat", path);
  if (::fstat(file.get(), &found) != 0) return errno_error(errno, "stat", path);
  if (S_ISDIR(found.st_mode)) return std::optional<FileInfo>();
  if (!S_ISREG(found.st_mode)) return not_regular(found.st_mode, "stat", path);
  return std::optional(info_of(found));
}

Result<StorageCapacity> FileStorage::capacity(const Call& call) {
  ARTCACHE_CHECK(call.check("file: capacity", clock_));
  struct statvfs found {};
  if (util::retried([&] { return ::fstatvfs(root_.fd(), &found); }) != 0)
    return errno_error(errno, "ask for the capacity of", root_.path());
  return StorageCapacity{std::uint64_t{found.f_blocks} * found.f_frsize,
                         std::uint64_t{found.f_bavail} * found.f_frsize};
}

}  // namespace

Result<Options> parse_options(const Url& url) {
  const auto bad = [&](std::string_view why) {
    return Error{Errc::invalid_argument, "file: '" + url.redacted() + "' " + std::string(why)};
  };
  ARTCACHE_CHECK(url.expect_only({"create", "sync", "threads"}));
  Options options;
  options.description = url.redacted();
  for (const Url::Host& host : url.hosts())
    if (host.name != "localhost" || host.port != 0 || url.hosts().size() > 1)
      return bad("names a host; a local folder is file:///folder, with three slashes");
  if (!url.user().empty() || !url.password().empty()) return bad("names a user");
  options.root = url.path();
  while (options.root.size() > 1 && options.root.back() == '/') options.root.pop_back();
  if (!options.root.starts_with('/')) return bad("needs an absolute path: file:///folder");
  ARTCACHE_TRY(const bool create, url.flag("create", false));
  options.missing = create ? MissingRoot::made : MissingRoot::fails;
  ARTCACHE_TRY(const bool sync, url.flag("sync", true));
  options.sync = sync ? Sync::on : Sync::off;
  const auto processors =
      std::clamp(std::thread::hardware_concurrency(), 1U, kThreadsByDefaultMost);
  ARTCACHE_TRY(const auto threads, url.integer("threads", processors, 1, kThreadsMost));
  options.threads = static_cast<unsigned>(threads);
  return options;
}

Result<std::unique_ptr<StorageBackend>> open_storage(Options options, const Deps& deps,
                                                     const Call& call) {
  ARTCACHE_CHECK(call.check("file: open", *deps.clock));
  ARTCACHE_TRY(auto root, Root::open(options.root, options.missing, options.resolve));
  return std::unique_ptr<StorageBackend>(new FileStorage(std::move(root), options, deps));
}

Result<std::unique_ptr<StorageBackend>> open_storage(const Url& url, const Deps& deps,
                                                     const Call& call) {
  ARTCACHE_TRY(auto options, parse_options(url));
  return open_storage(std::move(options), deps, call);
}

}  // namespace artcache::file
