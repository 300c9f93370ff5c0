// SPDX-License-Identifier: Apache-2.0
// A bounded number of connections, handed out in the order in which they were asked for.
#pragma once

#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <artcache/result.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sql/sql.hpp"
#include "util/mutex.hpp"

namespace artcache::sql {

class Pool;

/// The use of one connection. Given back when it is destroyed: an open transaction is rolled back,
/// and a connection that is not healthy is closed instead of kept.
class Lease {
 public:
  Lease(Lease&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), connection_(std::move(other.connection_)) {}
  Lease& operator=(Lease&& other) noexcept;
  ~Lease() { give_back(); }

  [[nodiscard]] Connection& operator*() const { return *connection_; }
  [[nodiscard]] Connection* operator->() const { return connection_.get(); }
  /// Closes it when it is given back, whatever its state.
  void discard() { discarded_ = true; }

 private:
  friend class Pool;
  Lease(Pool& pool, std::unique_ptr<Connection> connection)
      : pool_(&pool), connection_(std::move(connection)) {}
  void give_back();

  Pool* pool_;
  std::unique_ptr<Connection> connection_;
  bool discarded_ = false;
};

struct PoolOptions {
  std::function<Result<std::unique_ptr<Connection>>(const Call&)> open;
  std::size_t connections_most = 4;
  /// What connections_most is called where it is set; named when it is reached.
  std::string limit_name = "connections_most";
  const Clock* clock = &system_clock();
};

/// Safe to call from any thread. Opens a connection when all are in use, up to the limit, and keeps
/// it. Outlives its leases.
class Pool {
 public:
  explicit Pool(PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// The connection has `call` set, which must outlive the lease. Errors: timed_out (names the
  /// limit when all were in use until the deadline), cancelled, and those of opening.
  Result<Lease> acquire(const Call& call);

  /// Closes those that nobody uses.
  void close_idle();

  struct Counts {
    std::size_t open, idle, waiting;
  };
  [[nodiscard]] Counts counts() const;

 private:
  friend class Lease;
  struct Waiter {
    util::CondVar turn;
  };

  /// A slot is ours when it returns; the connection in it may be missing.
  Result<std::unique_ptr<Connection>> wait_for_turn(const Call& call);
  [[nodiscard]] bool is_free() const ARTCACHE_REQUIRES(mutex_);
  void wake_next() ARTCACHE_REQUIRES(mutex_);
  void give_back(std::unique_ptr<Connection> connection, bool keep);

  const PoolOptions options_;
  mutable util::Mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_ ARTCACHE_GUARDED_BY(mutex_);  ///< used last: back
  std::size_t open_ ARTCACHE_GUARDED_BY(mutex_) = 0;  ///< idle, leased, and being opened
  std::deque<Waiter*> waiters_ ARTCACHE_GUARDED_BY(mutex_);
};

}  // namespace artcache::sql
