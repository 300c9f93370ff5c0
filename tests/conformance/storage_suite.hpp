// SPDX-License-Identifier: Apache-2.0
// What every storage backend is tested with: fresh storages of each kind, and short words for
// what the tests do over and over. A backend of your own is tested by naming its address in
// ARTCACHE_TEST_STORAGES (several with commas between them); a unique part is put behind the path.
#pragma once

#include <artcache/storage_backend.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::test {

/// One fresh, empty storage and what it is called in messages.
struct Subject {
  std::string name;
  StorageBackend& storage;
};

/// Runs `body` for mem:, for file: on a new folder (with openat2 and without), and for what
/// ARTCACHE_TEST_STORAGES names.
void for_each_storage(const std::function<void(Subject&)>& body);

/// The addresses of ARTCACHE_TEST_STORAGES, each with a part that makes it an empty storage.
std::vector<std::string> named_storages();

/// What a listing found: how often each path came, the stamps, and how it was handed over.
struct Listed {
  Result<void> result;
  std::map<std::string, int> times;
  std::map<std::string, Stamp> stamps;
  std::map<std::string, Error> problems;
  std::size_t largest_batch = 0;

  [[nodiscard]] std::vector<std::string> paths() const;
};
Listed list(StorageBackend& storage, const ListRequest& request = {}, const Call& call = {});
/// The same, data files too.
Listed list_all(StorageBackend& storage, std::string folder = {});

/// Fails the test unless the file stands there afterwards.
Stamp put(StorageBackend& storage, std::string path, std::string_view bytes);

/// The bytes of a file, read through a buffer of `step` bytes.
Result<std::string> content(StorageBackend& storage, std::string_view path, ByteRange range = {},
                            std::size_t step = 64 * 1024);

/// Puts `count` small files called name(0), name(1), … with several threads.
void fill(StorageBackend& storage, std::size_t count,
          const std::function<std::string(std::size_t)>& name);

/// What read_sidecars() handed over, by index.
struct SidecarsRead {
  Result<void> result;
  std::vector<int> times;
  std::vector<Result<std::string>> bytes;
  std::vector<Stamp> stamps;
};
SidecarsRead read_sidecars(StorageBackend& storage, const std::vector<std::string>& paths,
                           std::uint64_t size_most = 65536, const Call& call = {});

/// A call whose deadline has passed, and one that somebody stopped.
Call late_call();
Call stopped_call();

/// Bytes that differ from offset to offset and from seed to seed.
std::string sample_bytes(std::size_t size, unsigned seed = 0);

}  // namespace artcache::test
