// SPDX-License-Identifier: Apache-2.0
#include "http/pool.hpp"

#include <algorithm>
#include <utility>

namespace artcache::http {

Pool::Pool(std::size_t threads, std::size_t queue_most)
    : threads_most_(std::max<std::size_t>(threads, 1)), queue_most_(queue_most) {}

Pool::~Pool() { stop(); }

bool Pool::submit(Job job) {
  {
    const std::scoped_lock held(mutex_);
    const std::size_t free = idle_ + threads_most_ - threads_.size();
    if (stopped_ || queue_.size() >= queue_most_ + free) return false;
    queue_.push_back(std::move(job));
    start_one_if_needed();
  }
  changed_.notify_one();
  return true;
}

void Pool::resume(Job job) {
  {
    const std::scoped_lock held(mutex_);
    queue_.push_front(std::move(job));
    start_one_if_needed();
  }
  changed_.notify_one();
}

void Pool::stop() {
  std::vector<std::thread> threads;
  {
    const std::scoped_lock held(mutex_);
    stopped_ = true;
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

Pool::Status Pool::status() const {
  const std::scoped_lock held(mutex_);
  return {.running = threads_.size() - idle_, .queued = queue_.size()};
}

void Pool::start_one_if_needed() {
  if (queue_.size() > idle_ && threads_.size() < threads_most_ && !stopped_)
    threads_.emplace_back([this] { work(); });
}

void Pool::work() {
  std::unique_lock held(mutex_);
  for (;;) {
    ++idle_;
    changed_.wait(held, [this] { return stopped_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    held.unlock();
    job();
    job = nullptr;  // what it holds is let go outside of the lock
    held.lock();
  }
}

}  // namespace artcache::http
