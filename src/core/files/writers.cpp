// SPDX-License-Identifier: Apache-2.0
#include "core/files/writers.hpp"

#include <chrono>

#include "util/try.hpp"

namespace artcache::files {
namespace {

constexpr std::chrono::minutes kPresent{10};
/// So long may pass between two parts of an upload under an id of its caller's.
constexpr std::chrono::hours kClaimed{1};
constexpr std::chrono::seconds kReleaseMost{5};

}  // namespace

// --- InFlight -----------------------------------------------------------------------------------

Result<InFlight::Turn> InFlight::enter(const FileId& id, const Call& call, const Clock& clock) {
  std::unique_lock held(mutex_);
  const auto is_free = [&] { return !ids_.contains(id); };
  while (!is_free()) {
    ARTCACHE_CHECK(call.check("files: waiting for another change of this file", clock));
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
  request.element = "file." + to_string(id);
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
  const util::MutexLock held(mutex_);
  if (keeper_) (void)locks_.release(keeper_->lease(), Call().within(kReleaseMost, *deps_.clock));
}

Result<Presence::Mark> Presence::mark(const Call& call) {
  const util::MutexLock held(mutex_);
  using Step = locks::LeaseKeeper::Step;
  // Nobody ranks above a writer here, so there is nobody to yield to.
  if (keeper_ && locks::keep_up(*keeper_, locks_, "", *deps_.clock, call) == Step::lose)
    keeper_.reset();
  if (!keeper_) ARTCACHE_CHECK(acquire(call));
  return mark_;
}

Result<void> Presence::acquire(const Call& call) {
  LockRequest request;
  request.element = element_;
  request.lock_class = LockClass::lazy_rebuild;  // the class that is shared
  request.operation = "writes files";
  request.ttl = kPresent;
  ARTCACHE_TRY(Lease lease, locks_.try_acquire(request, call));
  ARTCACHE_TRY(const auto holders, locks_.list(element_, call));
  mark_ = {lease.fence, deps_.clock->now()};
  // What others read of us counts, not what our clock says.
  for (const LockHolder& holder : holders)
    if (holder.fence == lease.fence) mark_.since = holder.acquired_at;
  keeper_.emplace(std::move(lease), deps_.clock->steady());
  return {};
}

Result<std::optional<Timestamp>> Presence::others_since(const Call& call) {
  ARTCACHE_TRY(const Mark mine, mark(call));
  ARTCACHE_TRY(const auto holders, locks_.list(element_, call));
  std::optional<Timestamp> oldest;
  for (const LockHolder& holder : holders)
    if (holder.fence != mine.fence && (!oldest || holder.acquired_at < *oldest))
      oldest = holder.acquired_at;
  return oldest;
}

}  // namespace artcache::files
