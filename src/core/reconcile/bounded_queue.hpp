// SPDX-License-Identifier: Apache-2.0
// What passes between two stages of a walk. The limit is what bounds its memory.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <span>
#include <vector>

#include "util/mutex.hpp"

namespace artcache::reconcile {

/// Safe to call from any thread. Takers, where there are several, all ask for the same number.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t most) : most_(most) {}

  /// Waits until there is some room; a batch may pass the limit by its own length. False once the
  /// queue has been abandoned: nobody takes any more.
  bool push(std::vector<T> batch) {
    const util::MutexLock lock(mutex_);
    while (size() >= most_ && !abandoned_) room_.wait(mutex_);
    if (abandoned_) return false;
    std::ranges::move(batch, std::back_inserter(items_));
    // A taker that waits for many is not woken for each of them.
    if (size() >= wanted_) filled_.notify_one();
    return true;
  }
  bool push_one(T item) {
    std::vector<T> batch;
    batch.push_back(std::move(item));
    return push(std::move(batch));
  }

  /// Up to `many` items: as soon as there are so many, or nothing more comes, or there is one and
  /// `patience` is over. Empty when there is none after it: see ended().
  std::vector<T> pop(std::size_t many, std::chrono::nanoseconds patience) {
    const util::MutexLock lock(mutex_);
    wanted_ = std::min(many, most_);
    if (size() < wanted_ && !ended_) filled_.wait_for(mutex_, patience);
    std::vector<T> taken;
    if (taken_ == 0 && size() <= many) {
      taken.swap(items_);
    } else {
      const auto begin = items_.begin() + static_cast<std::ptrdiff_t>(taken_);
      const auto end = begin + static_cast<std::ptrdiff_t>(std::min(many, size()));
      taken.assign(std::move_iterator(begin), std::move_iterator(end));
      taken_ += taken.size();
      close_up();
    }
    if (size() >= wanted_) filled_.notify_one();  // the next taker
    room_.notify_all();
    return taken;
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
    taken_ = 0;
    room_.notify_all();
    filled_.notify_all();
  }
  /// Nothing is left and nothing more comes.
  [[nodiscard]] bool ended() {
    const util::MutexLock lock(mutex_);
    return ended_ && size() == 0;
  }

 private:
  [[nodiscard]] std::size_t size() const ARTCACHE_REQUIRES(mutex_) {
    return items_.size() - taken_;
  }
  /// Those that stay move only when they are fewer than those that went.
  void close_up() ARTCACHE_REQUIRES(mutex_) {
    if (taken_ * 2 < items_.size()) return;
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
  }

  const std::size_t most_;
  util::Mutex mutex_;
  util::CondVar room_, filled_;
  std::vector<T> items_ ARTCACHE_GUARDED_BY(mutex_);
  std::size_t taken_ ARTCACHE_GUARDED_BY(mutex_) = 0;  // of items_, from its beginning
  std::size_t wanted_ ARTCACHE_GUARDED_BY(mutex_) = 1;
  bool ended_ ARTCACHE_GUARDED_BY(mutex_) = false;
  bool abandoned_ ARTCACHE_GUARDED_BY(mutex_) = false;
};

}  // namespace artcache::reconcile
