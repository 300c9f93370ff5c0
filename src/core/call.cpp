// SPDX-License-Identifier: Apache-2.0
#include <artcache/call.hpp>

#include <algorithm>

namespace artcache {

Call Call::within(std::chrono::nanoseconds timeout, const Clock& clock) const {
  Call call = *this;
  const auto now = clock.steady();
  // A timeout near the end of time must not wrap round into the past.
  if (timeout < Clock::SteadyTime::max() - now)
    call.deadline =
        std::min(deadline, now + std::chrono::duration_cast<Clock::SteadyTime::duration>(timeout));
  return call;
}

std::chrono::nanoseconds Call::remaining(const Clock& clock) const {
  if (!has_deadline()) return std::chrono::nanoseconds::max();
  const auto now = clock.steady();
  // Compared before it is subtracted: a deadline near the beginning of time must not wrap round.
  return deadline <= now ? std::chrono::nanoseconds::zero()
                         : std::chrono::nanoseconds(deadline - now);
}

Result<void> Call::check(std::string_view operation, const Clock& clock) const {
  if (stop.stop_requested()) return Error{Errc::cancelled, std::string(operation) + ": stopped"};
  if (has_deadline() && clock.steady() >= deadline)
    return Error{Errc::timed_out, std::string(operation) + ": the deadline passed"};
  return {};
}

}  // namespace artcache
