// SPDX-License-Identifier: Apache-2.0
// How soon an index that follows a local store says what has changed there.
#include <algorithm>
#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <atomic>
#include <mutex>
#include <thread>

#include "bench/bench.hpp"
#include "bench/sample_store.hpp"
#include "core/attr/sidecar.hpp"

namespace artcache::bench {
namespace {

constexpr std::size_t kChanged = 100;
constexpr int kRounds = 5;
constexpr std::chrono::microseconds kPoll{200};

std::string read(StorageBackend& storage, const std::string& path) {
  std::string bytes;
  const std::string_view view = path;
  must(storage.read_sidecars({&view, 1}, 1 << 20,
                             [&](std::size_t, Result<SidecarBytes> found) -> Result<void> {
                               bytes = must(std::move(found)).bytes;
                               return {};
                             },
                             {}));
  return bytes;
}

/// Sidecars all over the store, and what they say.
struct Chosen {
  std::vector<std::string> paths, texts, changed;

  Chosen(StorageBackend& storage, std::uint64_t files) {
    const std::uint64_t step = std::max<std::uint64_t>(files / kChanged, 1);
    std::uint64_t count = 0;
    std::mutex mutex;
    const auto choose = [&](const ListBatch& batch) -> Result<void> {
      const std::scoped_lock held(mutex);
      for (const ListedFile& file : batch.files)
        if (count++ % step == 0 && paths.size() < kChanged) paths.emplace_back(file.path);
      return {};
    };
    must(storage.list({}, choose, {}));
    for (const std::string& path : paths) {
      texts.push_back(read(storage, path));
      FileEntry entry;
      must(attr::decode(texts.back(), path, entry));
      entry.description = "changed while it was watched";
      changed.push_back(must(attr::encode(entry)));
    }
  }
};

/// watch() on a thread of its own.
class Watching {
 public:
  explicit Watching(CacheRebuildService& service)
      : service_(service), thread_([this](const std::stop_token& stop) {
          Call call;
          call.stop = stop;
          WatchRequest request;
          request.on_event = [this](const WatchEvent& event) {
            if (event.kind == WatchEvent::Kind::rescanned) began_ = true;
          };
          must(service_.watch(request, call));
        }) {
    while (!began_) std::this_thread::sleep_for(kPoll);
  }
  /// From the first write until the index says all of them.
  double put(StorageBackend& storage, const Chosen& chosen, const std::vector<std::string>& texts) {
    const std::uint64_t before = service_.watch_status().changed;
    return time_of([&] {
      for (std::size_t i = 0; i < texts.size(); ++i)
        must(storage.put({.path = chosen.paths[i]}, texts[i], {}));
      while (service_.watch_status().changed < before + texts.size())
        std::this_thread::sleep_for(kPoll);
    });
  }

 private:
  CacheRebuildService& service_;
  std::atomic<bool> began_{false};
  std::jthread thread_;
};

Figure figure(std::string name, double value, std::string unit, double must, double aim) {
  return {.group = "watch",
          .name = std::move(name),
          .value = value,
          .unit = std::move(unit),
          .must = must,
          .aim = aim};
}

struct Index {
  explicit Index(const std::string& path, StorageBackend& storage)
      : store(must(Backends::builtin().open_index(must(Url::parse("sqlite://" + path)), {}, {}))),
        locks(must(make_lock_manager(*store->locks(), {}))),
        service(storage, *store, *locks, RebuildSettings{}, Deps{}) {}
  std::unique_ptr<MetadataStore> store;
  std::unique_ptr<LockManager> locks;
  CacheRebuildService service;
};

}  // namespace

std::vector<Figure> watch_figures(const Options& options) {
  const SampleStore store(options.folder, options.files);
  const std::string path = options.folder + "/artcache-bench-watch.db";
  // The index of the last run is kept, since making it is not what is measured. In a process of its
  // own, so that its memory does not count for what follows.
  (void)peak_memory_of([&] {
    must(Index(path, store.storage()).service.rebuild_incremental({.prune = Prune::yes}, {}));
  });
  const Chosen chosen(store.storage(), options.files);
  const double memory = peak_memory_of([&] {
    Index index(path, store.storage());
    Watching watching(index.service);
    watching.put(store.storage(), chosen, chosen.changed);
    watching.put(store.storage(), chosen, chosen.texts);
  });
  Index index(path, store.storage());
  Watching watching(index.service);
  std::vector<double> times;
  for (int round = 0; round < kRounds; ++round)
    for (const auto* texts : {&chosen.changed, &chosen.texts})
      times.push_back(watching.put(store.storage(), chosen, *texts));
  std::ranges::sort(times);
  return {figure("100 changed files among " + std::to_string(options.files),
                 times[times.size() / 2] * 1e3, "ms", 1000, 100),
          figure("the slowest of 10 times", times.back() * 1e3, "ms", 1000, 100),
          figure("memory of following the store", memory, "MiB", 256, 96)};
}

}  // namespace artcache::bench
