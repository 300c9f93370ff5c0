// SPDX-License-Identifier: Apache-2.0
// The holder's side of a lease: when to renew, when to stop. Asked at every safe point of the work.
#pragma once

#include <artcache/lock_manager.hpp>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace artcache::locks {

/// Moves the two moments of a lease for a TTL that began when the request for it was about to be
/// sent. The backend counts from its arrival, later, so the lease ends here before it ends there;
/// a twentieth of the TTL is taken off besides, for clocks that do not run alike.
void set_times(Lease& lease, Clock::SteadyTime sent, std::chrono::milliseconds ttl);

/// For one thread. Knows no clock and calls nobody: it is told what happened, and says what to do.
/// What it says of losing the lease only saves work; the fence alone protects.
class LeaseKeeper {
 public:
  enum class Step : std::uint8_t {
    work,   ///< go on
    renew,  ///< call LockManager::renew(), then tell renewed() or failed(), and go on
    yield,  ///< stop here, release, come again later: a higher class waits
    lose,   ///< stop without another commit: lease_lost
  };
  /// A holder learns that it is to yield when it renews, so it does that more often than a third of
  /// a long TTL would ask for.
  static constexpr std::chrono::milliseconds kRenewEvery{1000};
  /// Between renewals that failed: twice as long each time, never more than a quarter of what is
  /// left of the lease, nor less than the least.
  static constexpr std::chrono::milliseconds kRetryLeast{10}, kRetryFirst{100}, kRetryMost{5000};

  LeaseKeeper(Lease lease, Clock::SteadyTime now);

  /// Once yield, always yield or lose; once lose, always lose, whatever is told afterwards.
  Step next(Clock::SteadyTime now);
  /// The lease as renew() left it.
  void renewed(const Lease& lease, RenewOutcome outcome, Clock::SteadyTime now);
  /// lease_lost ends it; after anything else it is tried again for as long as the lease lasts.
  void failed(const Error& error, Clock::SteadyTime now);

  /// Not before this moment will next() say anything but what it says now, unless told something.
  [[nodiscard]] Clock::SteadyTime wake_at() const;
  [[nodiscard]] const Lease& lease() const { return lease_; }
  /// Why it was lost, for the error of the operation; only after lose.
  [[nodiscard]] Error lost(std::string_view operation) const;

 private:
  void plan(Clock::SteadyTime now);

  enum class Loss : std::uint8_t { none, told, time };

  Lease lease_;
  Clock::SteadyTime due_;
  std::chrono::milliseconds retry_{0};  // 0 while the last renewal was a success
  bool yield_ = false;
  Loss loss_ = Loss::none;
};

/// Renews the lease if the keeper asks for it, and returns what it says then: anything but renew.
LeaseKeeper::Step keep_up(LeaseKeeper& keeper, LockManager& manager, std::string_view progress,
                          const Clock& clock, const Call& call);

}  // namespace artcache::locks
