// SPDX-License-Identifier: Apache-2.0
// Who changes files now: in this process, and in others.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/file_id.hpp>
#include <artcache/lock_manager.hpp>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>

#include "core/locks/lease_keeper.hpp"
#include "core/locks/lock_names.hpp"
#include "util/mutex.hpp"

namespace artcache::files {

/// The files that this process changes. Safe to call from any thread.
class InFlight {
 public:
  /// One change of a file; ends with the object.
  class Turn {
   public:
    Turn(InFlight& all, const FileId& id) : all_(&all), id_(id) {}
    Turn(Turn&& other) noexcept : all_(std::exchange(other.all_, nullptr)), id_(other.id_) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (all_ != nullptr) all_->leave(id_);
    }

   private:
    InFlight* all_;
    FileId id_;
  };

  /// Waits until nobody else changes this file; `others` says for people what that would be.
  /// Errors: timed_out, cancelled.
  Result<Turn> enter(const FileId& id, const Call& call, const Clock& clock,
                     std::string_view others = "another change of this file");
  [[nodiscard]] bool holds(const FileId& id) const;

 private:
  void leave(const FileId& id);

  mutable std::mutex mutex_;
  std::condition_variable_any left_;
  std::unordered_set<FileId> ids_;  // guarded by mutex_
};

/// Keeps other processes away from one file; given back with the object. For one thread.
class Claim {
 public:
  /// Errors: busy, and those of the lock manager.
  static Result<Claim> take(LockManager& locks, const FileId& id, std::string_view operation,
                            const Deps& deps, const Call& call);
  Claim(Claim&& other) noexcept
      : locks_(std::exchange(other.locks_, nullptr)),
        clock_(other.clock_),
        keeper_(std::move(other.keeper_)) {}
  Claim& operator=(Claim&&) = delete;
  ~Claim();

  /// Renews it when that is due; else costs nothing. Errors: lease_lost.
  Result<void> keep(const Call& call);

 private:
  Claim(LockManager& locks, const Clock& clock, Lease lease)
      : locks_(&locks), clock_(&clock), keeper_(std::move(lease), clock.steady()) {}
  LockManager* locks_;
  const Clock* clock_;
  locks::LeaseKeeper keeper_;
};

/// Tells others that a writer is alive: a shared lease that ends with its process. Its fence goes
/// with every commit, so that a writer that others had to take for dead changes nothing any more.
/// Safe to call from any thread.
class Presence {
 public:
  Presence(LockManager& locks, std::string_view element, const Deps& deps)
      : locks_(locks), element_(locks::lock_of_writers(element)), deps_(deps) {}
  ~Presence();
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  struct Mark {
    std::uint64_t fence = 0;
    Timestamp since;  ///< no intent is noted with an earlier time
  };
  /// Takes the lease, or renews it when that is due; else costs nothing. One does so for all: the
  /// others go on with the lease as it is, or wait where there is none, up to their deadlines.
  /// Errors: those of the lock manager, timed_out, cancelled.
  Result<Mark> mark(const Call& call);

  /// When the oldest of the other living writers began; nothing when there is none. One who has not
  /// renewed its lease in time counts as dead, and can commit nothing under it any more.
  Result<std::optional<Timestamp>> others_since(const Call& call);

 private:
  /// The lease, and what it says of this process.
  struct Held {
    std::optional<locks::LeaseKeeper> keeper;
    Mark mark;
  };
  Result<bool> begin_keeping(Held& held, const Call& call);
  [[nodiscard]] LockRequest request() const;
  Result<void> acquire(Held& held, const Call& call) const;

  LockManager& locks_;
  const std::string element_;
  const Deps deps_;
  util::Mutex mutex_;
  util::CondVar kept_;
  Held held_ ARTCACHE_GUARDED_BY(mutex_);
  bool keeping_ ARTCACHE_GUARDED_BY(mutex_) = false;  // somebody takes or renews it
};

}  // namespace artcache::files
