// SPDX-License-Identifier: Apache-2.0
#include "sql/pool.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>

#include "util/try.hpp"

namespace artcache::sql {
namespace {

/// How late a set stop token, or a deadline on a clock moved by hand, may be noticed.
constexpr std::chrono::nanoseconds kLookEvery = std::chrono::milliseconds(5);

}  // namespace

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    give_back();
    pool_ = std::exchange(other.pool_, nullptr);
    connection_ = std::move(other.connection_);
    discarded_ = other.discarded_;
  }
  return *this;
}

void Lease::give_back() {
  if (pool_ == nullptr) return;
  connection_->rollback();
  connection_->set_call(nullptr);
  const bool keep = !discarded_ && connection_->healthy();
  std::exchange(pool_, nullptr)->give_back(std::move(connection_), keep);
}

Pool::Pool(PoolOptions options) : options_(std::move(options)) {
  assert(options_.open && options_.connections_most > 0);
}

Pool::~Pool() { assert(counts().open == counts().idle && "a lease outlives its pool"); }

bool Pool::is_free() const { return !idle_.empty() || open_ < options_.connections_most; }

void Pool::wake_next() {
  if (!waiters_.empty() && is_free()) waiters_.front()->turn.notify_one();
}

Result<std::unique_ptr<Connection>> Pool::wait_for_turn(const Call& call) {
  const util::MutexLock lock(mutex_);
  Waiter self;
  waiters_.push_back(&self);
  Result<void> in_time = call.check("sql: acquire a connection", *options_.clock);
  while (in_time && !(waiters_.front() == &self && is_free())) {
    self.turn.wait_for(mutex_, std::min(kLookEvery, call.remaining(*options_.clock)));
    in_time = call.check("sql: acquire a connection", *options_.clock);
  }
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), &self));
  if (!in_time) {
    Error error = std::move(in_time).error();
    if (!is_free() || !waiters_.empty())
      error.message += ", all " + std::to_string(options_.connections_most) + " (" +
                       options_.limit_name + ") were in use";
    wake_next();
    return error;
  }
  std::unique_ptr<Connection> connection;
  if (idle_.empty()) {
    ++open_;
  } else {
    connection = std::move(idle_.back());
    idle_.pop_back();
  }
  wake_next();
  return connection;
}

Result<Lease> Pool::acquire(const Call& call) {
  ARTCACHE_TRY(auto connection, wait_for_turn(call));
  if (connection == nullptr) {
    // Opening may wait, throw, or take other locks: never under ours.
    struct Slot {
      Pool* pool;
      ~Slot() {
        if (pool != nullptr) pool->give_back(nullptr, false);
      }
    } slot{this};
    ARTCACHE_TRY(connection, options_.open(call));
    slot.pool = nullptr;
  }
  connection->set_call(&call);
  return Lease(*this, std::move(connection));
}

void Pool::give_back(std::unique_ptr<Connection> connection, bool keep) {
  // A connection that is closed may move its log into the database first, outside the mutex.
  if (!keep) connection.reset();
  const util::MutexLock lock(mutex_);
  if (keep)
    idle_.push_back(std::move(connection));
  else
    --open_;
  wake_next();
}

void Pool::close_idle() {
  std::vector<std::unique_ptr<Connection>> closing;
  {
    const util::MutexLock lock(mutex_);
    closing.swap(idle_);
  }
  const std::size_t closed = closing.size();
  closing.clear();
  const util::MutexLock lock(mutex_);
  open_ -= closed;
  wake_next();
}

Pool::Counts Pool::counts() const {
  const util::MutexLock lock(mutex_);
  return {open_, idle_.size(), waiters_.size()};
}

}  // namespace artcache::sql
