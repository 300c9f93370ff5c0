// SPDX-License-Identifier: Apache-2.0
// One element with its locks, driven by hand.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>

#include "core/locks/lock_table.hpp"

namespace artcache::locks::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr LockClass kClasses[] = {LockClass::manual_rebuild, LockClass::manual_check,
                                         LockClass::lazy_rebuild, LockClass::background_cleanup};

/// What a LockManager does around the rules, kept in memory.
struct Element {
  ElementLocks locks;
  Time now = std::chrono::hours(5);
  std::uint64_t fence = 100;                 // minted last
  std::map<std::string, Liveness> liveness;  // by owner; unknown otherwise
  AcquireDecision last;

  [[nodiscard]] Liveness liveness_of(const LockRecord& record) const {
    const auto at = liveness.find(record.owner);
    return at == liveness.end() ? Liveness::unknown : at->second;
  }

  /// The fence, or 0 for busy.
  std::uint64_t acquire(LockClass lock_class, const std::string& owner,
                        const std::string& waiter = "", milliseconds ttl = seconds(30)) {
    AcquireRequest request;
    request.wanted.lock_class = lock_class;
    request.wanted.owner = owner;
    request.wanted.host = "node-1";
    request.wanted.operation = "work of " + owner;
    request.wanted.ttl = ttl;
    request.waiter = waiter;
    last = decide_acquire(locks, request, now,
                          [this](const LockRecord& record) { return liveness_of(record); });
    if (last.grant) last.grant->fence = ++fence;
    apply(locks, last);
    return last.grant ? fence : 0;
  }

  bool renew(std::uint64_t of, const std::string& owner) {
    const auto decision = decide_renew(locks, of, owner, "half", now);
    if (decision) apply(locks, *decision);
    return decision.has_value();
  }

  bool release(std::uint64_t of, const std::string& owner) {
    const auto gone = decide_release(locks, of, owner);
    if (gone) evict(locks, *gone);
    return gone.has_value();
  }

  /// What the index asks of every commit.
  [[nodiscard]] const LockRecord* registered(std::uint64_t of) const {
    const auto at = std::ranges::find(locks.holders, of, &LockRecord::fence);
    return at == locks.holders.end() ? nullptr : &*at;
  }
};

}  // namespace artcache::locks::test
