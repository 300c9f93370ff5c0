// SPDX-License-Identifier: Apache-2.0
// Who may rebuild, check, refresh or clean up one element's index, and for how long.
#pragma once

#include <artcache/call.hpp>
#include <artcache/export.hpp>
#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

/// From the highest to the lowest. A holder refuses its own class and lower ones, and is asked to
/// yield to higher ones. lazy_rebuild is apart: it excludes and is excluded by manual_rebuild
/// alone, and runs beside all others, its own included.
enum class LockClass : std::uint8_t {
  manual_rebuild = 1,
  manual_check = 2,
  lazy_rebuild = 3,
  background_cleanup = 4,
};
/// The wire name: "manual_rebuild", …
ARTCACHE_EXPORT std::string_view to_string(LockClass lock_class);
/// The class with this wire name, or nothing.
ARTCACHE_EXPORT std::optional<LockClass> parse_lock_class(std::string_view name);
/// 1800 s, 600 s, 30 s, 300 s.
ARTCACHE_EXPORT std::chrono::milliseconds default_ttl(LockClass lock_class);

/// Proof of a grant. A value: copying it copies the proof, not the lock.
struct Lease {
  std::string element;
  LockClass lock_class = LockClass::manual_rebuild;
  std::string owner;        ///< made with the grant; no other has it
  std::uint64_t fence = 0;  ///< minted by the index; goes along with every apply()
  /// When the holder must have renewed, on its own steady clock: earlier than the record's end.
  Clock::SteadyTime renew_before{};
  /// When the holder must have stopped unless it has renewed.
  Clock::SteadyTime valid_until{};
};

struct LockRequest {
  std::string element;  ///< 1 to 70 of letters, digits, '.', '_' and '-'
  LockClass lock_class = LockClass::manual_rebuild;
  std::string operation;                         ///< for people: "full rebuild", "check"
  std::optional<std::chrono::milliseconds> ttl;  ///< default_ttl() otherwise; 100 ms to 24 hours
  /// Who asks: a text of its own for everyone who waits, the same in every retry. It keeps the
  /// place of a refused request for 5 s, until the next try: meanwhile no lower class gets in, and
  /// after 60 s of trying nobody who came later. Empty for one who does not come again.
  std::string waiter;
};

/// What is known of a holder, for people and for `locks list`.
struct LockHolder {
  std::string element;
  LockClass lock_class = LockClass::manual_rebuild;
  std::string owner, host, operation, progress;
  std::uint64_t fence = 0;
  Timestamp acquired_at;
  std::chrono::milliseconds age{0}, expires_in{0};  ///< below 0: late, and a holder still
  bool asked_to_yield = false;
};

/// What a renewal found.
enum class RenewOutcome : std::uint8_t {
  renewed,
  asked_to_yield,  ///< renewed too, but a higher class waits: stop at the next safe point
};

/// Safe to call from any thread. Never waits for a holder. A lease is a hint that saves work: what
/// protects the index is the fence, which every commit under the lease is checked against. A
/// manager that is destroyed, like a process that ends, frees what it granted and nobody released.
/// Any call may also end in timed_out, cancelled, or corrupt (a record that cannot be read).
class ARTCACHE_EXPORT LockManager {
 public:
  virtual ~LockManager() = default;

  /// Grants the lock if nobody holds one that refuses it. A lower holder in the way is asked to
  /// yield, and the call is busy until it has.
  /// Errors: busy (the message names class, holder and host), invalid_argument, unavailable.
  virtual Result<Lease> try_acquire(const LockRequest& request, const Call& call) = 0;

  /// Prolongs the lease by its TTL; `progress` is for people. To be called at safe points, at
  /// least every third of the TTL. Errors: lease_lost, unavailable.
  virtual Result<RenewOutcome> renew(Lease& lease, std::string_view progress, const Call& call) = 0;

  /// Gives the lock back. A lease already lost is a success: the caller wanted not to hold it, and
  /// does not. Errors: unavailable.
  virtual Result<void> release(const Lease& lease, const Call& call) = 0;

