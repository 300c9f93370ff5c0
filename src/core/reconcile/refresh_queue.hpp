// SPDX-License-Identifier: Apache-2.0
// Entries that were read after their time, waiting to be read anew.
#pragma once

#include <artcache/file_id.hpp>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <stop_token>
#include <unordered_set>
#include <vector>

namespace artcache::reconcile {

/// Safe to call from any thread. An id is in it once.
class RefreshQueue {
 public:
  explicit RefreshQueue(std::size_t most) : most_(most) {}

  /// False when there is no room.
  bool offer(const FileId& id) {
    const std::scoped_lock held(mutex_);
    if (waiting_.contains(id)) return true;
    if (order_.size() >= most_) return false;
    waiting_.insert(id);
    order_.push_back(id);
    filled_.notify_one();
    return true;
  }

  /// Up to `many`, in the order they came; waits for the first one, not longer than `patience`.
  std::vector<FileId> take(std::size_t many, std::chrono::nanoseconds patience,
                           const std::stop_token& stop) {
    std::unique_lock held(mutex_);
    filled_.wait_for(held, stop, patience, [this] { return !order_.empty(); });
    std::vector<FileId> taken;
    while (!order_.empty() && taken.size() < many) {
      taken.push_back(order_.front());
      waiting_.erase(order_.front());
      order_.pop_front();
    }
    return taken;
  }

  [[nodiscard]] std::size_t size() const {
    const std::scoped_lock held(mutex_);
    return order_.size();
  }

 private:
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::condition_variable_any filled_;
  std::deque<FileId> order_;            // guarded by mutex_
  std::unordered_set<FileId> waiting_;  // guarded by mutex_
};

}  // namespace artcache::reconcile
