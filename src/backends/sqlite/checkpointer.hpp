// SPDX-License-Identifier: Apache-2.0
// Moves what is committed from SQLite's log into the database, beside whoever writes.
#pragma once

#include <artcache/call.hpp>
#include <stop_token>
#include <thread>

#include "sql/pool.hpp"
#include "util/mutex.hpp"

namespace artcache::sqlite {

/// A checkpoint within a commit keeps the writer waiting for the disk; here it is another thread
/// that waits. What it does not manage a later commit does. Safe to call from any thread.
///
/// When everything is moved and nobody reads the log, SQLite begins it anew from its start: whoever
/// writes much and settles now and then writes into pages that the kernel has at hand, where a log
/// that only grows takes new ones, and gives them all back at the end.
class Checkpointer {
 public:
  /// `connections` outlives it.
  explicit Checkpointer(sql::Pool& connections) : connections_(connections) {}
  /// What is under way comes to its end; what was only asked for is left out.
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  /// Much has been committed since the last time. Returns at once.
  void nudge();
  /// Waits until what it was nudged for is done, for a moment at most: a slow disk keeps nobody.
  void settle();

 private:
  void run();
  Result<void> checkpoint();

  sql::Pool& connections_;
  std::stop_source stop_;
  Call call_;  // of the thread's

  util::Mutex mutex_;
  util::CondVar changed_;
  bool wanted_ ARTCACHE_GUARDED_BY(mutex_) = false;
  bool working_ ARTCACHE_GUARDED_BY(mutex_) = false;
  std::jthread thread_;  // from the first nudge on
};

}  // namespace artcache::sqlite
