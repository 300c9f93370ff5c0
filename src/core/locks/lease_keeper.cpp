// SPDX-License-Identifier: Apache-2.0
#include "core/locks/lease_keeper.hpp"

#include <algorithm>

namespace artcache::locks {

void set_times(Lease& lease, Clock::SteadyTime sent, std::chrono::milliseconds ttl) {
  const auto fine = std::chrono::duration_cast<Clock::SteadyTime::duration>(ttl);
  lease.renew_before = sent + fine / 3;
  lease.valid_until = sent + fine - fine / 20;
}

LeaseKeeper::LeaseKeeper(Lease lease, Clock::SteadyTime now) : lease_(std::move(lease)) {
  plan(now);
}

void LeaseKeeper::plan(Clock::SteadyTime now) {
  due_ = std::min<Clock::SteadyTime>(lease_.renew_before, now + kRenewEvery);
}

LeaseKeeper::Step LeaseKeeper::next(Clock::SteadyTime now) {
  if (loss_ == Loss::none && now >= lease_.valid_until) loss_ = Loss::time;
  if (loss_ != Loss::none) return Step::lose;
  if (yield_) return Step::yield;
  return now >= due_ ? Step::renew : Step::work;
}

void LeaseKeeper::renewed(const Lease& lease, RenewOutcome outcome, Clock::SteadyTime now) {
  lease_ = lease;
  retry_ = std::chrono::milliseconds(0);
  if (outcome == RenewOutcome::asked_to_yield) yield_ = true;
  plan(now);
}

void LeaseKeeper::failed(const Error& error, Clock::SteadyTime now) {
  if (error.code == Errc::lease_lost) {
    if (loss_ == Loss::none) loss_ = Loss::told;
    return;
  }
  retry_ = std::clamp(retry_ * 2, kRetryFirst, kRetryMost);
  using Duration = Clock::SteadyTime::duration;
  const Duration quarter = (lease_.valid_until - now) / 4;
  due_ = now + std::max<Duration>(std::min<Duration>(retry_, quarter), kRetryLeast);
}

Clock::SteadyTime LeaseKeeper::wake_at() const {
  if (loss_ != Loss::none) return Clock::SteadyTime::max();
  return yield_ ? lease_.valid_until : std::min(due_, lease_.valid_until);
}

Error LeaseKeeper::lost(std::string_view operation) const {
  std::string message(operation);
  message.append(": the lock ").append(to_string(lease_.lock_class)).append(" of '");
  message.append(lease_.element);
  message.append(loss_ == Loss::time ? "' could not be renewed in time" : "' was taken away");
  return Error{Errc::lease_lost, std::move(message)};
}

LeaseKeeper::Step keep_up(LeaseKeeper& keeper, LockManager& manager, std::string_view progress,
                          const Clock& clock, const Call& call) {
  while (true) {
    const LeaseKeeper::Step step = keeper.next(clock.steady());
    if (step != LeaseKeeper::Step::renew) return step;
    Lease lease = keeper.lease();
    const auto outcome = manager.renew(lease, progress, call);
    if (outcome)
      keeper.renewed(lease, *outcome, clock.steady());
    else
      keeper.failed(outcome.error(), clock.steady());
  }
}

}  // namespace artcache::locks
