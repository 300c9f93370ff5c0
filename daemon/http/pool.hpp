// SPDX-License-Identifier: Apache-2.0
// The threads on which handlers run: as many as are allowed, and a queue that ends somewhere.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace artcache::http {

/// Safe to call from any thread. Threads are started when they are needed.
class Pool {
 public:
  using Job = std::function<void()>;
  Pool(std::size_t threads, std::size_t queue_most);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// False when the queue is full. A job must not throw.
  bool submit(Job job);
  /// For a job that continues what was taken already: goes first, and is never refused.
  void resume(Job job);
  /// Does every job that is left, and ends the threads.
  void stop();

  struct Status {
    std::size_t running = 0, queued = 0;
  };
  [[nodiscard]] Status status() const;

 private:
  void work();
  void start_one_if_needed();

  const std::size_t threads_most_, queue_most_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::deque<Job> queue_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopped_ = false;
};

}  // namespace artcache::http
