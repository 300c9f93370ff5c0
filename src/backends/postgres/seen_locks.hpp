// SPDX-License-Identifier: Apache-2.0
// What an index was seen to say of locks, so that the usual grant and the usual release are decided
// before the server is asked, and take one statement each: it changes something only where what was
// seen still holds.
#pragma once

#include <artcache/lock_manager.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/postgres/schema.hpp"
#include "sql/postgres/connection.hpp"
#include "util/mutex.hpp"

namespace artcache::postgres {

/// Safe to call from any thread. Holds those elements alone that somebody holds a lock of or waits
/// for: of any other nothing is known, and it is probably free.
class SeenLocks {
 public:
  /// What was read for a call that began at `asked`, and then became of it.
  void note(std::string_view element, LockRows rows, const LockEdit& edit, Clock::SteadyTime asked)
      ARTCACHE_EXCLUDES(mutex_);
  /// One holder has come or gone, and nothing else was read.
  void note(std::string_view element, const LockEdit& edit) ARTCACHE_EXCLUDES(mutex_);

  [[nodiscard]] bool is_free(std::string_view element) const ARTCACHE_EXCLUDES(mutex_);
  /// The likely state, with the server's time as it must be by now. Nothing before the first
  /// note().
  [[nodiscard]] std::optional<LockRows> rows(std::string_view element, Clock::SteadyTime now) const
      ARTCACHE_EXCLUDES(mutex_);

 private:
  mutable util::Mutex mutex_;
  std::map<std::string, LockRows, std::less<>> held_ ARTCACHE_GUARDED_BY(mutex_);  ///< by element
  std::uint64_t fence_ ARTCACHE_GUARDED_BY(mutex_) = 0;
  std::optional<std::chrono::microseconds> now_ ARTCACHE_GUARDED_BY(mutex_);
  Clock::SteadyTime asked_ ARTCACHE_GUARDED_BY(mutex_);  ///< when it was now_, or earlier
};

/// Whether `edit` is all that a grant writes where nobody holds or waits; all that a release does.
bool is_usual_grant(std::string_view element, const LockRows& rows, const LockEdit& edit);
bool is_usual_release(const LockRows& rows, const LockEdit& edit);

/// The statements of these two, bound. Each is a transaction of its own that first takes the row of
/// the fence, as every writer of locks does, and returns a row if it has changed anything.
///
/// A grant that is committed after a statement began has moved the fence, so whom a grant does not
/// see cannot hold a lock; other writers only take holders away, or write one again that was there.
/// A release need not be durable: whom a power cut brings back ends with its time, and nothing is
/// ever written under its fence any more.
class UsualLocks {
 public:
  explicit UsualLocks(const Names& names);

  Result<sql::Statement*> grant(sql::PostgresConnection& connection, const LockRows& seen,
                                const LockEdit& edit) const;
  Result<sql::Statement*> release(sql::PostgresConnection& connection, const LockRows& seen,
                                  const LockEdit& edit) const;

 private:
  const std::string grant_, release_;
};

}  // namespace artcache::postgres
