// SPDX-License-Identifier: Apache-2.0
#include "core/locks/stored_lock_manager.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "core/locks/lease_keeper.hpp"
#include "core/locks/lock_record.hpp"
#include "core/locks/lock_table.hpp"
#include "util/host_name.hpp"
#include "util/mutex.hpp"
#include "util/owner_lock.hpp"
#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache {
namespace locks {
namespace {

using Durability = LockStore::Durability;

/// An index that was restored from an old copy mints fences again that living holders still have
/// their kernel locks on. There are no more of those than holders.
constexpr std::uint64_t kFencesSkippedMost = 16 * kHoldersMost;

/// No two are the same: the first half is random and of the manager, the second half counts.
class OwnerNames {
 public:
  OwnerNames() {
    std::array<std::uint8_t, 8> random{};
    util::fill_random(random);
    std::uint64_t number = 0;
    std::memcpy(&number, random.data(), sizeof number);
    write(first_.data(), number);
  }
  std::string next() {
    std::string name = first_;
    write(name.data() + 16, ++count_);
    return name;
  }

 private:
  static void write(char* to, std::uint64_t number) {
    for (to += 15; number != 0; --to, number >>= 4) *to = "0123456789abcdef"[number & 15];
  }
  std::string first_ = std::string(32, '0');
  std::atomic<std::uint64_t> count_ = 0;
};

Result<ElementLocks> decode(const LockRows& rows) {
  ElementLocks locks;
  for (const LockRows::Holder& row : rows.holders) {
    ARTCACHE_TRY(LockRecord record, decode_record(row.text));
    locks.holders.push_back(std::move(record));
  }
  for (const LockRows::Waiter& row : rows.waiters) {
    ARTCACHE_TRY(Waiter waiter, decode_waiter(row.text));
    locks.waiters.push_back(std::move(waiter));
  }
  return locks;
}

LockRows::Holder row_of(const std::string& element, const LockRecord& record, Time now) {
  return {element, record.fence, record.lock_class, encode(record),
          std::chrono::ceil<std::chrono::milliseconds>(record.expires - now)};
}

LockRows::Waiter row_of(const std::string& element, const Waiter& waiter) {
  return {element, waiter.lock_class, waiter.name, encode(waiter)};
}

/// All but the grant.
LockEdit edit_of(const std::string& element, const AcquireDecision& decision, Time now) {
  LockEdit edit;
  edit.remove = decision.evict;
  for (const LockRecord& record : decision.changed)
    edit.put.push_back(row_of(element, record, now));
  for (const Waiter& waiter : decision.forget) edit.forget.push_back(row_of(element, waiter));
  if (decision.wait) edit.wait.push_back(row_of(element, *decision.wait));
  return edit;
}

Result<void> check_element(std::string_view element) {
  LockRequest request;
  request.element = element;
  return check_request(request);
}

bool is_empty(const LockEdit& edit) {
  return edit.remove.empty() && edit.put.empty() && edit.forget.empty() && edit.wait.empty();
}

class StoredLockManager final : public LockManager {
 public:
  StoredLockManager(std::shared_ptr<LockStore> store, const Deps& deps, util::OwnerLocks owners)
      : store_(std::move(store)), deps_(deps), owners_(std::move(owners)) {}

  Result<Lease> try_acquire(const LockRequest& request, const Call& call) override {
    auto lease = acquire(request, call);
    const bool busy = !lease && lease.error().code == Errc::busy;
    count("artcache_lock_requests_total", request.lock_class,
          lease ? "granted" : (busy ? "busy" : "error"));
    return lease;
  }
  Result<RenewOutcome> renew(Lease& lease, std::string_view progress, const Call& call) override;
  Result<void> release(const Lease& lease, const Call& call) override;
  Result<std::vector<LockHolder>> list(std::string_view element, const Call& call) override;
  Result<bool> force_break(std::string_view element, LockClass lock_class,
                           const Call& call) override;

