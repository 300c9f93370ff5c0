// SPDX-License-Identifier: Apache-2.0
#include "backends/memory/storage.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "util/try.hpp"

namespace artcache::memory {
namespace {

constexpr std::size_t kBatchMost = 1000;

Error failed(Errc code, std::string_view operation, std::string_view path, std::string_view cause) {
  std::string message = "mem: ";
  message.append(operation).append(" '").append(path).append("': ").append(cause);
  return Error{code, std::move(message)};
}

/// One file. Never changed once it is visible, so that readers need no lock.
struct Blob {
  std::string bytes;
  FileInfo info;
};
using BlobPtr = std::shared_ptr<const Blob>;

/// The files, and how much of the capacity is taken. Safe to call from any thread. Shared with
/// staged files and readers, which may live longer than the storage.
class Files {
 public:
  explicit Files(std::optional<std::uint64_t> capacity) : capacity_(capacity) {}

  /// Takes `bytes` of the capacity, or nothing and says no.
  [[nodiscard]] bool take(std::uint64_t bytes) {
    const std::scoped_lock guard(mutex_);
    if (capacity_ && bytes > *capacity_ - used_) return false;
    used_ += bytes;
    return true;
  }
  void give_back(std::uint64_t bytes) {
    const std::scoped_lock guard(mutex_);
    used_ -= bytes;
  }

  [[nodiscard]] BlobPtr find(std::string_view path) const {
    const std::scoped_lock guard(mutex_);
    const auto found = files_.find(path);
    return found == files_.end() ? nullptr : found->second;
  }

  /// The stamp of the new file; nothing when `mode` forbids it. Its bytes were taken before.
  std::optional<Stamp> publish(const std::string& path, PutMode mode, std::string bytes,
                               Timestamp now) {
    auto blob = std::make_shared<Blob>();
    blob->bytes = std::move(bytes);
    const std::scoped_lock guard(mutex_);
    auto [slot, is_new] = files_.try_emplace(path);
    if (!is_new && mode == PutMode::must_not_exist) return std::nullopt;
    if (!is_new) used_ -= slot->second->bytes.size();
    blob->info = {{blob->bytes.size(), next_mark()}, now};
    slot->second = std::move(blob);
    return slot->second->info.stamp;
  }

  bool remove(std::string_view path) {
    const std::scoped_lock guard(mutex_);
    const auto found = files_.find(path);
    if (found == files_.end()) return false;
    used_ -= found->second->bytes.size();
    files_.erase(found);
    return true;
  }

  struct Named {
    std::string path;
    FileInfo info;
  };
  /// The next files behind `after` whose paths begin with `prefix`, at most `most`.
  [[nodiscard]] std::vector<Named> some(std::string_view prefix, std::string_view after,
                                        std::size_t most) const {
    std::vector<Named> out;
    const std::scoped_lock guard(mutex_);
    auto at = after.empty() ? files_.lower_bound(prefix) : files_.upper_bound(after);
    for (; at != files_.end() && out.size() < most && at->first.starts_with(prefix); ++at)
      out.push_back({at->first, at->second->info});
    return out;
  }

  [[nodiscard]] std::optional<StorageCapacity> capacity() const {
    const std::scoped_lock guard(mutex_);
    if (!capacity_) return std::nullopt;
    return StorageCapacity{*capacity_, *capacity_ - used_};
  }

 private:
  // A counter: two states of a file never share a mark, however quickly they follow.
  std::array<std::uint8_t, 24> next_mark() {
    ++marks_;
    std::array<std::uint8_t, 24> mark{};
    for (std::size_t i = 0; i < 8; ++i)
      mark[i] = static_cast<std::uint8_t>(marks_ >> (8 * (7 - i)));
    return mark;
  }

  const std::optional<std::uint64_t> capacity_;
  mutable std::mutex mutex_;
  std::map<std::string, BlobPtr, std::less<>> files_;  // guarded by mutex_, as all below
  std::uint64_t used_ = 0;
  std::uint64_t marks_ = 0;
};

class MemoryReader final : public ByteReader {
 public:
  MemoryReader(BlobPtr blob, ByteRange range, const Clock& clock)
      : blob_(std::move(blob)),
        rest_(std::string_view(blob_->bytes)
                  .substr(static_cast<std::size_t>(range.offset),
                          static_cast<std::size_t>(range.length))),
        clock_(clock) {}

  [[nodiscard]] const FileInfo& info() const override { return blob_->info; }

