// SPDX-License-Identifier: Apache-2.0
// Uploads, against the writes to disk and the commit that no upload can do without.
#include <fcntl.h>
#include <unistd.h>

#include <artcache/backends.hpp>
#include <artcache/file_service.hpp>
#include <artcache/lock_manager.hpp>
#include <atomic>
#include <filesystem>
#include <thread>

#include "bench/bench.hpp"
#include "bench/sample_store.hpp"

namespace artcache::bench {
namespace {

constexpr int kRounds = 3;
constexpr unsigned kThreads = 8;
constexpr int kUploads = 1000;
constexpr std::size_t kBytes = 10'000, kSidecarBytes = 900;

void in_threads(const std::function<void(int)>& work) {
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      for (int n = next++; n < kUploads; n = next++) work(n);
    });
  for (std::thread& thread : threads) thread.join();
}

/// One file, durable under its name.
void write_bare(int folder, const std::string& name, const std::string& bytes) {
  const std::string staged = ".tmp_" + name;
  const int fd = ::openat(folder, staged.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  const bool done = fd >= 0 && ::write(fd, bytes.data(), bytes.size()) > 0 && ::fsync(fd) == 0 &&
                    ::close(fd) == 0 &&
                    ::renameat(folder, staged.c_str(), folder, name.c_str()) == 0 &&
                    ::fsync(folder) == 0;
  if (!done) give_up("writing a file failed");
}

struct Place {
  explicit Place(const std::string& folder)
      : path(folder),
        storage(must(Backends::builtin().open_storage(
            must(Url::parse("file://" + folder + "/store?create=on")), {}, {}))),
        index(must(Backends::builtin().open_index(
            must(Url::parse("sqlite://" + folder + "/index.db")), {}, {}))),
        locks(must(make_lock_manager(*index->locks(), {}))) {}

  std::string path;
  std::unique_ptr<StorageBackend> storage;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<LockManager> locks;
};

EntryChange new_change() {
  FileEntry entry;
  entry.id = FileId::mint(system_clock());
  entry.original_filename = "plan.txt";
  entry.storage_filename = to_string(entry.id);
  entry.created_at = entry.updated_at = system_clock().now();
  entry.created_by_id = entry.created_by_username = "a.smith";
  EntryChange change;
  change.id = entry.id;
  change.put = prepare(std::move(entry));
  return change;
}

}  // namespace

std::vector<Figure> files_figures(const Options& options) {
  const std::string root = options.folder + "/artcache-bench-files";
  std::filesystem::remove_all(root);
  std::filesystem::create_directories(root + "/floor");
  Place ours(root), floor(root + "/floor");
  FileService files(*ours.storage, *ours.index, *ours.locks, {}, {});
  must(files.recover({}));
  const std::string bytes(kBytes, 'x'), sidecar(kSidecarBytes, 's');
  const int folder = ::open((root + "/floor/store").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::atomic<int> number{0};
  const Pair pair = best_of(
      kRounds,
      [&] {
        in_threads([&](int) {
          MemorySource source(bytes);
          UploadRequest request;
          request.original_filename = "plan.txt";
          request.created_by_id = request.created_by_username = "a.smith";
          request.size = kBytes;
          must(files.upload(request, source, {}));
        });
      },
      [&] {
        in_threads([&](int) {
          const std::string name = std::to_string(number++);
          write_bare(folder, name, bytes);
          write_bare(folder, name + ".attr.json", sidecar);
          const EntryChange change = new_change();
          must(floor.index->apply({.changes = {&change, 1}}, {}));
        });
      });
  ::close(folder);
  std::vector<Figure> figures;
  figures.push_back({.group = "files",
                     .name = "1,000 uploads of 10 KB by 8 threads",
                     .value = pair.ours,
                     .floor = pair.floor,
                     .unit = "s",
                     .floor_name = "write, fsync file and folder, twice; one durable commit each",
                     .must = 2.5,
                     .aim = 1.5});
  std::filesystem::remove_all(root);
  return figures;
}

}  // namespace artcache::bench
