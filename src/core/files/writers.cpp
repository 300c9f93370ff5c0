// SPDX-License-Identifier: Apache-2.0
#include "core/files/writers.hpp"

#include <algorithm>
#include <chrono>
#include <exception>

#include "util/try.hpp"

namespace artcache::files {
namespace {

constexpr std::chrono::minutes kPresent{10};
/// So long may pass between two parts of an upload under an id of its caller's.
constexpr std::chrono::hours kClaimed{1};
constexpr std::chrono::seconds kReleaseMost{5};
constexpr std::chrono::milliseconds kLook{20};

}  // namespace

// --- InFlight -----------------------------------------------------------------------------------

Result<InFlight::Turn> InFlight::enter(const FileId& id, const Call& call, const Clock& clock,
                                       std::string_view others) {
  std::unique_lock held(mutex_);
  const auto is_free = [&] { return !ids_.contains(id); };
  while (!is_free()) {
    ARTCACHE_CHECK(call.check("files: waiting for " + std::string(others), clock));
    if (call.has_deadline())
      left_.wait_for(held, call.stop, call.remaining(clock), is_free);
    else
      left_.wait(held, call.stop, is_free);
  }
  ids_.insert(id);
  return Turn(*this, id);
}

bool InFlight::holds(const FileId& id) const {
  const std::scoped_lock held(mutex_);
  return ids_.contains(id);
}

void InFlight::leave(const FileId& id) {
  const std::scoped_lock held(mutex_);
  ids_.erase(id);
  left_.notify_all();
}

// --- Claim --------------------------------------------------------------------------------------

Result<Claim> Claim::take(LockManager& locks, const FileId& id, std::string_view operation,
                          const Deps& deps, const Call& call) {
  LockRequest request;
  request.element = locks::lock_of_file(id);
  request.operation = operation;
  request.ttl = kClaimed;
  ARTCACHE_TRY(Lease lease, locks.try_acquire(request, call));
  return Claim(locks, *deps.clock, std::move(lease));
}

Result<void> Claim::keep(const Call& call) {
  if (locks::keep_up(keeper_, *locks_, "", *clock_, call) == locks::LeaseKeeper::Step::lose)
    return keeper_.lost("change of a file");
  return {};
}

Claim::~Claim() {
  if (locks_ != nullptr)
    (void)locks_->release(keeper_.lease(), Call().within(kReleaseMost, *clock_));
}

// --- Presence -----------------------------------------------------------------------------------

Presence::~Presence() {
  const util::MutexLock lock(mutex_);
  if (held_.keeper)
    (void)locks_.release(held_.keeper->lease(), Call().within(kReleaseMost, *deps_.clock));
}

Result<Presence::Mark> Presence::mark(const Call& call) {
  using Step = locks::LeaseKeeper::Step;
  Held held;
  ARTCACHE_TRY(const bool mine, begin_keeping(held, call));
  if (!mine) return held.mark;
  Result<void> taken;
  try {
    // Nobody ranks above a writer here, so there is nobody to yield to.
    if (held.keeper && locks::keep_up(*held.keeper, locks_, "", *deps_.clock, call) == Step::lose)
      held.keeper.reset();
    if (!held.keeper) taken = acquire(held, call);
  } catch (const std::exception& e) {
    taken = Error{Errc::internal, std::string("files: the lease of a writer: ") + e.what()};
  }
  const Mark mark = held.mark;
  const util::MutexLock lock(mutex_);
  held_ = std::move(held);
  keeping_ = false;
  kept_.notify_all();
  ARTCACHE_CHECK(taken);
  return mark;
}

/// True for the one who is to see to the lease, without the mutex: a lock server that does not
/// answer holds up nobody else who has one.
Result<bool> Presence::begin_keeping(Held& held, const Call& call) {
  using Step = locks::LeaseKeeper::Step;
  const util::MutexLock lock(mutex_);
  while (true) {
    const Step step = held_.keeper ? held_.keeper->next(deps_.clock->steady()) : Step::lose;
    const bool due = step == Step::renew || step == Step::lose;
    held = held_;
    if (!due || (step == Step::renew && keeping_)) return false;
    if (!keeping_) {
      keeping_ = true;
      return true;
    }
    ARTCACHE_CHECK(call.check("files: waiting for the lease of a writer", *deps_.clock));
    kept_.wait_for(mutex_, kLook);  // a stop wakes nobody
  }
}

LockRequest Presence::request() const {
  LockRequest request;
  request.element = element_;
  request.lock_class = LockClass::lazy_rebuild;  // the class that is shared
  request.operation = "writes files";
  request.ttl = kPresent;
  return request;
}

Result<void> Presence::acquire(Held& held, const Call& call) const {
  ARTCACHE_TRY(Lease lease, locks_.try_acquire(request(), call));
  ARTCACHE_TRY(const auto holders, locks_.list(element_, call));
  held.mark = {lease.fence, deps_.clock->now()};
  // What others read of us counts, not what our clock says.
  for (const LockHolder& holder : holders)
    if (holder.fence == lease.fence) held.mark.since = holder.acquired_at;
  held.keeper.emplace(std::move(lease), deps_.clock->steady());
  return {};
}

Result<std::optional<Timestamp>> Presence::others_since(const Call& call) {
  ARTCACHE_TRY(const Mark mine, mark(call));
  ARTCACHE_TRY(auto holders, locks_.list(element_, call));
  // Of a host that is gone only its time tells. What follows is only safe without its late commits,
  // so it is put out first: a grant does that. One who was idle for so long, this process perhaps,
  // is a writer anew with its next change.
  const auto late = [](const LockHolder& holder) { return holder.expires_in.count() <= 0; };
  if (std::ranges::any_of(holders, late)) {
    ARTCACHE_TRY(const Lease lease, locks_.try_acquire(request(), call));
    ARTCACHE_CHECK(locks_.release(lease, call));
    ARTCACHE_TRY(holders, locks_.list(element_, call));
  }
  std::optional<Timestamp> oldest;
  for (const LockHolder& holder : holders)
    if (holder.fence != mine.fence && (!oldest || holder.acquired_at < *oldest))
      oldest = holder.acquired_at;
  return oldest;
}

}  // namespace artcache::files
