// SPDX-License-Identifier: Apache-2.0
// What passes between two stages of a walk. The limit is what bounds its memory.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "util/mutex.hpp"

namespace artcache::reconcile {

/// Safe to call from any thread.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t most) : most_(most) {}

  /// Waits for room. False once the queue has been abandoned: nobody takes any more.
  bool push(T item) {
    const util::MutexLock lock(mutex_);
    while (items_.size() >= most_ && !abandoned_) room_.wait(mutex_);
    if (abandoned_) return false;
    items_.push_back(std::move(item));
    filled_.notify_one();
    return true;
  }

  /// Up to `many` items: as soon as there are so many, or nothing more comes, or `patience` is
  /// over and there is one. Empty once everything has been taken after end().
  std::vector<T> pop_many(std::size_t many, std::chrono::nanoseconds patience) {
    const util::MutexLock lock(mutex_);
    if (items_.size() < many && !ended_ && !abandoned_) filled_.wait_for(mutex_, patience);
    while (items_.empty() && !ended_ && !abandoned_) filled_.wait(mutex_);
    if (items_.size() < many && !ended_ && !abandoned_) filled_.wait_for(mutex_, patience);
    std::vector<T> taken;
    while (!items_.empty() && taken.size() < many && !abandoned_) {
      taken.push_back(std::move(items_.front()));
      items_.pop_front();
    }
    room_.notify_all();
    return taken;
  }

  /// The next item; nothing when there is none after `patience`, or none will come: see ended().
  std::optional<T> pop(std::chrono::nanoseconds patience) {
    const util::MutexLock lock(mutex_);
    if (items_.empty() && !ended_) filled_.wait_for(mutex_, patience);
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    room_.notify_all();
    return item;
  }

  /// Nothing more comes.
  void end() {
    const util::MutexLock lock(mutex_);
    ended_ = true;
    filled_.notify_all();
  }
  /// Nobody takes any more: whoever waits returns.
  void abandon() {
    const util::MutexLock lock(mutex_);
    abandoned_ = ended_ = true;
    items_.clear();
    room_.notify_all();
    filled_.notify_all();
  }
  /// Nothing is left and nothing more comes.
  [[nodiscard]] bool ended() {
    const util::MutexLock lock(mutex_);
    return ended_ && items_.empty();
  }

 private:
  const std::size_t most_;
  util::Mutex mutex_;
  util::CondVar room_, filled_;
  std::deque<T> items_ ARTCACHE_GUARDED_BY(mutex_);
  bool ended_ ARTCACHE_GUARDED_BY(mutex_) = false;
  bool abandoned_ ARTCACHE_GUARDED_BY(mutex_) = false;
};

}  // namespace artcache::reconcile
