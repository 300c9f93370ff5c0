// SPDX-License-Identifier: Apache-2.0
// Which certificates a client trusts, as a file says that may be replaced while it is used.
#pragma once

#include <artcache/result.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "util/mutex.hpp"

namespace artcache::web {

/// The file as it is. Errors: invalid_argument (it cannot be read, or is no list of certificates in
/// PEM, as one that is written just now).
Result<std::string> read_authorities(const std::string& path);

/// Looks at the file each time; what cannot be used leaves in force what was there before. Safe to
/// use from any thread.
class Authorities {
 public:
  /// Empty for those of the system.
  explicit Authorities(std::string path) : path_(std::move(path)) {}
  /// Nothing for those of the system, and while the file never could be used.
  std::shared_ptr<const std::string> now();

 private:
  /// Another one after every change.
  struct Mark {
    std::filesystem::file_time_type written;
    std::uintmax_t size = 0;
    friend bool operator==(const Mark&, const Mark&) = default;
  };
  [[nodiscard]] std::optional<Mark> mark() const;

  const std::string path_;
  util::Mutex mutex_;
  std::optional<Mark> seen_ ARTCACHE_GUARDED_BY(mutex_);
  std::shared_ptr<const std::string> used_ ARTCACHE_GUARDED_BY(mutex_);
};

}  // namespace artcache::web
