// SPDX-License-Identifier: Apache-2.0
// What every call that can wait is given: until when, who may stop it, on whose behalf it runs.
#pragma once

#include <artcache/clock.hpp>
#include <artcache/export.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <stop_token>
#include <string>
#include <string_view>

namespace artcache {

/// A value, cheap to copy. A default Call waits as long as it takes and cannot be stopped.
struct Call {
  /// Read off Clock::steady() of the clock that the objects called were opened with.
  Clock::SteadyTime deadline = Clock::SteadyTime::max();
  std::stop_token stop;
  /// Repeated in log lines and error reports of this call; may be empty.
  std::string request_id;

  [[nodiscard]] bool has_deadline() const { return deadline != Clock::SteadyTime::max(); }

  /// The same call, ending not later than `timeout` from now.
  [[nodiscard]] ARTCACHE_EXPORT Call within(std::chrono::nanoseconds timeout,
                                            const Clock& clock = system_clock()) const;

  /// What is left, never negative; nanoseconds::max() without a deadline.
  [[nodiscard]] ARTCACHE_EXPORT std::chrono::nanoseconds remaining(
      const Clock& clock = system_clock()) const;

  /// Success while there is time and nobody asked to stop. To be asked at every safe point.
  /// Errors: cancelled, timed_out, both naming `operation`.
  [[nodiscard]] ARTCACHE_EXPORT Result<void> check(std::string_view operation,
                                                   const Clock& clock = system_clock()) const;
};

}  // namespace artcache
