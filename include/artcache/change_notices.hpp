// SPDX-License-Identifier: Apache-2.0
// What a storage tells of changes as they happen.
#pragma once

#include <artcache/call.hpp>
#include <artcache/export.hpp>
#include <artcache/result.hpp>
#include <cstddef>
#include <string>
#include <vector>

namespace artcache {

/// What has changed since the batch before. Each path and folder is in it once, in order.
struct ChangeBatch {
  std::vector<std::string> sidecars = {};  ///< were put, changed or removed: look which
  /// All that is below these may have changed: new, moved or gone, or its notices were lost. ""
  /// is the whole storage.
  std::vector<std::string> folders = {};
  bool overflowed = false;  ///< notices were lost; what is in `folders` makes up for them

  [[nodiscard]] bool empty() const { return sidecars.empty() && folders.empty(); }
};

struct WatchLimits {
  /// Paths held until somebody asks: beyond it they become their folders, and then "".
  std::size_t paths_most = 10'000;
};

/// The changes of one storage from the moment it was made; what was made before is for a listing
/// that begins afterwards. Names that no listing shows are not told of. For one thread at a time.
class ARTCACHE_EXPORT ChangeNotices {
 public:
  virtual ~ChangeNotices() = default;

  /// Waits until something has changed. What it returns is told once; where much has changed, the
  /// rest is the next batch's.
  /// Errors: not_found (the root is gone), no_space (too many folders to be watched; the message
  /// names the limit), unavailable, timed_out, cancelled.
  virtual Result<ChangeBatch> wait(const Call& call) = 0;
};

}  // namespace artcache
