// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/checkpointer.hpp"

#include <chrono>
#include <exception>
#include <system_error>

#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kSettleMost{50};

}  // namespace

Checkpointer::~Checkpointer() {
  stop_.request_stop();
  const util::MutexLock lock(mutex_);
  changed_.notify_all();
}

void Checkpointer::nudge() {
  const util::MutexLock lock(mutex_);
  wanted_ = true;
  changed_.notify_all();
  if (thread_.joinable()) return;
  call_.stop = stop_.get_token();
  try {
    thread_ = std::jthread([this] { run(); });
  } catch (const std::system_error&) {
    // No more threads to be had: commits do it.
    wanted_ = false;
  }
}

void Checkpointer::settle() {
  const util::MutexLock lock(mutex_);
  const auto end = SteadyClock::now() + kSettleMost;
  while (wanted_ || working_) {
    const auto now = SteadyClock::now();
    if (now >= end) return;
    changed_.wait_for(mutex_, end - now);
  }
}

void Checkpointer::run() {
  while (true) {
    {
      const util::MutexLock lock(mutex_);
      while (!wanted_ && !stop_.stop_requested()) changed_.wait(mutex_);
      if (stop_.stop_requested()) return;
      wanted_ = false;
      working_ = true;
    }
    try {
      (void)checkpoint();
    } catch (const std::exception&) {
      // Without memory: the next time.
    }
    const util::MutexLock lock(mutex_);
    working_ = false;
    changed_.notify_all();
  }
}

Result<void> Checkpointer::checkpoint() {
  ARTCACHE_TRY(const sql::Lease connection, connections_.acquire(call_));
  ARTCACHE_TRY(sql::Statement * s, connection->prepare("PRAGMA wal_checkpoint(PASSIVE)"));
  ARTCACHE_CHECK(s->step());
  s->reset();
  return {};
}

}  // namespace artcache::sqlite
