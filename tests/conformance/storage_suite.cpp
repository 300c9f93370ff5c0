// SPDX-License-Identifier: Apache-2.0
#include "conformance/storage_suite.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <artcache/backends.hpp>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "backends/file/storage.hpp"
#include "support/temp_dir.hpp"
#include "util/random.hpp"

namespace artcache::test {
namespace {

std::string unique_part() {
  std::array<std::uint8_t, 8> random{};
  util::fill_random(random);
  std::string text = "run-";
  for (const std::uint8_t byte : random) text += "0123456789abcdef"[byte & 0x0f];
  return text;
}

void run(const std::string& name, Result<std::unique_ptr<StorageBackend>> opened,
         const std::function<void(Subject&)>& body) {
  CAPTURE(name);
  INFO("open: ", opened ? std::string("ok") : to_string(opened.error()));
  REQUIRE(opened.has_value());
  Subject subject{name, **opened};
  body(subject);
}

}  // namespace

std::vector<std::string> named_storages() {
  std::vector<std::string> urls;
  const char* const text = std::getenv("ARTCACHE_TEST_STORAGES");  // NOLINT: before any thread
  std::string_view rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    std::string url(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    // Left-overs of an earlier run must not count: every storage is a folder of its own.
    if (url.find('/') != std::string::npos)
      url.insert(std::min(url.find('?'), url.size()), "/" + unique_part());
    urls.push_back(std::move(url));
  }
  return urls;
}

void for_each_storage(const std::function<void(Subject&)>& body) {
  const Backends backends = Backends::builtin();
  const TempDir dir;
  std::vector<std::string> urls{"mem:",
                                "file://" + (dir / "one") + "?create=on&sync=off&threads=4"};
  for (std::string& url : named_storages()) urls.push_back(std::move(url));
  for (const std::string& text : urls) {
    const auto url = Url::parse(text);
    REQUIRE(url.has_value());
    run(url->redacted(), backends.open_storage(*url, {}, {}), body);
  }
  file::Options options;
  options.root = dir / "two";
  options.missing = file::MissingRoot::made;
  options.sync = file::Sync::off;
  options.resolve = file::Resolve::components;
  options.description = "file: without openat2";
  run(options.description, file::open_storage(options, {}, {}), body);
}

std::vector<std::string> Listed::paths() const {
  std::vector<std::string> all;
  for (const auto& [path, count] : times) all.push_back(path);
  return all;
}

Listed list(StorageBackend& storage, const ListRequest& request, const Call& call) {
  Listed listed;
  std::mutex mutex;
  listed.result = storage.list(
      request,
      [&](const ListBatch& batch) {
        const std::scoped_lock guard(mutex);
        listed.largest_batch = std::max(listed.largest_batch, batch.files.size());
        for (const ListedFile& file : batch.files) {
          ++listed.times[std::string(file.path)];
          listed.stamps[std::string(file.path)] = file.stamp;
        }
        for (const ListProblem& problem : batch.problems)
          listed.problems.insert({problem.path, problem.error});
        return Result<void>();
      },
      call);
  return listed;
}

Listed list_all(StorageBackend& storage, std::string folder) {
  return list(storage, {std::move(folder), ListWhat::all});
}

Stamp put(StorageBackend& storage, std::string path, std::string_view bytes) {
  auto stamp = storage.put({std::move(path), PutMode::replace}, bytes, {});
  INFO("put: ", stamp ? std::string("ok") : to_string(stamp.error()));
  REQUIRE(stamp.has_value());
  return *stamp;
}

Result<std::string> content(StorageBackend& storage, std::string_view path, ByteRange range,
                            std::size_t step) {
  auto reader = storage.open(path, range, {});
  if (!reader) return reader.error();
  std::string all;
  std::vector<std::byte> buffer(step);
  for (;;) {
    const auto got = (*reader)->read(buffer, {});
    if (!got) return got.error();
    if (*got == 0) return all;
    all.append(reinterpret_cast<const char*>(buffer.data()), *got);
  }
}

void fill(StorageBackend& storage, std::size_t count,
          const std::function<std::string(std::size_t)>& name) {
  std::atomic<std::size_t> next{0}, failures{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&] {
        for (std::size_t i = next++; i < count; i = next++)
          if (!storage.put({name(i), PutMode::replace}, std::to_string(i), {})) ++failures;
      });
  }
  REQUIRE(failures == 0);
}

SidecarsRead read_sidecars(StorageBackend& storage, const std::vector<std::string>& paths,
                           std::uint64_t size_most, const Call& call) {
  const std::vector<std::string_view> views(paths.begin(), paths.end());
  SidecarsRead read;
  read.times.resize(paths.size());
  read.stamps.resize(paths.size());
  read.bytes.assign(paths.size(), Error{Errc::internal, "never handed over"});
  std::mutex mutex;
  read.result = storage.read_sidecars(
      views, size_most,
      [&](std::size_t index, Result<SidecarBytes> file) {
        const std::scoped_lock guard(mutex);
        REQUIRE(index < paths.size());
        ++read.times[index];
        if (file) read.stamps[index] = file->stamp;
        read.bytes[index] = file ? Result<std::string>(std::string(file->bytes))
                                 : Result<std::string>(std::move(file).error());
        return Result<void>();
      },
      call);
  return read;
}

Call late_call() {
  Call call;
  call.deadline = Clock::SteadyTime::min();
  return call;
}

Call stopped_call() {
  std::stop_source source;
  source.request_stop();
  Call call;
  call.stop = source.get_token();
  return call;
}

std::string sample_bytes(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed * 2654435761U + 1;
  for (char& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace artcache::test
