// SPDX-License-Identifier: Apache-2.0
// A store with an index of it, for tests of what keeps the two in step.
#pragma once

#include <artcache/cache_rebuild_service.hpp>
#include <artcache/lock_manager.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "conformance/index_suite.hpp"
#include "conformance/storage_suite.hpp"
#include "core/attr/sidecar.hpp"
#include "support/counted_metrics.hpp"
#include "support/fake_clock.hpp"
#include "support/sample_entry.hpp"
#include "support/temp_dir.hpp"

namespace artcache::test {

/// Log lines, one a record.
class Lines final : public Logger {
 public:
  void log(const LogRecord& record) noexcept override {
    const std::scoped_lock held(mutex_);
    lines_.push_back(to_text(record));
  }
  [[nodiscard]] bool enabled(LogLevel) const noexcept override { return true; }
  [[nodiscard]] bool has(std::string_view part) const {
    const std::scoped_lock held(mutex_);
    for (const std::string& line : lines_)
      if (line.find(part) != std::string::npos) return true;
    return false;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

inline Call stoppable(const std::stop_source& stop) {
  Call call;
  call.stop = stop.get_token();
  return call;
}

class Store {
 public:
  Store(const std::string& storage_address, const std::string& index_address,
        const Clock* other_clock = nullptr)
      : deps{.clock = other_clock != nullptr ? other_clock : &clock,
             .logger = &lines,
             .metrics = &metrics} {
    const Backends backends = Backends::builtin();
    Deps storage_deps = deps;
    // A server refuses what is signed at another time than its own.
    if (storage_address.starts_with("s3:")) storage_deps.clock = &system_clock();
    storage = good(backends.open_storage(good(Url::parse(storage_address)), storage_deps, {}));
    index = good(backends.open_index(good(Url::parse(index_address)), deps, {}));
    locks = good(make_lock_manager(*index->locks(), deps));
    make_service(*storage, {});
  }
  void make_service(StorageBackend& over, RebuildSettings settings) {
    settings.element = "se-01";
    service = std::make_unique<CacheRebuildService>(over, *index, *locks, settings, deps);
  }

  static std::string sidecar_of(const FileEntry& entry) {
    return entry.data_path().append(kSidecarSuffix);
  }
  void put_sidecar(const FileEntry& entry, std::string path = {}) {
    if (path.empty()) path = sidecar_of(entry);
    good(storage->put({.path = path}, good(attr::encode(entry)), {}));
  }
  void put_file(FileEntry entry) {
    good(storage->put({.path = entry.data_path()}, std::string(entry.file_size, 'x'), {}));
    put_sidecar(entry);
  }
  void fill(std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t n = from; n < to; ++n) put_file(sample_entry(n));
  }
  void remove(const std::string& path) { CHECK(good(storage->remove(path, {}))); }
  static FileEntry changed(std::uint64_t n, std::string description, int minutes = 1) {
    FileEntry entry = sample_entry(n);
    entry.description = std::move(description);
    entry.updated_at = entry.updated_at + std::chrono::minutes(minutes);
    return entry;
  }

  /// As somebody else would hold it.
  Lease hold(LockClass lock_class) {
    LockRequest request;
    request.element = "se-01";
    request.lock_class = lock_class;
    request.operation = "by a test";
    return good(locks->try_acquire(request, {}));
  }

  RebuildReport full() { return good(service->rebuild_full({}, {})); }
  RebuildReport incremental(Prune prune = Prune::no) {
    return good(service->rebuild_incremental({.prune = prune}, {}));
  }
  ConsistencyReport check() { return good(service->check_consistency({}, {})); }
  std::optional<IndexedEntry> find(std::uint64_t n) { return good(index->find(sample_id(n), {})); }
  IndexHead head() { return good(index->head({})); }
  std::vector<std::string> scanned_paths() {
    std::vector<std::string> paths;
    const auto gather = [&](std::span<const ScannedFile> files) -> Result<void> {
      for (const ScannedFile& file : files) paths.push_back(file.path);
      return {};
    };
    good(index->scan_table({}, gather, {}));
    return paths;
  }
  /// What the index would have if it were made anew.
  Digest fresh_digest() {
    Store other("mem:", "mem:");
    other.make_service(*storage, {});
    good(other.service->rebuild_full({}, {}));
    return other.head().position.digest;
  }

  FakeClock clock;
  Lines lines;
  CountedMetrics metrics;
  Deps deps;
  std::unique_ptr<StorageBackend> storage;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<LockManager> locks;
  std::unique_ptr<CacheRebuildService> service;
};

/// Runs a test on the servers that are named, else in memory, and on files with SQLite.
inline void for_each_store(const std::function<void(Store&)>& test) {
  const TempDir folder;
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& server : named_servers())
    pairs.emplace_back("mem:", fresh_prefix(server) + "&owners=" + folder.path());
  for (std::string& server : named_storages()) pairs.emplace_back(std::move(server), "mem:");
  if (pairs.empty())
    pairs = {{"mem:", "mem:"},
             {"file://" + (folder / "files") + "?create=on&sync=off",
              "sqlite://" + (folder / "index.db") + "?sync=off"}};
  for (const auto& pair : pairs) {
    const std::string &storage = pair.first, &index = pair.second;
    INFO(storage.substr(0, storage.find(':')), " and ", index.substr(0, index.find(':')));
    Store store(storage, index);
    test(store);
  }
}

}  // namespace artcache::test
