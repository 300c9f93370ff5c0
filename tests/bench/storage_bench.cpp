// SPDX-License-Identifier: Apache-2.0
// Listing and reading a local storage, against what the machine must do anyway.
#include <fcntl.h>
#include <unistd.h>

#include <artcache/storage_backend.hpp>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "bench/bench.hpp"
#include "bench/sample_store.hpp"

namespace artcache::bench {
namespace {

constexpr int kRounds = 3;
constexpr unsigned kThreads = 2;
constexpr std::size_t kReadAtOnce = 8192;

std::uint64_t list_all(StorageBackend& storage) {
  std::atomic<std::uint64_t> bytes{0};
  must(storage.list({},
                    [&](const ListBatch& batch) -> Result<void> {
                      std::uint64_t sum = 0;
                      for (const ListedFile& file : batch.files) sum += file.stamp.size;
                      bytes += sum;
                      return {};
                    },
                    {}));
  return bytes;
}

void find_all(const std::string& path) {
  const std::string command =
      "find '" + path + "' -name '*.attr.json' -printf '%s %T@\\n' > /dev/null";
  if (std::system(command.c_str()) != 0) give_up("find failed");
}

std::uint64_t read_through_storage(StorageBackend& storage, const std::vector<std::string>& paths) {
  std::atomic<std::uint64_t> bytes{0};
  std::vector<std::string_view> some;
  for (std::size_t at = 0; at < paths.size(); at += some.size()) {
    const std::size_t end = std::min(paths.size(), at + kReadAtOnce);
    some.assign(paths.begin() + static_cast<std::ptrdiff_t>(at),
                paths.begin() + static_cast<std::ptrdiff_t>(end));
    must(storage.read_sidecars(some, 1 << 20,
                               [&](std::size_t, Result<SidecarBytes> read) -> Result<void> {
                                 if (!read) return std::move(read).error();
                                 bytes += read->bytes.size();
                                 return {};
                               },
                               {}));
  }
  return bytes;
}

/// The least that reading can be: open by full path, read once, close.
std::uint64_t read_bare(const std::vector<std::string>& full_paths) {
  std::atomic<std::size_t> next{0};
  std::atomic<std::uint64_t> bytes{0};
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      std::vector<char> buffer(65536);
      std::uint64_t sum = 0;
      constexpr std::size_t kRun = 256;
      for (std::size_t at = next.fetch_add(kRun); at < full_paths.size(); at = next.fetch_add(kRun))
        for (std::size_t i = at; i < std::min(at + kRun, full_paths.size()); ++i) {
          const int fd = ::openat(AT_FDCWD, full_paths[i].c_str(), O_RDONLY | O_CLOEXEC);
          const ssize_t got = ::read(fd, buffer.data(), buffer.size());
          ::close(fd);
          if (got < 0) give_up("cannot read " + full_paths[i]);
          sum += static_cast<std::uint64_t>(got);
        }
      bytes += sum;
    });
  threads.clear();
  return bytes;
}

}  // namespace

std::vector<Figure> storage_figures(const Options& options) {
  const SampleStore store(options.folder, options.files);
  std::uint64_t listed = 0;
  const Pair listing = best_of(
      kRounds, [&] { listed = list_all(store.storage()); }, [&] { find_all(store.path()); });

  // Forked before anything big is in memory here, which would count for the child too.
  const double memory = peak_memory_of([&] {
    std::vector<std::string_view> some;
    must(store.storage().list(
        {},
        [&](const ListBatch& batch) -> Result<void> {
          std::vector<std::string_view> paths;
          for (const ListedFile& file : batch.files) paths.push_back(file.path);
          return store.storage().read_sidecars(
              paths, 1 << 20, [](std::size_t, const auto&) -> Result<void> { return {}; }, {});
        },
        {}));
  });

  const std::vector<std::string> paths = store.paths();
  std::vector<std::string> full;
  full.reserve(paths.size());
  for (const std::string& path : paths) full.push_back(store.path() + "/" + path);
  std::uint64_t ours = 0, bare = 0;
  const Pair reading = best_of(
      kRounds, [&] { ours = read_through_storage(store.storage(), paths); },
      [&] { bare = read_bare(full); });
  if (ours != bare || ours != listed) give_up("the two did not read the same bytes");

  return {{.group = "storage",
           .name = "listing with stamps",
           .value = listing.ours,
           .floor = listing.floor,
           .unit = "s",
           .floor_name = "find -name '*.attr.json' -printf '%s %T@\\n'",
           .must = 1.3,
           .aim = 0.7},
          {.group = "storage",
           .name = "reading all sidecars on 2 cores",
           .value = reading.ours,
           .floor = reading.floor,
           .unit = "s",
           .floor_name = "openat, read, close on 2 threads",
           .must = 1.2,
           .aim = 1.05},
          {.group = "storage",
           .name = "memory of listing and reading",
           .value = memory,
           .unit = "MiB",
           .must = 64,
           .aim = 16}};
}

}  // namespace artcache::bench
