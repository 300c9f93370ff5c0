// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/session.hpp"

#include <chrono>

#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

/// A release that cannot reach the lock's place is given up: the lease ends by itself.
constexpr std::chrono::seconds kReleaseMost{5};
/// How long a wait goes on without a safe point.
constexpr std::chrono::milliseconds kWaitMost{200};

}  // namespace

Result<Session> Session::begin(LockManager& locks, const LockRequest& request, const Deps& deps,
                               const Call& call) {
  ARTCACHE_TRY(Lease lease, locks.try_acquire(request, call));
  return Session(
      std::unique_ptr<Held>(new Held{locks, deps, call, request.operation,
                                     locks::LeaseKeeper(std::move(lease), deps.clock->steady())}));
}

Session::~Session() {
  if (held_ == nullptr) return;
  (void)held_->locks.release(held_->keeper.lease(),
                             Call().within(kReleaseMost, *held_->deps.clock));
}

Result<void> Session::take(IoBudget& budget, std::uint64_t files, std::uint64_t bytes) {
  while (true) {
    const auto taken = budget.take(files, bytes, held_->call.within(kWaitMost, *held_->deps.clock));
    if (taken || taken.error().code != Errc::timed_out) return taken;
    const std::string progress = held_->progress;
    ARTCACHE_CHECK(step(progress));
  }
}

Result<void> Session::step(std::string_view progress) {
  held_->progress.assign(progress);
  ARTCACHE_CHECK(held_->call.check(held_->operation, *held_->deps.clock));
  using Step = locks::LeaseKeeper::Step;
  const Step step =
      locks::keep_up(held_->keeper, held_->locks, progress, *held_->deps.clock, held_->call);
  if (step == Step::lose) return held_->keeper.lost(held_->operation);
  held_->yielded = step == Step::yield;
  if (held_->yielded)
    return Error{Errc::busy, held_->operation + ": a higher operation asked for its place"};
  return {};
}

}  // namespace artcache::reconcile
