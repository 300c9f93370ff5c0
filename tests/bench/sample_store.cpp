// SPDX-License-Identifier: Apache-2.0
#include "bench/sample_store.hpp"

#include <artcache/backends.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "bench/bench.hpp"
#include "cli/sample.hpp"

namespace artcache::bench {

SampleStore::SampleStore(const std::string& folder, std::uint64_t files, Data data)
    : path_(folder + "/artcache-bench-" + std::to_string(files) +
            (data == Data::with ? "-data" : "")) {
  const std::string done = path_ + ".made";
  const Url url = must(Url::parse("file://" + path_ + "?create=on&sync=off&threads=2"));
  storage_ = must(Backends::builtin().open_storage(url, {}, {}));
  if (std::filesystem::exists(done)) return;
  std::fprintf(stderr, "making %llu sample files in %s ...\n",
               static_cast<unsigned long long>(files), path_.c_str());
  must(cli::make_sample(*storage_, {.files = files, .seed = 1, .with_data = data == Data::with}, {},
                        {}));
  std::ofstream(done) << files;
}

std::vector<std::string> SampleStore::paths() const {
  std::vector<std::string> paths;
  std::mutex mutex;
  must(storage_->list({},
                      [&](const ListBatch& batch) -> Result<void> {
                        const std::scoped_lock guard(mutex);
                        for (const ListedFile& file : batch.files) paths.emplace_back(file.path);
                        return {};
                      },
                      {}));
  return paths;
}

std::vector<std::string> SampleStore::read_all() const {
  const std::vector<std::string> names = paths();
  const std::vector<std::string_view> views(names.begin(), names.end());
  std::vector<std::string> bytes(names.size());
  must(storage_->read_sidecars(views, 1 << 20,
                               [&](std::size_t index, Result<SidecarBytes> read) -> Result<void> {
                                 if (!read) return std::move(read).error();
                                 bytes[index] = read->bytes;
                                 return {};
                               },
                               {}));
  return bytes;
}

void SampleStore::warm() const {
  const auto read = [&](const ListBatch& batch) -> Result<void> {
    std::vector<std::string_view> paths;
    for (const ListedFile& file : batch.files)
      if (is_sidecar_path(file.path)) paths.push_back(file.path);
    return storage_->read_sidecars(
        paths, 1 << 20, [](std::size_t, const Result<SidecarBytes>&) { return Result<void>(); },
        {});
  };
  must(storage_->list({.what = ListWhat::all, .stamps = ListStamps::wanted}, read, {}));
}

}  // namespace artcache::bench
