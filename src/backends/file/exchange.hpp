// SPDX-License-Identifier: Apache-2.0
// Where the threads of one listing hand each other work, never more than a fixed amount.
#pragma once

#include <artcache/result.hpp>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "util/fd.hpp"

namespace artcache::file {

/// A folder that is being listed. Open for as long as somebody needs it.
struct Folder {
  util::Fd fd;       // none: its entries are opened from the root
  std::string path;  // below the root, "" for the root itself
  std::vector<std::string> hidden;
};
using FolderPtr = std::shared_ptr<const Folder>;

/// What one getdents64 call gave.
struct Entries {
  std::unique_ptr<char[]> bytes;
  std::size_t size = 0, at = 0;
};

/// Either the subfolder `name` of `folder`, or some entries of `folder` itself.
struct Task {
  FolderPtr folder;
  std::string name;
  Entries entries;
};

class Exchange {
 public:
  Exchange(std::size_t most, Task first);

  /// True when offer() would probably take something. No lock, for the busy path.
  [[nodiscard]] bool wants_more() const {
    return waiting_tasks_.load(std::memory_order_relaxed) < most_;
  }
  /// Leaves `task` to whoever comes first. False, and `task` untouched, when there is enough.
  bool offer(Task& task);
  /// The next task, waiting for one while others may still offer some; nothing when all is done
  /// or stopped. Every task taken is to be followed by done().
  std::optional<Task> take();
  void done();
  /// Ends the listing with `error` unless something ended it before.
  void stop(Error error);
  /// Ends it because of an exception that is already on its way.
  void stop();
  [[nodiscard]] bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  /// Once all threads have ended.
  Result<void> outcome() &&;

 private:
  const std::size_t most_;
  std::atomic<std::size_t> waiting_tasks_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;      // guarded by mutex_, as all below
  std::size_t busy_ = 0;        // threads that are at work on a task
  std::size_t idle_ = 0;        // threads that wait in take()
  std::optional<Error> error_;  // the first one
};

}  // namespace artcache::file
