// SPDX-License-Identifier: Apache-2.0
// Has keys read again and again on a thread that nobody else waits for.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <thread>
#include <utility>

#include "util/mutex.hpp"

namespace artcache::auth {

/// Safe to use from any thread.
class KeyWatch {
 public:
  using Time = std::chrono::milliseconds;
  /// `read` may hang, with the file system that the keys are on, and must not throw.
  explicit KeyWatch(std::function<void()> read, Time every = Time(10'000))
      : read_(std::move(read)), every_(every) {}
  /// Waits for a read that is under way.
  ~KeyWatch();
  KeyWatch(const KeyWatch&) = delete;
  KeyWatch& operator=(const KeyWatch&) = delete;

  /// Begins to read every so often. Once; before that nothing is read.
  void start();
  /// Has them read and waits for the end of it, for `patience` at most; not at all while a read
  /// goes on that somebody has waited for in vain.
  void read_now(Time patience);

 private:
  void run(const std::stop_token& stop);

  const std::function<void()> read_;
  const Time every_;
  util::Mutex mutex_;
  util::CondVar changed_;
  // Reads are numbered from 1.
  std::uint64_t wanted_ ARTCACHE_GUARDED_BY(mutex_) = 0;
  std::uint64_t begun_ ARTCACHE_GUARDED_BY(mutex_) = 0;
  std::uint64_t ended_ ARTCACHE_GUARDED_BY(mutex_) = 0;
  bool hangs_ ARTCACHE_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace artcache::auth