  Result<std::size_t> read(std::span<std::byte> buffer, const Call& call) override {
    ARTCACHE_CHECK(call.check("mem: read", clock_));
    const std::size_t size = std::min(buffer.size(), rest_.size());
    if (size != 0) std::memcpy(buffer.data(), rest_.data(), size);
    rest_.remove_prefix(size);
    return size;
  }

 private:
  const BlobPtr blob_;
  std::string_view rest_;
  const Clock& clock_;
};

class MemoryStagedFile final : public StagedFile {
 public:
  MemoryStagedFile(std::shared_ptr<Files> files, const PutRequest& request, const Clock& clock)
      : files_(std::move(files)), request_(request), clock_(clock) {}
  ~MemoryStagedFile() override { files_->give_back(bytes_.size()); }
  MemoryStagedFile(const MemoryStagedFile&) = delete;
  MemoryStagedFile& operator=(const MemoryStagedFile&) = delete;

  Result<void> append(std::span<const std::byte> bytes, const Call& call) override {
    auto result = try_append(bytes, call);
    if (!result) finished_ = true;
    return result;
  }

  Result<Stamp> commit(const Call& call) override {
    if (std::exchange(finished_, true)) return refused("commit after the end");
    ARTCACHE_CHECK(call.check("mem: put", clock_));
    if (request_.size && bytes_.size() != *request_.size)
      return refused("only " + std::to_string(bytes_.size()) + " of " +
                     std::to_string(*request_.size) + " announced bytes came");
    std::string bytes = std::exchange(bytes_, {});
    const std::size_t size = bytes.size();
    const auto stamp =
        files_->publish(request_.path, request_.mode, std::move(bytes), clock_.now());
    if (stamp) return *stamp;
    files_->give_back(size);
    return refused("exists already", Errc::conflict);
  }

 private:
  Result<void> try_append(std::span<const std::byte> bytes, const Call& call) {
    if (finished_) return refused("append after the end");
    ARTCACHE_CHECK(call.check("mem: put", clock_));
    if (request_.size && bytes.size() > *request_.size - bytes_.size())
      return refused("more bytes came than were announced");
    bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (files_->take(bytes.size())) return {};
    bytes_.resize(bytes_.size() - bytes.size());
    return refused("the capacity is used up", Errc::no_space);
  }
  [[nodiscard]] Error refused(std::string_view cause, Errc code = Errc::invalid_argument) const {
    return failed(code, "put", request_.path, cause);
  }

  const std::shared_ptr<Files> files_;
  const PutRequest request_;
  const Clock& clock_;
  std::string bytes_;
  bool finished_ = false;
};

class MemoryStorage final : public StorageBackend {
 public:
  MemoryStorage(std::string description, std::optional<std::uint64_t> capacity, const Clock& clock)
      : description_(std::move(description)),
        clock_(clock),
        files_(std::make_shared<Files>(capacity)) {
    capabilities_.folders = false;
    capabilities_.reports_capacity = capacity.has_value();
    capabilities_.hidden_names = false;  // no file of this machine lies in here
  }

  [[nodiscard]] std::string describe() const override { return description_; }
  [[nodiscard]] const StorageCapabilities& capabilities() const override { return capabilities_; }
  void hide(std::string_view) override {}

  Result<void> list(const ListRequest& request, const ListSink& sink, const Call& call) override;
  Result<void> read_sidecars(std::span<const std::string_view> paths, std::uint64_t size_most,
                             const SidecarSink& sink, const Call& call) override;
  Result<std::unique_ptr<ByteReader>> open(std::string_view path, ByteRange range,
                                           const Call& call) override;
  Result<std::unique_ptr<StagedFile>> stage(const PutRequest& request, const Call& call) override;

  Result<bool> remove(std::string_view path, const Call& call) override {
    ARTCACHE_CHECK(begin("mem: remove", path, call));
    return files_->remove(path);
  }
  Result<std::optional<FileInfo>> stat(std::string_view path, const Call& call) override {
    ARTCACHE_CHECK(begin("mem: stat", path, call));
    const BlobPtr blob = files_->find(path);
    return blob ? std::optional(blob->info) : std::nullopt;
  }
  Result<StorageCapacity> capacity(const Call& call) override {
    ARTCACHE_CHECK(call.check("mem: capacity", clock_));
    const auto capacity = files_->capacity();
    if (!capacity) return Error{Errc::unsupported, "mem: capacity: none was given in the address"};
    return *capacity;
  }

 private:
  Result<void> begin(std::string_view operation, std::string_view path, const Call& call) const {
    ARTCACHE_CHECK(check_storage_path(path));
    return call.check(operation, clock_);
  }
  Result<SidecarBytes> read_sidecar(std::string_view path, std::uint64_t size_most,
                                    BlobPtr& keep) const;

