// SPDX-License-Identifier: Apache-2.0
#include <artcache/follower.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <stop_token>
#include <utility>

#include "core/sync/follow_machine.hpp"
#include "core/sync/mender.hpp"
#include "core/sync/replica_note.hpp"
#include "util/here.hpp"
#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache {

using sync::FollowMachine;
using sync::Step;

class Follower::Impl {
 public:
  Impl(LogSource& source, ReplicaSink& replica, const FollowSettings& settings, const Deps& deps)
      : source_(source),
        replica_(replica),
        settings_(settings),
        deps_(deps),
        machine_(settings),
        in_step_at_(deps_.clock->steady()) {}

  Result<void> run(const Call& call) {
    ARTCACHE_CHECK(claim());
    const Running running(*this);
    Clock::SteadyTime audited = deps_.clock->steady();
    while (true) {
      if (auto ends = call.check("follow", *deps_.clock); !ends) return ends;
      if (deps_.clock->steady() - audited >= settings_.audit_interval) {
        const std::scoped_lock held(mutex_);
        machine_.on_audit_due();
        audited = deps_.clock->steady();
      }
      if (retry_is_due()) {
        const std::scoped_lock held(mutex_);
        machine_.on_retry_due();
      }
      const auto done = take_step(settings_.patience, call);
      if (!done) {
        if (auto ends = call.check("follow", *deps_.clock); !ends) return ends;
        note_failure(done.error(), call);
      }
    }
  }

  Result<FollowStatus> catch_up(const Call& call) {
    ARTCACHE_CHECK(claim());
    const Running running(*this);
    {
      const std::scoped_lock held(mutex_);
      machine_ = FollowMachine(settings_);
    }
    ARTCACHE_TRY(IndexHead goal, source_.head(call));
    bool retried = false;
    while (true) {
      ARTCACHE_CHECK(call.check("follow", *deps_.clock));
      // Only what the source has answered counts: a replica that is whole by itself may be ahead
      // of a source that was rewound.
      if (const auto now = status(); now.proven && now.state == FollowState::tailing &&
                                     now.source.epoch == now.position.epoch &&
                                     now.position.epoch == goal.position.epoch &&
                                     now.position.seq >= goal.position.seq) {
        const std::scoped_lock held(mutex_);
        if (dead_.empty() || (retried && machine_.next() == Step::read)) return now;
        if (!retried) machine_.on_retry_due();
        retried = retried || machine_.next() == Step::retry;
      }
      if (auto done = take_step(std::chrono::nanoseconds(0), call); !done) return done.error();
      if (next() == Step::pause) return Error{Errc::corrupt, status().last_error};
      if (status().position.epoch != goal.position.epoch) {
        ARTCACHE_TRY(goal, source_.head(call));
      }
    }
  }

  void hear(std::uint64_t epoch, std::uint64_t seq) {
    std::stop_source poll(std::nostopstate);
    {
      const std::scoped_lock held(mutex_);
      if (epoch != 0) {
        const Position& here = machine_.status().position;
        if (epoch == here.epoch && seq <= here.seq) return;
        machine_.on_heard(epoch, seq);
      }
      woken_ = true;
      poll = poll_;
      wake_.notify_all();
    }
    poll.request_stop();  // runs what others have hung on it, and therefore not under the lock
  }

  FollowStatus status() const {
    const std::scoped_lock held(mutex_);
    FollowStatus status = machine_.status();
    status.running = running_;
    status.in_step = machine_.in_step() && is_fresh();
    if (!status.in_step) status.age = deps_.clock->steady() - in_step_at_;
    return status;
  }

  Result<void> await(const ReadBound& bound, const Call& call) {
    const Clock::SteadyTime begun = deps_.clock->steady();
    std::optional<Position> goal;  // where the source was since
    while (true) {
      const std::uint64_t seen = steps_;
      ARTCACHE_TRY(const Kept kept, keeps(bound, goal, begun));
      if (kept == Kept::yes) return {};
      const bool over = call.remaining(*deps_.clock) <= std::chrono::nanoseconds::zero();
      if (over || call.stop.stop_requested()) return behind(bound, call);
      if (kept == Kept::unknown) {
        const Position before = status().position;
        const auto head = source_.head(call);
        if (!head && head.error().code == Errc::timed_out) return behind(bound, call);
        if (!head) return head.error();
        goal = head->position;
        // Put back: what the replica shows is not what the source has.
        if (goal->epoch == before.epoch && goal->seq < before.seq) return behind(bound, call);
        continue;
      }
      std::unique_lock held(mutex_);
      moved_.wait_for(held, call.stop, std::min(kLook, call.remaining(*deps_.clock)),
                      [&] { return steps_ != seen; });
    }
  }