 private:
  void count(std::string_view name, LockClass lock_class, std::string_view outcome) const {
    const std::array<MetricLabel, 2> labels{
        {{"lock_type", to_string(lock_class)}, {"outcome", outcome}}};
    deps_.metrics->count(name, labels, 1);
  }
  Result<Lease> acquire(const LockRequest& request, const Call& call);
  /// One request while it is being decided, and what became of it.
  struct Attempt {
    const LockRequest& request;
    AcquireRequest wanted;
    AcquireDecision decision = {};
    util::OwnerLock owner_lock = {};
    Time decided{0};
    Clock::SteadyTime asked{}, sent{};
    bool likely_free = false, granted = false;
  };

  /// By the clock that the times in these records were read off.
  [[nodiscard]] Time time(const LockRows& rows) const {
    if (rows.now) return *rows.now;
    return std::chrono::duration_cast<Time>(deps_.clock->steady().time_since_epoch());
  }
  /// When on our clock it was time(rows), or earlier: another's clock is read after we `asked`.
  [[nodiscard]] Clock::SteadyTime moment(const LockRows& rows, Clock::SteadyTime asked) const {
    return rows.now ? asked : deps_.clock->steady();
  }
  [[nodiscard]] Liveness liveness(const LockRecord& record, const LockRows& rows) const;
  [[nodiscard]] LivenessOf liveness_in(const LockRows& rows) const {
    return [this, &rows](const LockRecord& record) { return liveness(record, rows); };
  }
  [[nodiscard]] AcquireRequest wanted_by(const LockRequest& request);
  Result<void> look(Attempt& attempt, const Call& call);
  void see(Attempt& attempt, const LockRows& rows, const ElementLocks& locks) const;
  Result<LockEdit> decide(Attempt& attempt, const LockRows& rows, Durability durability);
  Result<void> mint(Attempt& attempt, std::uint64_t minted_last);
  void keep(util::OwnerLock lock) ARTCACHE_EXCLUDES(mutex_);
  /// After their rows are gone: to others a row without its kernel lock is a dead holder's.
  void drop(std::span<const std::uint64_t> fences) ARTCACHE_EXCLUDES(mutex_);

  const std::shared_ptr<LockStore> store_;
  const Deps deps_;
  const util::OwnerLocks owners_;
  const std::string host_ = util::host_name();
  const std::string boot_ = util::boot_id();
  OwnerNames owner_names_;

