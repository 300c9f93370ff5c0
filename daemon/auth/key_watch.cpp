// SPDX-License-Identifier: Apache-2.0
#include "auth/key_watch.hpp"

#include <algorithm>

namespace artcache::auth {
namespace {

/// What is left until then, as who waits needs it.
KeyWatch::Time left_until(std::chrono::steady_clock::time_point time) {
  return std::chrono::ceil<KeyWatch::Time>(time - std::chrono::steady_clock::now());
}

}  // namespace

KeyWatch::~KeyWatch() {
  thread_.request_stop();
  const util::MutexLock held(mutex_);
  changed_.notify_all();
}

void KeyWatch::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void KeyWatch::run(const std::stop_token& stop) {
  for (;;) {
    {
      const util::MutexLock held(mutex_);
      const auto next = std::chrono::steady_clock::now() + every_;
      for (Time left = every_; !stop.stop_requested() && wanted_ <= begun_ && left.count() > 0;
           left = left_until(next))
        changed_.wait_for(mutex_, left);
      if (stop.stop_requested()) return;
      ++begun_;
    }
    read_();
    const util::MutexLock held(mutex_);
    ended_ = begun_;
    hangs_ = false;
    changed_.notify_all();
  }
}

void KeyWatch::read_now(Time patience) {
  const util::MutexLock held(mutex_);
  // That which is under way may have read already what has changed since.
  const std::uint64_t mine = begun_ + 1;
  wanted_ = std::max(wanted_, mine);
  changed_.notify_all();
  const auto until = std::chrono::steady_clock::now() + patience;
  for (Time left = patience; ended_ < mine && !hangs_ && left.count() > 0; left = left_until(until))
    changed_.wait_for(mutex_, left);
  if (ended_ < mine) hangs_ = true;
}

}  // namespace artcache::auth
