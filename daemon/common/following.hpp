// SPDX-License-Identifier: Apache-2.0
// Keeps the tables of a role in step with storage elements, a thread for each.
#pragma once

#include <artcache/follower.hpp>
#include <artcache/json_writer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/replica_sink.hpp"
#include "util/mutex.hpp"

namespace artcache::replica {

/// Opens the log of an element. Errors: invalid_argument (no such address), unsupported.
using OpenLog = std::function<Result<std::unique_ptr<LogSource>>(const Owner& element)>;

/// What a full comparison has changed.
struct Synced {
  std::uint64_t added = 0, updated = 0, deleted = 0;
  Position position;
};

struct FollowingStatus {
  Owner element;
  FollowStatus follow;
  SinkCounts counts;
};

/// One JSON object, as those who run a role see it; ages as of `now`.
void append_status(JsonWriter& json, const FollowingStatus& status, Timestamp now);

/// One element. Safe to use from any thread.
class Following {
 public:
  Following(const Replica& replica, Owner element, std::unique_ptr<LogSource> log,
            FollowSettings settings, const Deps& deps);
  ~Following() { stop(); }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;

  /// Follows from now on, on a thread of its own. Once more is nothing; so it is after stop().
  void start();
  void stop();

  [[nodiscard]] const Owner& element() const { return element_; }
  [[nodiscard]] FollowingStatus status() const;
  /// Compares everything there is with the element and makes the differences good. Waits for
  /// another one. Errors: those of the element and of the database.
  Result<Synced> sync_full(const Call& call);
  /// Tries a dead letter again, as the element has it by now. Whether it is none any more.
  /// Errors: not_found (there is no such letter), those of the element and of the database.
  Result<bool> retry(const std::string& key, const Call& call);

 private:
  /// Nobody follows while `work` runs.
  template <class Work>
  auto alone(Work work) -> decltype(work());
  void resume() ARTCACHE_REQUIRES(mutex_);

  const Replica replica_;
  const Owner element_;
  const Deps deps_;
  const std::unique_ptr<LogSource> log_;
  const Clock::SteadyTime made_at_;
  Sink sink_;
  Follower follower_;
  util::Mutex mutex_;
  std::jthread thread_ ARTCACHE_GUARDED_BY(mutex_);
  bool wanted_ ARTCACHE_GUARDED_BY(mutex_) = false, ended_ ARTCACHE_GUARDED_BY(mutex_) = false;
};

/// All elements that were ever named, by id. One that is not named any more is still followed: its
/// files are there, and the status tells whether it answers. Safe to use from any thread.
class Fleet {
 public:
  Fleet(const Replica& replica, OpenLog open, FollowSettings settings, const Deps& deps)
      : replica_(replica), open_(std::move(open)), settings_(settings), deps_(deps) {}

  /// Begins to follow elements that are new; one that has moved is followed where it is now.
  void update(const std::vector<Owner>& elements);
  void stop();

  [[nodiscard]] std::vector<std::shared_ptr<Following>> all() const;
  /// Null when nobody has named such an element.
  [[nodiscard]] std::shared_ptr<Following> find(std::string_view element) const;
  /// How far each is behind its element, as gauges.
  void measure() const;

 private:
  const Replica replica_;
  const OpenLog open_;
  const FollowSettings settings_;
  const Deps deps_;
  mutable util::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Following>, std::less<>> elements_
      ARTCACHE_GUARDED_BY(mutex_);
  bool stopped_ ARTCACHE_GUARDED_BY(mutex_) = false;
};

}  // namespace artcache::replica
