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

#include "support/fake_clock.hpp"
#include "support/faulty_index.hpp"
#include "support/faulty_storage.hpp"
#include "support/temp_dir.hpp"

namespace artcache::test {

template <class R>
auto good(R result) {
  REQUIRE_MESSAGE(result.has_value(), (result ? "" : to_string(result.error())));
  if constexpr (!std::is_void_v<typename R::value_type>) return std::move(*result);
}

inline constexpr std::string_view kBytes = "some bytes of a plan";

struct Element {
  Element(const std::string& storage_scheme, const std::string& index_scheme,
          FileSettings wanted = {})
      : settings(std::move(wanted)) {
    deps.clock = &clock;
    const Backends backends = Backends::builtin();
    storage = good(backends.open_storage(
        good(Url::parse(storage_scheme == "mem" ? "mem:"
                                                : "file://" + (folder / "store") + "?create=on")),
        deps, {}));
    index = good(backends.open_index(
        good(Url::parse(index_scheme == "mem" ? "mem:" : "sqlite://" + (folder / "i.db"))), deps,
        {}));
    locks = good(make_lock_manager(*index->locks(), deps));
    faulty_storage = std::make_unique<FaultyStorage>(*storage);
    faulty_index = std::make_unique<FaultyIndex>(*index);
    restart();
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

/// Runs a test for every storage with every index.
template <class F>
void for_each_element(const F& test, const FileSettings& settings = {}) {
  for (const std::string storage : {"mem", "file"})
    for (const std::string index : {"mem", "sqlite"}) {
      INFO("storage " << storage << ", index " << index);
      Element element(storage, index, settings);
      test(element);
    }
}

}  // namespace artcache::test