  /// All holders of an element, highest class first; of every element when it is empty, by element.
  /// Whose process has died is no holder; who is late is one. Errors: invalid_argument,
  /// unavailable.
  virtual Result<std::vector<LockHolder>> list(std::string_view element, const Call& call) = 0;

  /// Takes a lock away from whoever holds it; the holder's next commit is lease_lost. True when
  /// there was one. Errors: invalid_argument, unavailable.
  virtual Result<bool> force_break(std::string_view element, LockClass lock_class,
                                   const Call& call) = 0;
};

// --- Where records are kept ---------------------------------------------------------------------

struct Deps;

/// The records of the holders of locks and of those who wait, as texts that only the lock manager
/// understands (docs/formats/lock-record.md).
struct LockRows {
  struct Holder {
    std::string element;
    std::uint64_t fence = 0;  ///< the key
    LockClass lock_class = LockClass::manual_rebuild;
    std::string text;
    /// Of no use any more after so long, for stores that forget by themselves; only when written.
    std::chrono::milliseconds life{0};
  };
  struct Waiter {
    std::string element;
    LockClass lock_class = LockClass::manual_rebuild;
    std::string name;  ///< element, class and name are the key
    std::string text;
  };
  std::vector<Holder> holders;
  std::vector<Waiter> waiters;
  std::uint64_t fence = 0;  ///< minted last by the index
  /// The time of the store, where several machines keep their records in it: nobody's own clock
  /// means anything to the others. Nothing: all are on one machine, whose steady clock counts.
  std::optional<std::chrono::microseconds> now = {};
  bool likely = false;  ///< may be out of date: see LockStore::likely_lock_rows()
};

/// What to write, the removals first.
struct LockEdit {
  std::vector<std::uint64_t> remove;     ///< holders, by fence
  std::vector<LockRows::Holder> put;     ///< in place of the one with this fence
  std::vector<LockRows::Waiter> forget;  ///< by key; the text does not matter
  std::vector<LockRows::Waiter> wait;    ///< in place of the one with this key
  std::uint64_t minted = 0;              ///< the highest fence made use of, or 0
};

/// What an index is to a lock manager. Safe to call from any thread.
class ARTCACHE_EXPORT LockStore {
 public:
  using Decide = std::function<Result<LockEdit>(const LockRows&)>;
  enum class Durability : std::uint8_t {
    now,      ///< needed where a fence is minted, so that it is never minted again
    relaxed,  ///< a power cut may undo it; no later commit is kept without it
  };

  virtual ~LockStore() = default;

  /// The records of one element, or of all when it is empty, at one moment.
  virtual Result<LockRows> lock_rows(std::string_view element, const Call& call) = 0;
  /// What lock_rows() would probably say of one element; asks nobody where enough is known. Only
  /// good for what change_locks() decides anew.
  virtual Result<LockRows> likely_lock_rows(std::string_view element, const Call& call) {
    return lock_rows(element, call);
  }
  /// Reads the records of an element, asks `decide`, and writes what it says together with the
  /// fence in the head, all in one transaction that nobody else writes in. `decide` is asked again
  /// where nothing of the time before was kept; an error of it ends the call with nothing written.
  /// It must not call this index, and mints a fence only where the durability is `now`.
  virtual Result<void> change_locks(std::string_view element, const Decide& decide,
                                    Durability durability, const Call& call) = 0;
  /// A file beside the index, for the kernel locks of holders.
  [[nodiscard]] virtual std::string owners_path() const = 0;
};

/// A manager of the locks that are kept in `store`, which must outlive it, as must what `deps`
/// names. Any number of managers, in any number of processes, may share one index.
/// Errors: unavailable, no_space, invalid_argument (all of the file at owners_path()).
ARTCACHE_EXPORT Result<std::unique_ptr<LockManager>> make_lock_manager(LockStore& store,
                                                                       const Deps& deps);

}  // namespace artcache
