// SPDX-License-Identifier: Apache-2.0
// Who may hold a lock beside whom, who comes first, who is put out: the rules behind every
// LockManager, without a clock, a database or a wait. A backend reads the state of one element,
// asks here, and writes what was decided, all in one transaction.
//
//   wanted:              manual_rebuild  manual_check  lazy_rebuild  background_cleanup
//   held:
//   manual_rebuild       busy            busy          busy          busy
//   manual_check         yield           busy          beside        busy
//   lazy_rebuild         yield           beside        beside        beside
//   background_cleanup   yield           yield         beside        busy
//
//   busy    refused until the holder is done: it is of the same class or a higher one.
//   yield   refused too, but the holder is asked to stop at its next safe point.
//   beside  both run.
//
// Why. A rebuild compares everything and writes much: whatever runs beside it reads sidecars that
// it reads as well, and each would invalidate what the other compared. Check and cleanup both walk
// the whole index, so one of them at a time. A lazy refresh re-reads the sidecar of one entry
// because a reader met it expired: it must come through in the middle of a check or a cleanup, or
// reads would stay stale for as long as these run; and nothing is lost by it, since a refresh of
// unchanged content moves neither log nor digest, a changed one is a logged change like any other,
// and cleanup and check meet it by base revision and position. So it refuses none of them either:
// on a store that is read all the time some lazy refresh always runs, and a cleanup that waited
// for a moment without one would wait for ever. The relation is symmetric: "beside" never depends
// on who came first.
//
// Those who wait. A refused request that names itself keeps a place, for as long as it tries again
// at least every kWaiterLife. A free lock is kept for one who waits from anybody who conflicts
// with it and comes after it: first those who have waited kPatience, the longest first, whatever
// their class; then by class. A holder is never asked to yield by a lower class.
#pragma once

#include <functional>
#include <optional>

#include "core/locks/lock_record.hpp"

namespace artcache::locks {

inline constexpr std::chrono::seconds kPatience{60};
inline constexpr std::chrono::seconds kWaiterLife{5};
/// Lazy refreshes are many at once; beyond this even they are refused.
inline constexpr std::size_t kHoldersMost = 256;
/// Beyond this a refused request keeps no place.
inline constexpr std::size_t kWaitersMost = 64;

/// Whether two holders of these classes exclude each other. Symmetric.
bool conflicts(LockClass a, LockClass b);

/// What is known of the process behind a record.
enum class Liveness : std::uint8_t {
  alive,    ///< its kernel lock is held, though it may be stopped
  dead,     ///< it can never commit again
  unknown,  ///< on another host, or no kernel lock to ask: time decides
};
using LivenessOf = std::function<Liveness(const LockRecord&)>;

struct AcquireRequest {
  /// What the holder would be written as, without fence and moments. A second request with one
  /// owner and class takes the place of the first: its grant was never heard of.
  LockRecord wanted;
  std::string waiter;  ///< LockRequest::waiter
};

/// What to write, whether granted or not, in this order.
struct AcquireDecision {
  std::vector<std::uint64_t> evict;  ///< fences of holders to take away
  std::vector<LockRecord> changed;   ///< holders to write again: asked to yield, or a mended end
  std::vector<Waiter> forget;        ///< to take away
  std::optional<Waiter> wait;        ///< to put, in place of the one of this name and class
  /// The new holder. Its fence is 0: to be minted in the same transaction.
  std::optional<LockRecord> grant;

  // Why not, when there is no grant.
  std::vector<LockRecord> blockers;  ///< holders in the way
  std::optional<Waiter> behind;      ///< who comes first
};

/// A holder in the way is put out if its process is dead, or if its time is over and nothing else
/// is in the way. So is one of the class that is granted, though that may be shared: who holds it
/// knows then that of its kind only those in time can commit. One whose time is over and whom
/// nobody minds stays: its late commits do no harm.
AcquireDecision decide_acquire(const ElementLocks& locks, const AcquireRequest& request, Time now,
                               const LivenessOf& liveness_of);

/// busy, for people: which class of which element, who holds it where, or who comes first.
Error busy_error(const LockRequest& request, const AcquireDecision& decision, Time now);

struct RenewDecision {
  LockRecord record;  ///< to write
  RenewOutcome outcome = RenewOutcome::renewed;
};
/// Nothing when the holder is not registered any more. One whose time is over but who was not put
/// out is prolonged like any other.
std::optional<RenewDecision> decide_renew(const ElementLocks& locks, std::uint64_t fence,
                                          std::string_view owner, std::string_view progress,
                                          Time now);
/// What a renewal, or a commit, of somebody not registered ends with.
Error lost_error(std::string_view element, LockClass lock_class, std::uint64_t fence);

/// The fence to take away; nothing when it is gone already.
std::optional<std::uint64_t> decide_release(const ElementLocks& locks, std::uint64_t fence,
                                            std::string_view owner);

/// All holders of the class, alive or not.
std::vector<std::uint64_t> decide_break(const ElementLocks& locks, LockClass lock_class);

/// What is of no use to anybody: holders that are dead, and those who stopped waiting. Never a
/// holder that is merely late.
AcquireDecision decide_sweep(const ElementLocks& locks, Time now, const LivenessOf& liveness_of);

/// The state after the decision, for backends that keep it as it is.
void apply(ElementLocks& locks, const AcquireDecision& decision);
void apply(ElementLocks& locks, const RenewDecision& decision);
void evict(ElementLocks& locks, std::uint64_t fence);

}  // namespace artcache::locks
