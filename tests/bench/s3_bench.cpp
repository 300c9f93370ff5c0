// SPDX-License-Identifier: Apache-2.0
// A bucket against a plain libcurl loop over the same keys, and what an unchanged one is asked.
#include <curl/curl.h>

#include <algorithm>
#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <atomic>
#include <memory>
#include <thread>

#include "backends/s3/place.hpp"
#include "bench/bench.hpp"
#include "bench/sample_store.hpp"
#include "bench/servers.hpp"
#include "util/hash.hpp"

namespace artcache::bench {
namespace {

constexpr std::uint64_t kFilesMost = 20'000;  // each takes a PUT first
constexpr unsigned kWriters = 8;
constexpr int kRounds = 3;
constexpr std::size_t kAtOnce = 2000;  // sidecars in one call, as a rebuild reads them

/// Counts what buckets are asked.
class Counter final : public Metrics {
 public:
  void count(std::string_view, Labels labels, double) noexcept override {
    for (const MetricLabel& label : labels) {
      if (label.value == "GET") ++gets;
      if (label.value == "LIST") ++lists;
    }
  }
  void gauge(std::string_view, Labels, double) noexcept override {}
  void observe(std::string_view, Labels, double) noexcept override {}
  std::atomic<std::uint64_t> gets{0}, lists{0};
};

void fill(StorageBackend& bucket, const SampleStore& store, const std::vector<std::string>& paths) {
  const std::vector<std::string> bytes = store.read_all();
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < kWriters; ++t)
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < paths.size(); i = next++)
        must(bucket.put({paths[i]}, bytes[i], {}));
    });
}

void read_all(StorageBackend& bucket, const std::vector<std::string>& paths) {
  for (std::size_t at = 0; at < paths.size(); at += kAtOnce) {
    const std::size_t end = std::min(paths.size(), at + kAtOnce);
    const std::vector<std::string_view> some(paths.begin() + static_cast<std::ptrdiff_t>(at),
                                             paths.begin() + static_cast<std::ptrdiff_t>(end));
    must(bucket.read_sidecars(some, 1 << 20,
                              [](std::size_t, Result<SidecarBytes> read) -> Result<void> {
                                if (!read) return std::move(read).error();
                                return {};
                              },
                              {}));
  }
}

/// The least that reading can be: one multi handle, connections kept, headers signed beforehand.
class RawLoop {
 public:
  RawLoop(const s3::Options& options, const std::vector<std::string>& paths)
      : target_(options.target) {
    const std::string date = s3::amz_date(system_clock().now());
    std::string hash;
    util::append_hex(hash, util::sha256({}));
    for (const std::string& path : paths) {
      const std::string key =
          target_.base_path + "/" + s3::encode(options.prefix + path, s3::Slash::kept);
      const s3::Headers headers{
          {"host", target_.host}, {"x-amz-content-sha256", hash}, {"x-amz-date", date}};
      const std::string proof = s3::authorization({"GET", key, "", headers, hash},
                                                  target_.credentials, target_.region, date);
      One one{target_.origin + key, nullptr};
      for (const std::string& line : {"x-amz-content-sha256: " + hash, "x-amz-date: " + date,
                                      "authorization: " + proof, std::string("accept:")})
        one.headers = curl_slist_append(one.headers, line.c_str());
      requests_.push_back(std::move(one));
    }
  }
  ~RawLoop() {
    for (const One& one : requests_) curl_slist_free_all(one.headers);
  }
  RawLoop(const RawLoop&) = delete;
  RawLoop& operator=(const RawLoop&) = delete;

  void run();

 private:
  struct One {
    std::string url;
    curl_slist* headers;
  };
  static std::size_t swallow(char*, std::size_t, std::size_t size, void* bytes) {
    *static_cast<std::size_t*>(bytes) += size;
    return size;
  }
  void start(CURLM* multi, CURL* easy, const One& one, std::size_t& bytes) {
    curl_easy_setopt(easy, CURLOPT_URL, one.url.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, one.headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &RawLoop::swallow);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &bytes);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_multi_add_handle(multi, easy);
  }

  const s3::Target target_;
  std::vector<One> requests_;
};

