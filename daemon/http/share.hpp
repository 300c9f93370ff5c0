// SPDX-License-Identifier: Apache-2.0
// A part of something of which there is only so much for all.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace artcache::http {

/// Given back in the end.
class Share {
 public:
  explicit Share(std::atomic<std::size_t>& all) : all_(all) {}
  ~Share() { all_ -= mine_; }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  /// Never less than before. Returns what all have then.
  std::size_t grow_to(std::size_t size) {
    const std::size_t more = size - std::exchange(mine_, size);
    return all_ += more;
  }

 private:
  std::atomic<std::size_t>& all_;
  std::size_t mine_ = 0;
};

}  // namespace artcache::http
