// SPDX-License-Identifier: Apache-2.0
// The lock under which one operation runs: taken, renewed at safe points, given back.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/io_budget.hpp>
#include <artcache/lock_manager.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/locks/lease_keeper.hpp"

namespace artcache::reconcile {

/// For one thread. Released when it is destroyed.
class Session {
 public:
  /// Errors: busy, and those of the lock manager.
  static Result<Session> begin(LockManager& locks, const LockRequest& request, const Deps& deps,
                               const Call& call);
  Session(Session&&) noexcept = default;
  Session& operator=(Session&&) = delete;
  ~Session();

  /// A safe point: renews the lease when that is due. Nothing is left half done when it fails.
  /// Errors: lease_lost; busy when a higher class asked this operation to yield, see yielded();
  /// timed_out and cancelled of the call.
  Result<void> step(std::string_view progress);
  /// Takes from a budget, with safe points while that makes it wait: at a low rate a thousand files
  /// take longer than a lease lasts. Errors: those of step(); then nothing was taken.
  Result<void> take(IoBudget& budget, std::uint64_t files, std::uint64_t bytes);

  [[nodiscard]] std::uint64_t fence() const { return held_->keeper.lease().fence; }
  /// True once step() ended the work for the sake of a higher class: release, wait, begin again.
  [[nodiscard]] bool yielded() const { return held_->yielded; }
  [[nodiscard]] const Call& call() const { return held_->call; }

 private:
  struct Held {
    LockManager& locks;
    const Deps deps;
    const Call call;
    const std::string operation;
    locks::LeaseKeeper keeper;
    std::string progress = {};  // as it was told last
    bool yielded = false;
  };
  explicit Session(std::unique_ptr<Held> held) : held_(std::move(held)) {}

  std::unique_ptr<Held> held_;
};

}  // namespace artcache::reconcile