  util::Mutex mutex_;
  std::map<std::uint64_t, util::OwnerLock> held_ ARTCACHE_GUARDED_BY(mutex_);  ///< by fence
};

Liveness StoredLockManager::liveness(const LockRecord& record, const LockRows& rows) const {
  // Of another run of a kernel: on one machine nobody survives that, but it may be another machine.
  if (rows.now && !record.place.starts_with(boot_ + "/")) return Liveness::unknown;
  const auto state = owners_.probe(record.place, record.fence);
  if (!state || *state == util::OwnerLocks::State::unknown) return Liveness::unknown;
  return *state == util::OwnerLocks::State::held ? Liveness::alive : Liveness::dead;
}

AcquireRequest StoredLockManager::wanted_by(const LockRequest& request) {
  AcquireRequest out;
  out.wanted.lock_class = request.lock_class;
  out.wanted.owner = owner_names_.next();
  out.wanted.host = host_;
  out.wanted.operation = request.operation;
  out.wanted.ttl = request.ttl.value_or(default_ttl(request.lock_class));
  out.waiter = request.waiter;
  return out;
}

void StoredLockManager::keep(util::OwnerLock lock) {
  const util::MutexLock guard(mutex_);
  const std::uint64_t fence = lock.number();
  held_.insert_or_assign(fence, std::move(lock));
}

void StoredLockManager::drop(std::span<const std::uint64_t> fences) {
  if (fences.empty()) return;
  const util::MutexLock guard(mutex_);
  for (const std::uint64_t fence : fences) held_.erase(fence);
}

void StoredLockManager::see(Attempt& attempt, const LockRows& rows,
                            const ElementLocks& locks) const {
  attempt.decided = time(rows);
  attempt.decision = decide_acquire(locks, attempt.wanted, attempt.decided, liveness_in(rows));
}

/// What would be decided now, by a read alone; a refusal is never guessed.
Result<void> StoredLockManager::look(Attempt& attempt, const Call& call) {
  ARTCACHE_TRY(LockRows rows, store_->likely_lock_rows(attempt.request.element, call));
  // Where nobody is there is nothing to be refused by.
  attempt.likely_free = rows.likely && rows.holders.empty() && rows.waiters.empty();
  if (attempt.likely_free) return {};
  if (rows.likely) {
    if (const auto locks = decode(rows)) see(attempt, rows, *locks);
    if (attempt.decision.grant) return {};
    ARTCACHE_TRY(rows, store_->lock_rows(attempt.request.element, call));
  }
  ARTCACHE_TRY(const ElementLocks locks, decode(rows));
  see(attempt, rows, locks);
  return {};
}

Result<Lease> StoredLockManager::acquire(const LockRequest& request, const Call& call) {
  ARTCACHE_CHECK(check_request(request));
  Attempt attempt{.request = request, .wanted = wanted_by(request)};
  // Who is refused comes again and again, and need not wait for the disk each time.
  ARTCACHE_CHECK(look(attempt, call));
  while (!attempt.granted) {
    const auto& seen = attempt.decision;
    const bool may_be = seen.grant || std::exchange(attempt.likely_free, false);
    if (!may_be && is_empty(edit_of(request.element, seen, attempt.decided)))
      return busy_error(request, seen, attempt.decided);
    const Durability durability = may_be ? Durability::now : Durability::relaxed;
    attempt.asked = deps_.clock->steady();
    const auto by_rows = [&](const LockRows& rows) { return decide(attempt, rows, durability); };
    ARTCACHE_CHECK(store_->change_locks(request.element, std::ref(by_rows), durability, call));
    drop(seen.evict);
    if (!seen.grant) return busy_error(request, seen, attempt.decided);
  }
  LockRecord& record = *attempt.decision.grant;
  Lease lease;
  lease.element = request.element;
  lease.lock_class = record.lock_class;
  lease.owner = std::move(record.owner);
  lease.fence = record.fence;
  set_times(lease, attempt.sent, record.ttl);
  keep(std::move(attempt.owner_lock));
  return lease;
}

Result<LockEdit> StoredLockManager::decide(Attempt& attempt, const LockRows& rows,
                                           Durability durability) {
  ARTCACHE_TRY(const ElementLocks locks, decode(rows));
  attempt.granted = false;
  // What was decided before was not kept. Its fence may by now be that of a holder who was killed
  // while the server was granting, and our kernel lock would make that one look alive.
  attempt.owner_lock.release();
  attempt.sent = moment(rows, attempt.asked);
  see(attempt, rows, locks);
  if (attempt.decision.grant && durability != Durability::now) {
    // Free since it was looked at: to be asked again, and nothing is done yet.
    attempt.decision.evict.clear();
    return LockEdit();
  }
  LockEdit edit = edit_of(attempt.request.element, attempt.decision, attempt.decided);
  if (!attempt.decision.grant) return edit;
  ARTCACHE_CHECK(mint(attempt, rows.fence));
  edit.minted = attempt.decision.grant->fence;
  edit.put.push_back(row_of(attempt.request.element, *attempt.decision.grant, attempt.decided));
  attempt.granted = true;
  return edit;
}

/// The kernel lock is taken before anybody can read the record that names it.
Result<void> StoredLockManager::mint(Attempt& attempt, std::uint64_t minted_last) {
  for (std::uint64_t fence = minted_last + 1; fence <= minted_last + kFencesSkippedMost; ++fence) {
    auto lock = owners_.hold(fence);
    if (!lock && lock.error().code == Errc::conflict) continue;
    if (!lock) return std::move(lock).error();
    LockRecord& record = *attempt.decision.grant;
    record.fence = fence;
    record.place = lock->place();
    record.acquired_at = deps_.clock->now();
    attempt.owner_lock = std::move(*lock);
    return {};
  }
  return Error{Errc::unavailable, "lock: all of the " + std::to_string(kFencesSkippedMost) +
                                      " next fences are held in '" + owners_.path() + "'"};
}

Result<RenewOutcome> StoredLockManager::renew(Lease& lease, std::string_view progress,
                                              const Call& call) {
  std::optional<RenewDecision> decision;
  const Clock::SteadyTime asked = deps_.clock->steady();
  Clock::SteadyTime sent;
  const auto decide = [&](const LockRows& rows) -> Result<LockEdit> {
    ARTCACHE_TRY(const ElementLocks locks, decode(rows));
    sent = moment(rows, asked);
    const Time now = time(rows);
    decision = decide_renew(locks, lease.fence, lease.owner, progress, now);
    LockEdit edit;
    if (!decision) return lost_error(lease.element, lease.lock_class, lease.fence);
    edit.put.push_back(row_of(lease.element, decision->record, now));
    return edit;
  };
  const auto renewed = store_->change_locks(lease.element, decide, Durability::relaxed, call);
  const bool lost = !renewed && renewed.error().code == Errc::lease_lost;
  count("artcache_lock_renewals_total", lease.lock_class,
        renewed ? "renewed" : (lost ? "lost" : "error"));
  if (lost) drop({&lease.fence, 1});
  if (!renewed) return renewed.error();
  set_times(lease, sent, decision->record.ttl);
  return decision->outcome;
}

Result<void> StoredLockManager::release(const Lease& lease, const Call& call) {
  const auto decide = [&](const LockRows& rows) -> Result<LockEdit> {
    LockEdit edit;
    const auto own = std::ranges::find(rows.holders, lease.fence, &LockRows::Holder::fence);
    if (own != rows.holders.end() && is_of(own->text, lease.owner)) {
      edit.remove.push_back(lease.fence);
      return edit;
    }
    ARTCACHE_TRY(const ElementLocks locks, decode(rows));
    if (const auto fence = decide_release(locks, lease.fence, lease.owner))
      edit.remove.push_back(*fence);
    return edit;
  };
  auto released = store_->change_locks(lease.element, std::ref(decide), Durability::relaxed, call);
  // Also when the row could not be taken away: then it is now a dead holder's, and nobody minds it.
  drop({&lease.fence, 1});
  return released;
}

Result<std::vector<LockHolder>> StoredLockManager::list(std::string_view element,
                                                        const Call& call) {
  if (!element.empty()) ARTCACHE_CHECK(check_element(element));
  ARTCACHE_TRY(const LockRows rows, store_->lock_rows(element, call));
  const Time now = time(rows);
  std::vector<LockHolder> holders;
  for (const LockRows::Holder& row : rows.holders) {
    ARTCACHE_TRY(const LockRecord record, decode_record(row.text));
    if (liveness(record, rows) != Liveness::dead)
      holders.push_back(to_holder(row.element, record, now));
  }
  sort_holders(holders);
  return holders;
}

Result<bool> StoredLockManager::force_break(std::string_view element, LockClass lock_class,
                                            const Call& call) {
  const std::string name(element);
  ARTCACHE_CHECK(check_element(name));
  LockEdit edit;
  bool found = false;
  const auto decide = [&](const LockRows& rows) -> Result<LockEdit> {
    ARTCACHE_TRY(const ElementLocks locks, decode(rows));
    const Time now = time(rows);
    edit = edit_of(name, decide_sweep(locks, now, liveness_in(rows)), now);
    found = false;  // what was decided before was not kept
    for (const std::uint64_t fence : decide_break(locks, lock_class)) {
      if (std::ranges::find(edit.remove, fence) != edit.remove.end()) continue;
      edit.remove.push_back(fence);
      found = true;
    }
    return edit;
  };
  ARTCACHE_CHECK(store_->change_locks(name, decide, Durability::relaxed, call));
  drop(edit.remove);
  return found;
}

}  // namespace

Result<std::unique_ptr<LockManager>> manage(std::shared_ptr<LockStore> store, const Deps& deps) {
  ARTCACHE_TRY(util::OwnerLocks owners, util::OwnerLocks::open(store->owners_path()));
  return std::unique_ptr<LockManager>(
      std::make_unique<StoredLockManager>(std::move(store), deps, std::move(owners)));
}

}  // namespace locks

Result<std::unique_ptr<LockManager>> make_lock_manager(LockStore& store, const Deps& deps) {
  return locks::manage(std::shared_ptr<LockStore>(std::shared_ptr<void>(), &store), deps);
}

}  // namespace artcache
