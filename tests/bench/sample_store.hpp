// SPDX-License-Identifier: Apache-2.0
// A sample store on disk, made once and kept for the next run.
#pragma once

#include <artcache/storage_backend.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace artcache::bench {

class SampleStore {
 public:
  enum class Data : std::uint8_t { without, with };
  /// Makes `folder`/artcache-bench-<files> unless it is there.
  SampleStore(const std::string& folder, std::uint64_t files, Data data = Data::without);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] StorageBackend& storage() const { return *storage_; }
  [[nodiscard]] std::vector<std::string> paths() const;
  [[nodiscard]] std::vector<std::string> read_all() const;
  /// Looks at all and reads it, so that it is in memory for what comes next. Some machines give
  /// back within half a minute what was idle.
  void warm() const;

 private:
  std::string path_;
  std::unique_ptr<StorageBackend> storage_;
};

}  // namespace artcache::bench