  Result<void> look_at_dead(const Call& call) {
    ARTCACHE_CHECK(claim());
    const Running running(*this);
    ARTCACHE_TRY(auto standing, replica_.standing(call));
    const std::scoped_lock held(mutex_);
    machine_.on_dead(standing.dead);
    dead_ = std::move(standing.dead);
    return {};
  }

  std::vector<DeadLetter> dead_letters() const {
    const std::scoped_lock held(mutex_);
    return dead_;
  }

 private:
  /// So often a wait looks again, should it be woken by nobody.
  static constexpr std::chrono::nanoseconds kLook = std::chrono::milliseconds(10);

  enum class Kept : std::uint8_t { yes, not_yet, unknown /* where the source is */ };

  Result<Kept> keeps(const ReadBound& bound, const std::optional<Position>& goal,
                     Clock::SteadyTime begun) const {
    const std::scoped_lock held(mutex_);
    const FollowStatus& now = machine_.status();
    if (bound.min_position) {
      const auto reached = sync::check_reached(now.position, *bound.min_position);
      if (!reached && reached.error().code == Errc::gone) return reached.error();
      if (!reached) return Kept::not_yet;
    }
    if (!now.proven) return Kept::not_yet;
    if (!bound.max_staleness) return Kept::yes;
    if (goal) {
      // A log that is made anew, or put back, meanwhile never gets there.
      const bool reached = goal->epoch == now.position.epoch && goal->seq <= now.position.seq;
      return reached || current_at_ > begun ? Kept::yes : Kept::not_yet;
    }
    const bool ever = current_at_ != Clock::SteadyTime();
    return ever && begun - current_at_ <= *bound.max_staleness ? Kept::yes : Kept::unknown;
  }

  [[nodiscard]] Error behind(const ReadBound& bound, const Call& call) const {
    if (call.stop.stop_requested()) return Error{Errc::cancelled, "follow: the call was cancelled"};
    const FollowStatus now = status();
    std::string text = "read: the replica is at " + to_string(now.position) + ", " +
                       std::string(to_string(now.state));
    if (bound.min_position) text += ", and has not got to " + to_string(*bound.min_position);
    if (bound.max_staleness) text += ", and cannot vouch for being as fresh as was asked";
    return Error{Errc::unavailable, text};
  }

  struct Running {
    explicit Running(Impl& owner) : impl(owner) {}
    ~Running() {
      const std::scoped_lock held(impl.mutex_);
      impl.running_ = false;
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    Impl& impl;
  };

  Result<void> claim() {
    const std::scoped_lock held(mutex_);
    if (running_) return Error{Errc::busy, "follow: this follower is running already"};
    running_ = true;
    return {};
  }

  [[nodiscard]] Step next() const {
    const std::scoped_lock held(mutex_);
    return machine_.next();
  }

  Result<void> take_step(std::chrono::nanoseconds patience, const Call& call) {
    auto taken = step(patience, call);
    ++steps_;
    moved_.notify_all();
    return taken;
  }

  Result<void> step(std::chrono::nanoseconds patience, const Call& call) {
    switch (next()) {
      case Step::look:
        return look(call);
      case Step::resume:
        return resume(call);
      case Step::read:
        return read(patience, call);
      case Step::copy:
        return copy(call);
      case Step::mend:
        log(LogLevel::warning, "The replica differs from its source; looking for what differs",
            call);
        return mend(call);
      case Step::retry:
        return retry(call);
      case Step::pause:
        return pause(call);
    }
    return {};
  }

  Result<void> look(const Call& call) {
    ARTCACHE_TRY(auto standing, replica_.standing(call));
    const std::scoped_lock held(mutex_);
    machine_.on_standing(standing, deps_.clock->now());
    note_dead(std::move(standing.dead));
    note_in_step();
    return {};
  }

