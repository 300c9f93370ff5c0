// SPDX-License-Identifier: Apache-2.0
#include "auth/key_watch.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "util/mutex.hpp"

namespace artcache::auth {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

/// How long the end of a KeyWatch waits for its thread.
constexpr KeyWatch::Time kLeaving{1000};

/// What is left until then, as who waits needs it.
KeyWatch::Time left_until(SteadyTime time) {
  return std::chrono::ceil<KeyWatch::Time>(time - std::chrono::steady_clock::now());
}

}  // namespace

class KeyWatch::State {
 public:
  State(Read read, Tell tell, Time every)
      : read_(std::move(read)), tell_(std::move(tell)), every_(every) {}

  void run() {
    while (begin()) {
      const Take take = read_();
      // Behind the lock: who ends this joins the thread once something was taken.
      if (end(take)) tell_();
    }
  }

  bool read_now(Time patience) {
    const util::MutexLock held(mutex_);
    // That which is under way may have read already what has changed since.
    const std::uint64_t mine = begun_ + 1;
    wanted_ = std::max(wanted_, mine);
    changed_.notify_all();
    const auto until = std::chrono::steady_clock::now() + patience;
    for (Time left = patience; ended_ < mine && !hangs_ && left.count() > 0;
         left = left_until(until))
      changed_.wait_for(mutex_, left);
    if (ended_ < mine) hangs_ = true;
    return ended_ >= mine;
  }

  /// Whether the thread has nothing more to do.
  bool stop() {
    const util::MutexLock held(mutex_);
    stopped_ = true;
    changed_.notify_all();
    const auto until = std::chrono::steady_clock::now() + kLeaving;
    for (Time left = kLeaving; ended_ < begun_ && !hangs_ && left.count() > 0;
         left = left_until(until))
      changed_.wait_for(mutex_, left);
    return ended_ == begun_;
  }

 private:
  /// Waits until a read is due; false: no more.
  bool begin() {
    const util::MutexLock held(mutex_);
    const auto next = std::chrono::steady_clock::now() + every_;
    for (Time left = every_; !stopped_ && wanted_ <= begun_ && left.count() > 0;
         left = left_until(next))
      changed_.wait_for(mutex_, left);
    if (stopped_) return false;
    ++begun_;
    return true;
  }

  /// Whether it was taken; not behind the end.
  bool end(const Take& take) {
    const util::MutexLock held(mutex_);
    if (!stopped_) take();
    ended_ = begun_;
    hangs_ = false;
    changed_.notify_all();
    return !stopped_;
  }

  const Read read_;
  const Tell tell_;
  const Time every_;
  util::Mutex mutex_;
  util::CondVar changed_;
  // Reads are numbered from 1.
  std::uint64_t wanted_ ARTCACHE_GUARDED_BY(mutex_) = 0;
  std::uint64_t begun_ ARTCACHE_GUARDED_BY(mutex_) = 0;
  std::uint64_t ended_ ARTCACHE_GUARDED_BY(mutex_) = 0;
  bool hangs_ ARTCACHE_GUARDED_BY(mutex_) = false;
  bool stopped_ ARTCACHE_GUARDED_BY(mutex_) = false;
};

KeyWatch::KeyWatch(Read read, Tell tell, Time every)
    : state_(std::make_shared<State>(std::move(read), std::move(tell), every)) {}

KeyWatch::~KeyWatch() {
  const bool idle = state_->stop();
  if (!thread_.joinable()) return;
  if (idle)
    thread_.join();
  else
    thread_.detach();  // the file system has it
}

void KeyWatch::start() {
  thread_ = std::thread([state = state_] { state->run(); });
}

bool KeyWatch::read_now(Time patience) { return state_->read_now(patience); }

}  // namespace artcache::auth
