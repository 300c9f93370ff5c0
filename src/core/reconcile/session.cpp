// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/session.hpp"

#include <chrono>

#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

/// A release that cannot reach the lock's place is given up: the lease ends by itself.
constexpr std::chrono::seconds kReleaseMost{5};

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

Result<void> Session::step(std::string_view progress) {
  ARTCACHE_CHECK(held_->call.check(held_->operation, *held_->deps.clock));
  using Step = locks::LeaseKeeper::Step;
  while (true) {
    switch (held_->keeper.next(held_->deps.clock->steady())) {
      case Step::work:
        return {};
      case Step::lose:
        return held_->keeper.lost(held_->operation);
      case Step::yield:
        held_->yielded = true;
        return Error{Errc::busy, held_->operation + ": a higher operation asked for its place"};
      case Step::renew:
        break;
    }
    Lease lease = held_->keeper.lease();
    const auto outcome = held_->locks.renew(lease, progress, held_->call);
    const Clock::SteadyTime now = held_->deps.clock->steady();
    if (outcome)
      held_->keeper.renewed(lease, *outcome, now);
    else
      held_->keeper.failed(outcome.error(), now);
  }
}

}  // namespace artcache::reconcile
