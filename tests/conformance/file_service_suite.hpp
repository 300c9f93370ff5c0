// SPDX-License-Identifier: Apache-2.0
// A file service over each kind of storage and index, and short words for what its tests do.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/file_service.hpp>
#include <artcache/lock_manager.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conformance/index_suite.hpp"
#include "conformance/storage_suite.hpp"
#include "support/fake_clock.hpp"
#include "support/faulty_index.hpp"
#include "support/faulty_storage.hpp"
#include "support/temp_dir.hpp"

namespace artcache::test {

inline constexpr std::string_view kBytes = "some bytes of a plan";

/// What the tests of one element run on: the server that is named, else memory.
struct Quick {
  std::string storage = named_storages().empty() ? "mem" : "server";
  std::string index = named_servers().empty() ? "mem" : "server";

  [[nodiscard]] bool on_server() const { return storage == "server" || index == "server"; }
};

struct Element {
  explicit Element(FileSettings wanted = {}, const Quick& kinds = {})
      : Element(kinds.storage, kinds.index, std::move(wanted)) {}
  /// A storage is mem, file or server, an index mem, sqlite or server.
  Element(const std::string& storage_kind, const std::string& index_kind, FileSettings wanted = {})
      : settings(std::move(wanted)) {
    deps.clock = &clock;
    const Backends backends = Backends::builtin();
    Deps storage_deps = deps;
    // A server refuses what is signed at another time than its own.
    if (storage_kind == "server") storage_deps.clock = &system_clock();
    storage = good(
        backends.open_storage(good(Url::parse(storage_address(storage_kind))), storage_deps, {}));
    index = good(backends.open_index(good(Url::parse(index_address(index_kind))), deps, {}));
    locks = good(make_lock_manager(*index->locks(), deps));
    faulty_storage = std::make_unique<FaultyStorage>(*storage);
    faulty_index = std::make_unique<FaultyIndex>(*index);
    restart();
  }

  [[nodiscard]] std::string storage_address(const std::string& kind) const {
    if (kind == "mem") return "mem:";
    return kind == "file" ? "file://" + (folder / "store") + "?create=on"
                          : named_storages().front();
  }
  [[nodiscard]] std::string index_address(const std::string& kind) const {
    if (kind == "mem") return "mem:";
    return kind == "sqlite" ? "sqlite://" + (folder / "i.db")
                            : fresh_prefix(named_servers().front()) + "&owners=" + folder.path();
  }

  /// As after a crash, when `files` is not needed for its own clean-up.
  void restart() {
    files.reset();
    files = service();
  }
  std::unique_ptr<FileService> service() {
    return std::make_unique<FileService>(*faulty_storage, *faulty_index, *locks, settings, deps);
  }

  static UploadRequest plan() {
    UploadRequest request;
    request.original_filename = "plan.txt";
    request.content_type = "text/plain";
    request.created_by_id = "user-1";
    request.created_by_username = "a.smith";
    request.tags = {"finance"};
    return request;
  }
  Result<IndexedEntry> upload(const UploadRequest& request = plan(),
                              std::string_view bytes = kBytes) {
    MemorySource source(bytes);
    return files->upload(request, source, {});
  }
  Result<std::string> content(const FileId& id, const DownloadRequest& request = {}) {
    auto download = files->download(id, request, {});
    if (!download) return download.error();
    std::string all;
    std::array<std::byte, 7> buffer{};
    while (true) {
      const auto bytes = (*download)->read(buffer, {});
      if (!bytes) return bytes.error();
      if (*bytes == 0) return all;
      all.append(reinterpret_cast<const char*>(buffer.data()), *bytes);
    }
  }
  /// Recovers; where requests may arrive late, until none can any more.
  RecoveryReport settle(FileService& by) {
    const RecoveryReport report = good(by.recover({}));
    if (report.watched == 0 || !report.left.empty()) return report;
    clock.advance(faulty_storage->capabilities().late_writes + std::chrono::seconds(1));
    return good(by.recover({}));
  }
  std::vector<std::string> paths() {
    std::vector<std::string> all;
    std::mutex mutex;
    const auto take = [&](const ListBatch& batch) -> Result<void> {
      const std::scoped_lock held(mutex);
      for (const ListedFile& file : batch.files) all.emplace_back(file.path);
      return {};
    };
    good(storage->list({.what = ListWhat::all}, take, {}));
    return all;
  }
  /// What a check has to say; empty when index, sidecars and data agree and nothing is pending.
  std::string contradiction() {
    CacheRebuildService rebuild(*storage, *index, *locks, {}, deps);
    const auto report = good(rebuild.check_consistency({}, {}));
    std::string text;
    for (const Finding& finding : report.findings)
      text.append(to_string(finding.kind)).append(" ").append(finding.path).append("; ");
    return text;
  }
  IndexHead head() { return good(index->head({})); }

  TempDir folder;
  FakeClock clock;
  Deps deps;
  FileSettings settings;
  std::unique_ptr<StorageBackend> storage;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<LockManager> locks;
  std::unique_ptr<FaultyStorage> faulty_storage;
  std::unique_ptr<FaultyIndex> faulty_index;
  std::unique_ptr<FileService> files;
};

/// Runs a test on the server that is named, else for every storage with every index.
template <class F>
void for_each_element(const F& test, const FileSettings& settings = {}) {
  std::vector<std::pair<std::string, std::string>> kinds;
  if (const Quick quick; quick.on_server())
    kinds = {{quick.storage, quick.index}};
  else
    kinds = {{"mem", "mem"}, {"mem", "sqlite"}, {"file", "mem"}, {"file", "sqlite"}};
  for (const auto& kind : kinds) {
    INFO("storage " << kind.first << ", index " << kind.second);
    Element element(kind.first, kind.second, settings);
    test(element);
  }
}

}  // namespace artcache::test