  const std::string description_;
  const Clock& clock_;
  const std::shared_ptr<Files> files_;
  StorageCapabilities capabilities_;
};

Result<void> MemoryStorage::list(const ListRequest& request, const ListSink& sink,
                                 const Call& call) {
  if (!request.folder.empty()) ARTCACHE_CHECK(check_storage_path(request.folder));
  const std::string prefix = request.folder.empty() ? "" : request.folder + "/";
  std::string last;
  bool found = request.folder.empty();
  std::vector<ListedFile> batch;
  for (;;) {
    ARTCACHE_CHECK(call.check("mem: list", clock_));
    // Copies: others may remove these files while the sink looks at them.
    const auto files = files_->some(prefix, last, kBatchMost);
    if (files.empty()) break;
    batch.clear();
    for (const auto& [path, info] : files) {
      if (is_own_path(path)) continue;
      found = true;
      if (request.what == ListWhat::all || is_sidecar_path(path))
        batch.push_back({path, info.stamp, info.modified});
    }
    if (!batch.empty()) ARTCACHE_CHECK(sink({batch, {}}));
    last = files.back().path;
  }
  if (!found) return failed(Errc::not_found, "list", request.folder, "there is no such folder");
  return {};
}

Result<void> MemoryStorage::read_sidecars(std::span<const std::string_view> paths,
                                          std::uint64_t size_most, const SidecarSink& sink,
                                          const Call& call) {
  ARTCACHE_CHECK(call.check("mem: read", clock_));
  for (std::size_t i = 0; i < paths.size(); ++i) {
    ARTCACHE_CHECK(call.check("mem: read", clock_));
    BlobPtr keep;
    ARTCACHE_CHECK(sink(i, read_sidecar(paths[i], size_most, keep)));
  }
  return {};
}

Result<SidecarBytes> MemoryStorage::read_sidecar(std::string_view path, std::uint64_t size_most,
                                                 BlobPtr& keep) const {
  ARTCACHE_CHECK(check_storage_path(path));
  keep = files_->find(path);
  if (!keep) return failed(Errc::not_found, "read", path, "there is no such file");
  if (keep->bytes.size() > size_most)
    return failed(Errc::invalid_argument, "read", path,
                  "is larger than " + std::to_string(size_most) + " bytes");
  return SidecarBytes{keep->bytes, keep->info.stamp, keep->info.modified};
}

Result<std::unique_ptr<ByteReader>> MemoryStorage::open(std::string_view path, ByteRange range,
                                                        const Call& call) {
  ARTCACHE_CHECK(begin("mem: open", path, call));
  BlobPtr blob = files_->find(path);
  if (!blob) return failed(Errc::not_found, "open", path, "there is no such file");
  if (range.offset > blob->bytes.size())
    return failed(Errc::invalid_argument, "open", path,
                  "the range begins at " + std::to_string(range.offset) + ", beyond the end at " +
                      std::to_string(blob->bytes.size()));
  return std::unique_ptr<ByteReader>(new MemoryReader(std::move(blob), range, clock_));
}

Result<std::unique_ptr<StagedFile>> MemoryStorage::stage(const PutRequest& request,
                                                         const Call& call) {
  ARTCACHE_CHECK(begin("mem: put", request.path, call));
  if (request.mode == PutMode::must_not_exist && files_->find(request.path))
    return failed(Errc::conflict, "put", request.path, "exists already");
  return std::unique_ptr<StagedFile>(new MemoryStagedFile(files_, request, clock_));
}

}  // namespace

Result<std::unique_ptr<StorageBackend>> open_storage(const Url& url, const Deps& deps,
                                                     const Call& call) {
  ARTCACHE_CHECK(call.check("mem: open", *deps.clock));
  ARTCACHE_CHECK(url.expect_only({"capacity"}));
  if (!url.path().empty() || !url.hosts().empty() || !url.user().empty())
    return Error{Errc::invalid_argument,
                 "mem: '" + url.redacted() + "' has a name; each mem: is a store of its own"};
  std::optional<std::uint64_t> capacity;
  if (url.parameter("capacity")) {
    ARTCACHE_TRY(const auto bytes,
                 url.integer("capacity", 0, 0, std::numeric_limits<std::int64_t>::max()));
    capacity = static_cast<std::uint64_t>(bytes);
  }
  return std::unique_ptr<StorageBackend>(new MemoryStorage(url.redacted(), capacity, *deps.clock));
}

}  // namespace artcache::memory
