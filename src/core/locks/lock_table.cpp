// SPDX-License-Identifier: Apache-2.0
#include "core/locks/lock_table.hpp"

#include <algorithm>
#include <tuple>

#include "util/utf8.hpp"

namespace artcache::locks {
namespace {

bool higher(LockClass a, LockClass b) { return a < b; }

bool same(const Waiter& a, const Waiter& b) {
  return a.lock_class == b.lock_class && a.name == b.name;
}

bool patient(const Waiter& waiter, Time now) { return now - waiter.since >= kPatience; }

/// Neither over nor from a clock that has been set back since.
bool stands(const Waiter& waiter, Time now) {
  return waiter.until > now && waiter.until <= now + kWaiterLife && waiter.since <= now;
}

/// Whether `a` is served before `b`, which it conflicts with.
bool before(const Waiter& a, const Waiter& b, Time now) {
  const bool a_patient = patient(a, now), b_patient = patient(b, now);
  if (a_patient != b_patient) return a_patient;
  if (!a_patient) return higher(a.lock_class, b.lock_class);
  return std::tie(a.since, a.lock_class, a.name) < std::tie(b.since, b.lock_class, b.name);
}

void grant(const AcquireRequest& request, Time now, AcquireDecision& out) {
  LockRecord& record = out.grant.emplace(request.wanted);
  record.fence = 0;
  record.asked_to_yield = false;
  record.acquired = record.renewed = now;
  record.expires = now + record.ttl;
}

/// One decision in the making.
class Acquire {
 public:
  Acquire(const ElementLocks& locks, const AcquireRequest& request, Time now,
          const LivenessOf& liveness_of)
      : locks_(locks), request_(request), now_(now), liveness_of_(liveness_of) {
    asking_ = {request.wanted.lock_class, request.waiter, now, now + kWaiterLife};
  }

  AcquireDecision run() {
    waiters();
    holders();
    if (out_.blockers.empty() && !out_.behind && room())
      grant();
    else
      refuse();
    return std::move(out_);
  }

 private:
  void waiters() {
    for (const Waiter& waiter : locks_.waiters) {
      if (!stands(waiter, now_)) {
        out_.forget.push_back(waiter);
      } else if (same(waiter, asking_)) {
        asking_.since = waiter.since;
        known_ = true;
      }
    }
    for (const Waiter& waiter : locks_.waiters) {
      if (!stands(waiter, now_) || same(waiter, asking_) ||
          !conflicts(waiter.lock_class, asking_.lock_class) || !before(waiter, asking_, now_))
        continue;
      if (!out_.behind || before(waiter, *out_.behind, now_)) out_.behind = waiter;
    }
  }

  void holders() {
    for (const LockRecord& held : locks_.holders) {
      const bool again =
          held.owner == request_.wanted.owner && held.lock_class == request_.wanted.lock_class;
      if (again || liveness_of_(held) == Liveness::dead) {
        out_.evict.push_back(held.fence);
        continue;
      }
      const bool over = held.expires <= now_;
      if (over) late_.push_back(&held);
      const bool in_the_way = conflicts(held.lock_class, asking_.lock_class);
      const bool minded = in_the_way || held.lock_class == asking_.lock_class;
      if (minded && over) minded_but_late_.push_back(held.fence);
      LockRecord kept = held;
      if (in_the_way && !over) {
        out_.blockers.push_back(held);
        if (higher(asking_.lock_class, held.lock_class)) kept.asked_to_yield = true;
      }
      // Only a clock that was set back makes an end lie further off than a whole TTL.
      if (held.expires > now_ + held.ttl) {
        kept.renewed = now_;
        kept.expires = now_ + held.ttl;
      }
      if (kept != held) out_.changed.push_back(std::move(kept));
    }
  }

  /// Late holders whom nobody minds are only put out when there are too many.
  bool room() {
    const std::size_t kept = locks_.holders.size() - out_.evict.size();
    if (kept - minded_but_late_.size() < kHoldersMost) return true;
    if (kept - late_.size() >= kHoldersMost) return false;
    minded_but_late_.clear();
    for (const LockRecord* held : late_) out_.evict.push_back(held->fence);
    return true;
  }

  void grant() {
    out_.evict.insert(out_.evict.end(), minded_but_late_.begin(), minded_but_late_.end());
    locks::grant(request_, now_, out_);
    if (known_) out_.forget.push_back(asking_);
  }

  void refuse() {
    if (request_.waiter.empty()) return;
    if (known_ || locks_.waiters.size() - out_.forget.size() < kWaitersMost) out_.wait = asking_;
  }

