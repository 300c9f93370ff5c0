// SPDX-License-Identifier: Apache-2.0
// Removes files that were deleted in the registry from their elements, for as long as it takes.
#pragma once

#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "roles/admin/parts.hpp"
#include "util/mutex.hpp"

namespace artcache::admin {

/// How long to wait after so many failures: doubles from `least` to `most`.
std::chrono::milliseconds cleanup_pause(std::int64_t retries, std::chrono::milliseconds least,
                                        std::chrono::milliseconds most);

/// Works off the queue in the database, which outlives the process: what was begun and not written
/// down as done is done again, and a file that is gone already counts as removed. An element that
/// does not answer holds up its own files alone, each for longer with every try.
class Cleaner {
 public:
  explicit Cleaner(Parts& parts) : parts_(parts) {}
  ~Cleaner() { stop(); }
  Cleaner(const Cleaner&) = delete;
  Cleaner& operator=(const Cleaner&) = delete;

  /// On a thread of its own from now on.
  void start();
  void stop();
  /// There may be something to do.
  void wake();

  /// Everything that is due when it begins, once, by one thread. Errors: those of the database,
  /// cancelled.
  Result<void> pass(const Call& call);

 private:
  void run(std::stop_token stop);
  /// False when the element does not answer: all of its files that are due have been put off.
  Result<bool> clean(Cleanup cleanup, Timestamp due_by, const Call& call);
  Result<void> put_off(const Cleanup& failed, Timestamp due_by, const Call& call);
  Result<void> remove(const Cleanup& cleanup, const Call& call);
  void log(std::string_view message, const Cleanup& cleanup, std::string_view reason) const;

  Parts& parts_;
  std::set<std::string> away_;  ///< those that did not answer last; of whoever calls pass()
  util::Mutex mutex_;
  util::CondVar changed_;
  bool woken_ ARTCACHE_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace artcache::admin
