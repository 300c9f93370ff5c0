// SPDX-License-Identifier: Apache-2.0
// Long polls of the log of one index: all of them wait on one thread.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/metadata_store.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

#include "util/mutex.hpp"

namespace artcache::element {

/// Safe to use from any thread. Polls at one position share one reading of the log.
class LogPolls {
 public:
  /// Told once, on the thread of this object: what there is, or why there is nothing.
  using Done = std::function<void(const Result<LogSlice>&)>;
  struct Wish {
    Position after;
    std::uint32_t limit = 0;
    Clock::SteadyTime until;  ///< then it is answered without a row
    std::stop_token stop;     ///< likewise
    Done done;
  };
  static constexpr std::size_t kMost = 1000;

  LogPolls(MetadataStore& index, const Deps& deps);
  ~LogPolls();
  LogPolls(const LogPolls&) = delete;
  LogPolls& operator=(const LogPolls&) = delete;

  /// Returns at once. Errors: busy (there are kMost), unavailable (stopped); then done is not told.
  Result<void> add(Wish wish);
  /// Answers all with unavailable; there are no more.
  void stop();

 private:
  struct Poll;

  void run();
  /// Takes in what came since the last round; false: this one is the last, and only answers.
  bool begin(std::vector<std::unique_ptr<Poll>>& polls, const std::stop_source& round);
  /// Answers those that have an answer; the others stay.
  void serve(std::vector<std::unique_ptr<Poll>>& polls);
  void wait(const std::vector<std::unique_ptr<Poll>>& polls, const std::stop_source& round);
  void wake();

  MetadataStore& index_;
  const Deps deps_;
  util::Mutex mutex_;
  util::CondVar changed_;
  std::vector<std::unique_ptr<Poll>> fresh_ ARTCACHE_GUARDED_BY(mutex_);
  std::size_t count_ ARTCACHE_GUARDED_BY(mutex_) = 0;
  bool woken_ ARTCACHE_GUARDED_BY(mutex_) = false;
  bool stopped_ ARTCACHE_GUARDED_BY(mutex_) = false;
  std::stop_source round_ ARTCACHE_GUARDED_BY(mutex_);  // of the wait under way
  std::thread thread_;
};

}  // namespace artcache::element
