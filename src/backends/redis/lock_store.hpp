// SPDX-License-Identifier: Apache-2.0
// Locks in Redis, for all who work on one index wherever they run; the index mints the fences.
//
// Kept: for each class of an element that is held a hash `cache_lock:{element}:{class}`, field =
// fence, value = record (docs/formats/lock-record.md), which ends by itself with the longest TTL in
// it; beside it `artcache:lock_waiters:{element}` and, for a day, `artcache:lock_last:{element}`,
// the fence of the last grant that put out others: of those one may be on its way, having been
// registered, and must not come through when that grant is over. One script compares all of it with
// what the decision was made on, and writes, or answers what is there now.
//
// A grant is made in three steps: the index registers the holder under a fence; Redis takes the
// record if nothing has moved; the index forgets whoever is registered and not in Redis. Who is
// there at the last step came through the second, and who comes later finds the record. So of two
// who conflict at most one is registered when its try_acquire() has returned, whatever becomes of
// Redis: its keys may be lost at any moment, and the next grant puts out whom they stood for.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/lock_manager.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "redis/connection.hpp"
#include "util/mutex.hpp"

namespace artcache::redis {

/// `index` must outlive it. Errors: invalid_argument (the address), and those of
/// Connection::open().
Result<std::unique_ptr<LockStore>> open_locks(const Url& url, LockStore& index, const Deps& deps,
                                              const Call& call);

class Locks final : public LockStore {
 public:
  Locks(Options options, LockStore& index, const Deps& deps)
      : client_(std::move(options)), index_(index), deps_(deps) {}

  /// Errors: busy where a key is held by another program (`SET key locked`, as the original does).
  Result<LockRows> lock_rows(std::string_view element, const Call& call) override;
  Result<LockRows> likely_lock_rows(std::string_view element, const Call& call) override;
  Result<void> change_locks(std::string_view element, const Decide& decide, Durability durability,
                            const Call& call) override;
  [[nodiscard]] std::string owners_path() const override { return index_.owners_path(); }

 private:
  /// How a lock of one class is taken, put together once.
  struct Taking {
    LockClass lock_class;
    std::string key;
    Script script;
  };
  /// Everything about one element at one moment.
  struct State {
    std::string last;  ///< the last fence of a long grant, or "-"
    LockRows rows;
    Clock::SteadyTime at{};                ///< when rows.now was, or later
    Clock::SteadyTime heard{};             ///< when the server last had its word in that
    std::shared_ptr<const Taking> taking;  ///< the last one, for the next; or null
  };
  using Seen = std::unique_ptr<State>;
  struct Swapped {
    bool done = false;
    State state;  ///< as it is now, either way
  };

  Result<Swapped> swap(const std::string& element, const State* seen, const LockEdit& edit,
                       const Call& call);
  /// swap() in short: a grant where nobody was seen to hold or wait, and nobody is put out; a
  /// release. False, with nothing done, where there is more than was seen, or less. What was seen
  /// is used up otherwise.
  Result<bool> take(const std::string& element, Seen& seen, LockEdit& edit, const Call& call);
  Result<bool> give(const std::string& element, Seen& seen, std::uint64_t fence, const Call& call);
  Result<Seen> read(const std::string& element, const Call& call);
  /// It is later by now.
  void pass_time(State& state) const;
  /// The time by now, as the scripts take it to compare with the server's.
  [[nodiscard]] std::string time_text(const State& state) const;
  [[nodiscard]] std::optional<LockRows> known(std::string_view element) ARTCACHE_EXCLUDES(mutex_);
  /// For who changes it, and has something else to remember when that is done. Or null.
  [[nodiscard]] Seen take_known(std::string_view element) ARTCACHE_EXCLUDES(mutex_);
  void remember(std::string_view element, Seen state) ARTCACHE_EXCLUDES(mutex_);
  void forget(const std::string& element) ARTCACHE_EXCLUDES(mutex_);
  std::shared_ptr<const Taking> taking_of(std::string_view element, LockClass lock_class)
      ARTCACHE_EXCLUDES(mutex_);

  Result<void> grant(const std::string& element, const Decide& decide, const Call& call);
  Result<void> edit(const std::string& element, const Decide& decide, const Call& call);
  /// Who is registered with the index and has no record in Redis: left over, or on the way.
  struct Strangers {
    std::vector<std::uint64_t> fences;
    bool are_new = false;  ///< some were not there when it was asked before
  };
  Result<LockEdit> mint(const std::string& element, State& state, const Decide& decide,
                        Strangers& strangers, const Call& call);
  void withdraw(const std::string& element, std::uint64_t fence);
  Result<void> unregister(const std::string& element, std::vector<std::uint64_t> fences,
                          const Call& call);
  Result<std::vector<std::string>> elements(const Call& call);

  Client client_;
  LockStore& index_;
  const Deps deps_;
  util::Mutex mutex_;
  std::map<std::string, Seen, std::less<>> known_ ARTCACHE_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<const Taking>> takings_ ARTCACHE_GUARDED_BY(mutex_);
};

}  // namespace artcache::redis
