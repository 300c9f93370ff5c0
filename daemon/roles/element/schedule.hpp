// SPDX-License-Identifier: Apache-2.0
// Rebuilds, checks and cleanups that nobody asks for.
#pragma once

#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/operations.hpp"
#include "config/settings.hpp"
#include "roles/element/element.hpp"
#include "util/mutex.hpp"

namespace artcache::element {

/// When something runs: every so often, or at one time of the day (UTC); or never.
struct Pace {
  std::chrono::milliseconds every{0};
  std::optional<std::chrono::minutes> daily_at = {};
  [[nodiscard]] bool never() const { return every <= every.zero() && !daily_at; }
  /// The next time strictly after `now`.
  [[nodiscard]] Timestamp next(Timestamp now) const;
};
/// `02:30`. Errors: invalid_argument.
Result<std::chrono::minutes> parse_time_of_day(std::string_view text);

struct Schedules {
  Pace incremental = {}, check = {}, cleanup = {};
  std::chrono::milliseconds jitter{0};  ///< each run begins up to so much later
};
/// Errors: invalid_argument, naming the setting.
Result<Schedules> schedules_of(const config::Settings& told);

/// Runs them as jobs of the element, one at a time, on a thread of its own. One that is refused, as
/// while another program rebuilds, waits for its next time.
class Scheduler {
 public:
  Scheduler(Element& element, const Schedules& schedules);
  ~Scheduler() { stop(); }
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void start();
  /// Returns once what is running has ended; Jobs::stop() makes that soon.
  void stop();
  /// Runs what is due at this moment.
  void run_due(const Call& call);

  /// What became of the last run of each that is not off: "never ran", "ok", or an error.
  void append_health(std::vector<HealthPart>& parts) const;

 private:
  struct Entry {
    std::string_view operation;
    Pace pace;
    Timestamp due;
    std::string outcome = "never ran";
  };
  [[nodiscard]] Timestamp next(const Pace& pace) const;
  Result<void> run(std::string_view operation, const Call& call);
  void note(std::string_view operation, const Result<void>& done);

  Element& element_;
  const std::chrono::milliseconds jitter_;
  mutable util::Mutex mutex_;
  std::vector<Entry> entries_ ARTCACHE_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace artcache::element
