// SPDX-License-Identifier: Apache-2.0
#include "backends/file/exchange.hpp"

#include <utility>

namespace artcache::file {

Exchange::Exchange(std::size_t most, Task first) : most_(most) {
  tasks_.push_back(std::move(first));
  waiting_tasks_ = 1;
}

bool Exchange::offer(Task& task) {
  {
    const std::scoped_lock guard(mutex_);
    if (tasks_.size() >= most_) return false;
    tasks_.push_back(std::move(task));
    waiting_tasks_.store(tasks_.size(), std::memory_order_relaxed);
    if (idle_ == 0) return true;
  }
  changed_.notify_one();
  return true;
}

std::optional<Task> Exchange::take() {
  std::unique_lock lock(mutex_);
  ++idle_;
  changed_.wait(lock, [&] { return !tasks_.empty() || busy_ == 0 || stopped_; });
  --idle_;
  if (tasks_.empty() || stopped_) return std::nullopt;
  // The oldest stands nearest to the root: most is below it.
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  waiting_tasks_.store(tasks_.size(), std::memory_order_relaxed);
  ++busy_;
  return task;
}

void Exchange::done() {
  {
    const std::scoped_lock guard(mutex_);
    if (--busy_ != 0 || !tasks_.empty()) return;
  }
  changed_.notify_all();
}

void Exchange::stop(Error error) {
  {
    const std::scoped_lock guard(mutex_);
    if (!error_) error_ = std::move(error);
  }
  stop();
}

void Exchange::stop() {
  {
    const std::scoped_lock guard(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

Result<void> Exchange::outcome() && {
  const std::scoped_lock guard(mutex_);
  if (error_) return std::move(*error_);
  return {};
}

}  // namespace artcache::file