  /// Under the mutex. One that was not there before is tried again at once.
  void note_dead(std::vector<DeadLetter> dead) {
    const auto is_known = [this](const DeadLetter& one) {
      return std::ranges::any_of(dead_, [&](const DeadLetter& known) {
        return known.hash == one.hash && known.key == one.key;
      });
    };
    if (!std::ranges::all_of(dead, is_known)) {
      retry_at_ = {};
      retry_pause_ = {};
    }
    dead_ = std::move(dead);
  }

  [[nodiscard]] bool retry_is_due() const {
    const std::scoped_lock held(mutex_);
    return !dead_.empty() && deps_.clock->steady() >= retry_at_;
  }

  /// Under the mutex. The source has said so lately enough to vouch for it.
  [[nodiscard]] bool is_fresh() const {
    return deps_.clock->steady() - answered_at_ <= settings_.patience + kAnswerMost;
  }

  /// Under the mutex. What the source was last heard to have is all there.
  void note_in_step() {
    if (!machine_.in_step()) return;
    in_step_at_ = answered_at_;
    current_at_ = std::max(current_at_, asked_at_);
  }

  /// The replica was cut off after a batch and before the note of it: one of the rows that come
  /// next says exactly what it holds.
  Result<void> resume(const Call& call) {
    ARTCACHE_TRY(const auto standing, replica_.standing(call));
    const Digest holds = sync::expected_digest(standing);
    const auto slice =
        source_.read_after(standing.source, settings_.batch, std::chrono::nanoseconds(0), call);
    if (!slice && slice.error().code != Errc::gone) return slice.error();
    bool found = false;
    if (slice)
      for (const LogRow& row : slice->rows)
        if (!found && row.position.digest == holds) {
          ARTCACHE_CHECK(replica_.stand_at(row.position, call));
          found = true;
        }
    const std::scoped_lock held(mutex_);
    machine_.on_resumed(found);
    return {};
  }

  Result<void> read(std::chrono::nanoseconds patience, const Call& call) {
    const Position position = status().position;
    const Clock::SteadyTime asked = deps_.clock->steady();
    std::stop_source poll;
    const std::stop_callback ends(call.stop, [&] { poll.request_stop(); });
    Call polling = call;
    polling.stop = poll.get_token();
    {
      const std::scoped_lock held(mutex_);
      // Who was woken, or has not heard of the source, reads what is there, and nobody cuts that
      // short: however often somebody wakes it, every second reading is a whole one.
      machine_.on_asked();
      if (std::exchange(woken_, false) || !machine_.heard() || !is_fresh())
        patience = std::chrono::nanoseconds(0);
      else if (machine_.status().lag == 0)
        poll_ = poll;
    }
    auto slice = source_.read_after(position, settings_.batch, patience, polling);
    const Clock::SteadyTime answered = deps_.clock->steady();
    {
      const std::scoped_lock held(mutex_);
      poll_ = std::stop_source(std::nostopstate);
    }
    if (!slice) {
      if (poll.stop_requested() && !call.stop.stop_requested()) return {};
      if (slice.error().code != Errc::gone) return std::move(slice).error();
      const std::scoped_lock held(mutex_);
      machine_.on_gone(slice.error().message);
      return {};
    }
    const auto reset = std::ranges::find(slice->rows, LogRow::Kind::reset, &LogRow::kind);
    const std::span rows(slice->rows.begin(), reset);
    ARTCACHE_CHECK(replica_.apply(rows, call));
    const std::scoped_lock held(mutex_);
    machine_.on_rows(slice->head, rows.size(), reset != slice->rows.end());
    asked_at_ = asked;
    answered_at_ = answered;
    note_in_step();
    return {};
  }

  Result<void> copy(const Call& call) {
    const Clock::SteadyTime asked = deps_.clock->steady();
    ARTCACHE_TRY(const Position upto, replica_.fill(source_, call));
    const std::scoped_lock held(mutex_);
    machine_.on_copied(upto);
    if (upto.epoch != 0) asked_at_ = answered_at_ = asked;
    return {};
  }