  const ElementLocks& locks_;
  const AcquireRequest& request_;
  const Time now_;
  const LivenessOf& liveness_of_;
  Waiter asking_;
  bool known_ = false;
  std::vector<const LockRecord*> late_;
  std::vector<std::uint64_t> minded_but_late_;
  AcquireDecision out_;
};

const LockRecord* find(const ElementLocks& locks, std::uint64_t fence, std::string_view owner) {
  const auto at = std::ranges::find_if(locks.holders, [&](const LockRecord& held) {
    return held.fence == fence && held.owner == owner;
  });
  return at == locks.holders.end() ? nullptr : &*at;
}

void store(ElementLocks& locks, const LockRecord& record) {
  const auto at = std::ranges::find(locks.holders, record.fence, &LockRecord::fence);
  if (at != locks.holders.end()) *at = record;
}

std::string seconds(Time time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

bool conflicts(LockClass a, LockClass b) {
  if (a != LockClass::lazy_rebuild && b != LockClass::lazy_rebuild) return true;
  return a == LockClass::manual_rebuild || b == LockClass::manual_rebuild;
}

AcquireDecision decide_acquire(const ElementLocks& locks, const AcquireRequest& request, Time now,
                               const LivenessOf& liveness_of) {
  AcquireDecision out;
  if (locks.holders.empty() && locks.waiters.empty())
    grant(request, now, out);
  else
    out = Acquire(locks, request, now, liveness_of).run();
  return out;
}

Error busy_error(const LockRequest& request, const AcquireDecision& decision, Time now) {
  std::string message = "lock: ";
  message.append(to_string(request.lock_class)).append(" of '").append(request.element);
  if (!decision.blockers.empty()) {
    const LockRecord& held =
        *std::ranges::min_element(decision.blockers, {}, &LockRecord::lock_class);
    message.append("': ").append(to_string(held.lock_class)).append(" is held by '");
    message.append(util::printable(held.operation, kTextMost)).append("' on ");
    message.append(util::printable(held.host, kTextMost)).append(" for ");
    message.append(seconds(now - held.acquired));
    if (higher(request.lock_class, held.lock_class)) message.append("; it was asked to yield");
  } else if (decision.behind) {
    message.append("': another request for ").append(to_string(decision.behind->lock_class));
    message.append(" has waited ").append(seconds(now - decision.behind->since));
    message.append(" and comes first");
  } else {
    message.append("': ").append(std::to_string(kHoldersMost)).append(" hold locks already");
  }
  return Error{Errc::busy, std::move(message)};
}

std::optional<RenewDecision> decide_renew(const ElementLocks& locks, std::uint64_t fence,
                                          std::string_view owner, std::string_view progress,
                                          Time now) {
  const LockRecord* held = find(locks, fence, owner);
  if (held == nullptr) return std::nullopt;
  RenewDecision out{*held};
  out.record.progress = progress;
  out.record.renewed = now;
  out.record.expires = now + held->ttl;
  if (held->asked_to_yield) out.outcome = RenewOutcome::asked_to_yield;
  return out;
}

Error lost_error(std::string_view element, LockClass lock_class, std::uint64_t fence) {
  std::string message = "lock: ";
  message.append(to_string(lock_class)).append(" of '").append(element);
  message.append("': fence ").append(std::to_string(fence)).append(" is not registered any more");
  return Error{Errc::lease_lost, std::move(message)};
}

std::optional<std::uint64_t> decide_release(const ElementLocks& locks, std::uint64_t fence,
                                            std::string_view owner) {
  if (find(locks, fence, owner) == nullptr) return std::nullopt;
  return fence;
}

std::vector<std::uint64_t> decide_break(const ElementLocks& locks, LockClass lock_class) {
  std::vector<std::uint64_t> out;
  for (const LockRecord& held : locks.holders)
    if (held.lock_class == lock_class) out.push_back(held.fence);
  return out;
}

AcquireDecision decide_sweep(const ElementLocks& locks, Time now, const LivenessOf& liveness_of) {
  AcquireDecision out;
  for (const LockRecord& held : locks.holders)
    if (liveness_of(held) == Liveness::dead) out.evict.push_back(held.fence);
  for (const Waiter& waiter : locks.waiters)
    if (!stands(waiter, now)) out.forget.push_back(waiter);
  return out;
}

void apply(ElementLocks& locks, const AcquireDecision& decision) {
  for (const std::uint64_t fence : decision.evict) evict(locks, fence);
  for (const LockRecord& record : decision.changed) store(locks, record);
  for (const Waiter& gone : decision.forget)
    std::erase_if(locks.waiters, [&](const Waiter& waiter) { return same(waiter, gone); });
  if (decision.wait) {
    std::erase_if(locks.waiters, [&](const Waiter& one) { return same(one, *decision.wait); });
    locks.waiters.push_back(*decision.wait);
  }
  if (decision.grant) locks.holders.push_back(*decision.grant);
}

void apply(ElementLocks& locks, const RenewDecision& decision) { store(locks, decision.record); }

void evict(ElementLocks& locks, std::uint64_t fence) {
  std::erase_if(locks.holders, [&](const LockRecord& held) { return held.fence == fence; });
}

}  // namespace artcache::locks
