// SPDX-License-Identifier: Apache-2.0
// Runs that take longer than a client waits: each on a thread of its own, with progress and a
// result that can be read later.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/call.hpp>
#include <artcache/json_writer.hpp>
#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "util/mutex.hpp"

namespace artcache::element {

enum class JobState : std::uint8_t { running, succeeded, failed, cancelled };
/// The wire name: "running", …
std::string_view to_string(JobState state);

/// A job at one moment.
struct JobView {
  std::string id, operation;
  JobState state = JobState::running;
  Timestamp started_at;
  std::optional<Timestamp> completed_at;
  std::string phase;
  std::uint64_t processed = 0, total = 0;
  double per_second = 0;
  std::string result;  ///< a JSON object, once it has succeeded
  std::optional<Error> error;
  bool begun = false;         ///< it was granted its lock, or somebody was promised to find it
  std::uint64_t version = 0;  ///< grows with every change
};
/// Whether it never began, because another one holds the lock.
bool was_refused(const JobView& job);
/// The members of one JSON object that the caller has begun; the result only where asked for.
enum class WithResult : std::uint8_t { no, yes };
void append_members(JsonWriter& json, const JobView& job, WithResult result);

/// A table of jobs, those that are over included, up to a limit. Safe to call from any thread.
class Jobs {
 public:
  /// Does it all and gives the result as a JSON object.
  using Work = std::function<Result<std::string>(const Call&, const ProgressSink&)>;

  static constexpr std::size_t kRunningMost = 8, kKeptMost = 100;

  explicit Jobs(const Deps& deps) : deps_(deps) {}
  ~Jobs() { stop(); }
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  /// Returns the id. The job ends with its own token, not with that of `from`, and after `limit`
  /// where there is one. Errors: busy (too many are running), cancelled (stop() was called).
  Result<std::string> start(std::string operation, const Call& from,
                            std::optional<std::chrono::nanoseconds> limit, Work work);
  /// Nothing when it is not known, or no longer.
  [[nodiscard]] std::optional<JobView> find(std::string_view id) const;
  /// The one begun last first; without those that were refused.
  [[nodiscard]] std::vector<JobView> list() const;
  /// The job with this token was granted its lock.
  void begun(const std::stop_token& job);
  /// Waits until it has begun or is over, or for so long: one that others keep waiting counts as
  /// begun from then on, since its caller is told where to find it. Errors: as wait().
  Result<JobView> wait_begun(std::string_view id, std::chrono::milliseconds most, const Call& call);
  /// Asks it to stop at its next safe point. False when it is not known; one that is over stays as
  /// it is.
  bool cancel(std::string_view id);
  /// Waits until it is over. Errors: not_found; cancelled and timed_out of the call, not of the
  /// job, which goes on.
  Result<JobView> wait(std::string_view id, const Call& call) const;
  /// Waits until it is another one than `version`, or for so long. Errors: as wait().
  Result<JobView> wait_change(std::string_view id, std::uint64_t version,
                              std::chrono::milliseconds most, const Call& call) const;
  /// Cancels all, waits for them, and takes no more.
  void stop();

 private:
  struct Job {
    JobView view;
    std::stop_source stop;
    std::thread thread;
    bool finished = false;  ///< its thread does not take the mutex any more
  };
  void run(Job& job, const Call& call, const Work& work);
  void end(Job& job, Result<std::string> result);
  [[nodiscard]] Job* at(std::string_view id) const ARTCACHE_REQUIRES(mutex_);
  /// Those that are over and too many, refused ones first, to be joined without the mutex.
  std::list<std::unique_ptr<Job>> take_old() ARTCACHE_REQUIRES(mutex_);

  const Deps deps_;
  mutable util::Mutex mutex_;
  mutable util::CondVar changed_;
  std::list<std::unique_ptr<Job>> jobs_ ARTCACHE_GUARDED_BY(mutex_);  ///< oldest first
  bool stopped_ ARTCACHE_GUARDED_BY(mutex_) = false;
};

}  // namespace artcache::element