  Result<void> mend(const Call& call) {
    const Clock::SteadyTime asked = deps_.clock->steady();
    ARTCACHE_TRY(const auto done, sync::mend(source_, replica_, *deps_.clock, call));
    const std::scoped_lock held(mutex_);
    machine_.on_mended(done.upto, done.differences);
    asked_at_ = answered_at_ = asked;
    return {};
  }

  Result<void> retry(const Call& call) {
    std::vector<DeadLetter> dead;
    {
      const std::scoped_lock held(mutex_);
      dead = dead_;
      retry_pause_ = std::clamp<std::chrono::nanoseconds>(
          retry_pause_ * 2, settings_.pause_least,
          std::max(settings_.pause_least, settings_.audit_interval));
      retry_at_ = deps_.clock->steady() + retry_pause_;
    }
    ARTCACHE_TRY(const std::size_t revived, sync::revive(source_, replica_, dead, call));
    if (revived > 0)
      log(LogLevel::warning,
          "Records that could not be applied as the log told them were fetched anew: " +
              std::to_string(revived),
          call);
    const std::scoped_lock held(mutex_);
    machine_.on_retried();
    return {};
  }

  Result<void> pause(const Call& call) {
    std::array<std::uint8_t, 4> bytes{};
    util::fill_random(bytes);
    std::uint32_t random = 0;
    std::memcpy(&random, bytes.data(), sizeof random);
    std::unique_lock held(mutex_);
    const auto until = machine_.pause_for(random / 4294967296.0);
    wake_.wait_for(held, call.stop, std::min(until, call.remaining(*deps_.clock)),
                   [this] { return woken_; });
    woken_ = false;  // once for each time, else an error that lasts would be tried without a rest
    machine_.on_paused();
    return {};
  }

  void note_failure(const Error& error, const Call& call) {
    log(LogLevel::error, to_string(error), call);
    const std::scoped_lock held(mutex_);
    machine_.on_error(error);
  }

  void log(LogLevel level, std::string_view message, const Call& call,
           const std::string& source = util::here()) const {
    const LogField fields[] = {{"source", source}};
    const std::size_t told = level == LogLevel::error ? 1 : 0;
    deps_.logger->log({.level = level,
                       .logger = "follower",
                       .message = message,
                       .fields = std::span(fields).first(told),
                       .request_id = call.request_id});
  }

  LogSource& source_;
  ReplicaSink& replica_;
  const FollowSettings settings_;
  const Deps deps_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_, moved_;
  std::atomic<std::uint64_t> steps_ = 0;
  FollowMachine machine_;         // guarded by mutex_
  std::vector<DeadLetter> dead_;  // guarded by mutex_
  Clock::SteadyTime retry_at_;    // guarded by mutex_: when the dead letters are tried again
  std::chrono::nanoseconds retry_pause_{0};  // guarded by mutex_: behind that
  Clock::SteadyTime in_step_at_;             // guarded by mutex_; at first: when it was made
  // Guarded by mutex_: before the source was asked what it was last heard of; and a moment of which
  // the replica holds all that the source had.
  Clock::SteadyTime asked_at_, current_at_;
  Clock::SteadyTime answered_at_;            // guarded by mutex_: when the source said where it is
  bool running_ = false;                     // guarded by mutex_
  bool woken_ = false;                       // guarded by mutex_: nothing was read since
  std::stop_source poll_{std::nostopstate};  // guarded by mutex_: of a poll that may be cut short
};

Follower::Follower(LogSource& source, ReplicaSink& replica, FollowSettings settings,
                   const Deps& deps)
    : impl_(std::make_unique<Impl>(source, replica, settings, deps)) {}
Follower::~Follower() = default;

Result<void> Follower::run(const Call& call) { return impl_->run(call); }
Result<FollowStatus> Follower::catch_up(const Call& call) { return impl_->catch_up(call); }
void Follower::wake() { impl_->hear(0, 0); }
void Follower::hear(std::uint64_t epoch, std::uint64_t seq) { impl_->hear(epoch, seq); }
Result<void> Follower::await(const ReadBound& bound, const Call& call) {
  return impl_->await(bound, call);
}
Result<void> Follower::look_at_dead(const Call& call) { return impl_->look_at_dead(call); }
FollowStatus Follower::status() const { return impl_->status(); }
std::vector<DeadLetter> Follower::dead_letters() const { return impl_->dead_letters(); }

}  // namespace artcache
