// SPDX-License-Identifier: Apache-2.0
#include "core/sync/follow_machine.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace artcache {

std::string_view to_string(FollowState state) {
  constexpr std::array<std::string_view, 5> kNames{"starting", "copying", "tailing", "mending",
                                                   "waiting"};
  return kNames[static_cast<std::size_t>(state)];
}

}  // namespace artcache

namespace artcache::sync {

Digest expected_digest(const Standing& standing) {
  Digest digest = standing.digest;
  for (const DeadLetter& dead : standing.dead) {
    if (dead.kept) digest -= Digest::of(dead.key, *dead.kept);
    if (dead.hash) digest += Digest::of(dead.key, *dead.hash);
  }
  return digest;
}

std::chrono::nanoseconds FollowMachine::pause_for(double random) const {
  const unsigned doublings = std::min(failures_in_row_ == 0 ? 0U : failures_in_row_ - 1, 30U);
  const auto pause =
      std::min(std::chrono::nanoseconds(settings_.pause_most),
               std::chrono::nanoseconds(settings_.pause_least) * (std::int64_t{1} << doublings));
  return std::chrono::nanoseconds(
      static_cast<std::int64_t>(static_cast<double>(pause.count()) * (1 - random / 4)));
}

void FollowMachine::heard_of(const Position& source) {
  status_.source = source;
  measure_lag();
}

void FollowMachine::measure_lag() {
  const auto behind = [&](std::uint64_t epoch, std::uint64_t seq) {
    if (epoch != status_.position.epoch) return seq;
    return seq > status_.position.seq ? seq - status_.position.seq : 0;
  };
  status_.lag = std::max(behind(status_.source.epoch, status_.source.seq),
                         hint_.epoch == 0 ? 0 : behind(hint_.epoch, hint_.seq));
}

void FollowMachine::on_heard(std::uint64_t epoch, std::uint64_t seq) {
  if (hint_.epoch == epoch && hint_.seq >= seq) return;
  hint_ = {epoch, seq};
  measure_lag();
}

void FollowMachine::on_standing(const Standing& standing, Timestamp now) {
  const bool first = status_.position.epoch == 0;
  status_.position = standing.source;
  on_dead(standing.dead);
  heard_of(status_.source);
  if (standing.source.epoch == 0) {
    if (standing.count == 0) {
      status_.state = FollowState::copying;
      next_ = Step::copy;
    } else {
      mend("it holds records, and does not know how far it is");
    }
    return;
  }
  const bool agrees = expected_digest(standing) == standing.source.digest;
  status_.proven = agrees;
  if (agrees) {
    status_.proven_at = now;
    // Until the source answers, nobody knows whether there is more.
    if (heard_) status_.state = FollowState::tailing;
    mendings_in_row_ = 0;
    next_ = Step::read;
  } else if (standing.source.seq < agrees_from_) {
    status_.state = FollowState::mending;
    next_ = Step::read;
  } else if (first && status_.mendings == 0) {
    // Cut off between the rows and the note of how far it is.
    next_ = Step::resume;
  } else {
    mend("the digests differ");
  }
}

void FollowMachine::on_resumed(bool found) {
  if (found)
    next_ = Step::look;
  else
    mend("the log does not tell what it holds");
}

void FollowMachine::on_rows(const IndexHead& source, std::size_t rows, bool reset) {
  answered();
  if (hint_ == asked_) hint_ = {};
  status_.applied += rows;
  heard_of(source.position);
  status_.source_suspect = source.suspect_reason;
  if (status_.proven) status_.state = FollowState::tailing;
  if (reset)
    mend("more has changed than the log lists");
  else
    next_ = rows > 0 ? Step::look : Step::read;
}

void FollowMachine::on_gone(std::string why) { mend(std::move(why)); }

void FollowMachine::on_copied(const Position& upto) {
  if (upto.epoch != 0) {
    answered();
    heard_of(upto);
    ++status_.snapshots;
  }
  agrees_from_ = upto.seq;
  next_ = Step::look;
}

void FollowMachine::on_mended(const Position& upto, std::uint64_t differences) {
  answered();
  ++status_.mendings;
  status_.mended += differences;
  agrees_from_ = upto.seq;
  heard_of(upto);
  next_ = Step::look;
}

void FollowMachine::answered() {
  heard_ = true;
  failures_in_row_ = 0;
}

void FollowMachine::mend(std::string why) {
  status_.last_error = std::move(why);
  status_.proven = false;
  agrees_from_ = 0;
  if (++mendings_in_row_ > kMendingsMost) {
    mendings_in_row_ = 0;
    return on_error({Errc::corrupt, "follow: " + status_.last_error + ", also after " +
                                        std::to_string(kMendingsMost) +
                                        " times of comparing; is somebody else writing to it?"});
  }
  status_.state = FollowState::mending;
  next_ = Step::mend;
}

void FollowMachine::on_error(const Error& error) {
  ++status_.failures;
  ++failures_in_row_;
  heard_ = false;
  status_.last_error = to_string(error);
  status_.state = FollowState::waiting;
  next_ = Step::pause;
}

void FollowMachine::on_paused() { next_ = Step::look; }

void FollowMachine::on_audit_due() {
  if (next_ == Step::read) next_ = Step::look;
}

void FollowMachine::on_retry_due() {
  // Who has not answered since an error is asked for the log first: that is what must go on.
  if (next_ == Step::read && heard_) next_ = Step::retry;
}

void FollowMachine::on_retried() { next_ = Step::look; }

void FollowMachine::on_dead(std::span<const DeadLetter> dead) {
  status_.dead_letters =
      static_cast<std::size_t>(std::ranges::count(dead, false, &DeadLetter::dropped));
}

bool FollowMachine::in_step() const {
  return heard_ && status_.proven && status_.source.epoch == status_.position.epoch &&
         status_.position.epoch != 0 && status_.lag == 0;
}

}  // namespace artcache::sync
