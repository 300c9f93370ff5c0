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
#include <set>
#include <stop_token>
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
  std::optional<Timestamp> gone_since;  ///< nobody has named it since; nothing: it is named
};

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
  /// What works on it meanwhile, sync_full() too, ends soon, with unavailable.
  void stop();
  /// There may be something new at the element.
  void wake() { follower_.wake(); }
  /// As Follower::hear().
  void hear(std::uint64_t epoch, std::uint64_t seq) { follower_.hear(epoch, seq); }
  /// Somebody names it; nobody does any more.
  void note_named();
  void note_gone();
  /// Nobody has named it, and it has not been in step, for so long.
  [[nodiscard]] bool gone_for(std::chrono::nanoseconds time) const;
  /// How far it is behind its element, as gauges; and that these end.
  void measure() const;
  void end_gauges() const;

  [[nodiscard]] const Owner& element() const { return element_; }
  [[nodiscard]] FollowingStatus status() const;
  /// As Follower::await().
  Result<void> await(const ReadBound& bound, const Call& call) {
    return follower_.await(bound, call);
  }
  /// Whether a position of that epoch is of this element's log, as is known here or as the element
  /// says when it is not. Errors: those of the element.
  Result<bool> owns(std::uint64_t epoch, const Call& call) const;
  /// Compares everything there is with the element and makes the differences good. Waits for
  /// another one. Errors: those of the element and of the database.
  Result<Synced> sync_full(const Call& call);
  /// Tries a dead letter again, as the element has it by now. Whether it is none any more.
  /// Errors: not_found (there is no such letter), those of the element and of the database.
  Result<bool> retry(const std::string& key, const Call& call);
  /// Nobody is told of a dead letter any more. False when there is none, or it was dropped before.
  /// Errors: those of the database.
  Result<bool> drop(const std::string& key, const Call& call);

 private:
  /// Nobody follows while `work` runs. Its call ends with the one given, and with stop().
  template <class Work>
  auto alone(const Call& call, Work work) -> decltype(work(call));
  void resume() ARTCACHE_REQUIRES(mutex_);
  using TellGauge =
      std::function<void(std::string_view name, Metrics::Labels labels, double value)>;
  void measure(const TellGauge& tell) const;

  const Replica replica_;
  const Owner element_;
  const Deps deps_;
  const std::unique_ptr<LogSource> log_;
  const Clock::SteadyTime made_at_;
  mutable util::Mutex naming_;
  std::optional<Timestamp> gone_since_ ARTCACHE_GUARDED_BY(naming_);
  Sink sink_;
  Follower follower_;
  std::stop_source ending_;  ///< asked by stop()
  util::Mutex mutex_;
  std::jthread thread_ ARTCACHE_GUARDED_BY(mutex_);
  bool wanted_ ARTCACHE_GUARDED_BY(mutex_) = false, ended_ ARTCACHE_GUARDED_BY(mutex_) = false;
};

/// All elements that were ever named, by id. One that is not named any more is still followed: its
/// files are there, and the status tells since when nobody names it and whether it answers. When it
/// has neither been named nor answered for kGoneFor it is gone for good and gives its thread back;
/// its files stay in the tables, the status tells of it as they do, and who names it again finds it
/// where it was. Safe to use from any thread.
class Fleet {
 public:
  static constexpr std::chrono::hours kGoneFor{1};

  Fleet(const Replica& replica, OpenLog open, FollowSettings settings, const Deps& deps)
      : replica_(replica),
        open_(std::move(open)),
        settings_(settings),
        deps_(deps),
        made_at_(deps.clock->now()) {}

  /// `elements` are all that are named. Begins to follow those that are new; one that has moved is
  /// followed where it is now.
  void update(const std::vector<Owner>& elements);
  void stop();

  [[nodiscard]] std::vector<std::shared_ptr<Following>> all() const;
  /// Null when nobody has named such an element.
  [[nodiscard]] std::shared_ptr<Following> find(std::string_view element) const;
  /// Of all, by id; also of those that are in the tables and that nobody has named so far.
  /// Errors: those of the tables.
  [[nodiscard]] Result<std::vector<FollowingStatus>> statuses(const Call& call) const;
  /// The same as JSON, for those who run a role: `elements`, without those that only the tables
  /// know of while these cannot be read, and `in_step`, true when there is one and all are. None is
  /// that has dead letters, but for those that were dropped. Takes two seconds at most.
  [[nodiscard]] std::string status_json(const Call& call) const;
  /// Waits until a read of the tables that begins then keeps the bound, for not longer than the
  /// call lasts: `min_position` by the element whose log it is of, `max_staleness` by all of which
  /// files are kept, or both by the one that is named. Where an element is not followed any more a
  /// position is kept that was reached before, and nothing else. Errors: gone (a position of none
  /// of these logs), unavailable (not yet), not_found (no such element), cancelled, those of the
  /// elements and of the tables.
  Result<void> await(const ReadBound& bound, std::string_view element, const Call& call) const;
  /// Removes what is kept of an element that nobody names any more: its files, its dead letters,
  /// and how far this was with it. How many files these were. May be repeated after any error.
  /// Errors: conflict (somebody names it), not_found (nothing is kept of it), busy (somebody else
  /// is at it), unavailable (who has just begun does not know yet whom others name), those of the
  /// tables.
  Result<std::uint64_t> forget(std::string_view element, const Call& call);
  /// All of them ask their elements for news.
  void wake();
  /// As Following::measure(), each of them.
  void measure() const;

 private:
  /// Those that are gone for good.
  void let_go() ARTCACHE_REQUIRES(updating_);
  /// Stops, and keeps in mind since when nobody names it.
  void end(Following& one) ARTCACHE_REQUIRES(updating_);
  [[nodiscard]] std::vector<FollowingStatus> followed() const;
  /// Of which the tables know alone, and nobody of `asked` follows.
  Result<std::vector<Followed>> unfollowed(const std::vector<std::shared_ptr<Following>>& asked,
                                           const Call& call) const;
  /// Nobody follows it from here on, until it was forgotten. Errors: those of forget().
  Result<void> begin_forgetting(const std::string& element);
  Result<std::uint64_t> remove_kept(const std::string& element, const Call& call) const;
  static Result<void> await_position(const std::vector<std::shared_ptr<Following>>& asked,
                                     const Position& position, const Call& call);

  const Replica replica_;
  const OpenLog open_;
  const FollowSettings settings_;
  const Deps deps_;
  const Timestamp made_at_;
  util::Mutex updating_;  ///< taken before the other one
  mutable util::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Following>, std::less<>> elements_
      ARTCACHE_GUARDED_BY(mutex_);
  /// Those that were let go of, and since when nobody has named them.
  std::map<std::string, Timestamp, std::less<>> gone_ ARTCACHE_GUARDED_BY(mutex_);
  std::set<std::string, std::less<>> forgetting_ ARTCACHE_GUARDED_BY(mutex_);
  bool stopped_ ARTCACHE_GUARDED_BY(mutex_) = false;
};

/// What is said of Fleet::forget().
std::string forgotten_json(std::string_view element, std::uint64_t files);

}  // namespace artcache::replica