void RawLoop::run() {
  CURLM* const multi = curl_multi_init();
  std::vector<CURL*> handles;
  std::size_t next = 0, bytes = 0;
  for (; next < std::min(target_.concurrency, requests_.size()); ++next) {
    handles.push_back(curl_easy_init());
    start(multi, handles.back(), requests_[next], bytes);
  }
  int running = 1;
  while (running > 0) {
    curl_multi_perform(multi, &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      long status = 0;
      CURL* const easy = message->easy_handle;
      curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
      if (status != 200) give_up("the plain loop got HTTP " + std::to_string(status));
      curl_multi_remove_handle(multi, easy);
      if (next == requests_.size()) continue;
      start(multi, easy, requests_[next++], bytes);
      running = 1;
    }
    if (running > 0) curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
  }
  for (CURL* const easy : handles) curl_easy_cleanup(easy);
  curl_multi_cleanup(multi);
  if (bytes == 0) give_up("the plain loop read nothing");
}

Figure reading_figure(StorageBackend& bucket, const s3::Options& options,
                      const std::vector<std::string>& paths) {
  RawLoop raw(options, paths);
  const Pair best = best_of(
      kRounds, [&] { read_all(bucket, paths); }, [&] { raw.run(); });
  return {.group = "s3",
          .name = "reading " + std::to_string(paths.size()) + " sidecars",
          .value = best.ours,
          .floor = best.floor,
          .unit = "s",
          .floor_name = "a plain libcurl multi loop, as many at once, signed beforehand",
          .must = 1.25,
          .aim = 1.05};
}

/// Forked before anything big is in memory here; paths are kept for one batch only.
Figure memory_figure(const Url& url, std::size_t objects) {
  const double memory = peak_memory_of([&] {
    const auto bucket = must(Backends::builtin().open_storage(url, {}, {}));
    must(bucket->list({},
                      [&](const ListBatch& batch) -> Result<void> {
                        std::vector<std::string> paths;
                        for (const ListedFile& file : batch.files) paths.emplace_back(file.path);
                        read_all(*bucket, paths);
                        return {};
                      },
                      {}));
  });
  return {.group = "s3",
          .name = "memory of listing and reading " + std::to_string(objects),
          .value = memory,
          .unit = "MiB",
          .must = 256,
          .aim = 96};
}

/// What an incremental rebuild without change asks. Opening has put one object of its own.
std::vector<Figure> asked_figures(StorageBackend& bucket, Counter& counter, std::size_t objects) {
  const auto index = must(Backends::builtin().open_index(must(Url::parse("mem:")), {}, {}));
  const auto locks = must(make_lock_manager(*index->locks(), {}));
  CacheRebuildService service(bucket, *index, *locks, RebuildSettings{}, Deps{});
  must(service.rebuild_full({}, {}));
  const std::uint64_t gets = counter.gets, lists = counter.lists;
  must(service.rebuild_incremental({}, {}));
  return {{.group = "s3",
           .name = "GETs of an incremental rebuild without change",
           .value = static_cast<double>(counter.gets - gets)},
          {.group = "s3",
           .name = "LISTs of an incremental rebuild without change",
           .value = static_cast<double>(counter.lists - lists),
           .floor = static_cast<double>((objects + 999) / 1000),
           .floor_name = "one for each 1,000 objects",
           .must = 1.1,
           .aim = 1}};
}

}  // namespace

std::vector<Figure> s3_figures(const Options& options) {
  const Servers servers("radosgw");
  if (!servers.running()) return {};
  std::string address = servers.value("ARTCACHE_TEST_S3");
  address.insert(address.find("//") + 2, servers.value("ARTCACHE_TEST_S3_ACCESS_KEY") + ":" +
                                             servers.value("ARTCACHE_TEST_S3_SECRET_KEY") + "@");
  address.insert(address.find('?'), "/bench");
  const Url url = must(Url::parse(address));
  Counter counter;
  Deps deps;
  deps.metrics = &counter;
  const auto bucket = must(Backends::builtin().open_storage(url, deps, {}));
  const SampleStore store(options.folder, std::min(options.files, kFilesMost));
  const std::vector<std::string> paths = store.paths();
  fill(*bucket, store, paths);
  std::vector<Figure> figures{reading_figure(*bucket, must(s3::parse_address(url)), paths),
                              memory_figure(url, paths.size())};
  for (Figure& figure : asked_figures(*bucket, counter, paths.size() + 1))
    figures.push_back(std::move(figure));
  return figures;
}

}  // namespace artcache::bench
