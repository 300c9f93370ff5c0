// SPDX-License-Identifier: Apache-2.0
#include "roles/element/log_polls.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace artcache::element {
namespace {

constexpr std::chrono::seconds kReadMost{10};
constexpr std::chrono::milliseconds kPause{200};  // when the index does not answer

bool is_away(const Result<LogSlice>& slice) {
  return !slice &&
         (slice.error().code == Errc::timed_out || slice.error().code == Errc::unavailable);
}

}  // namespace

struct LogPolls::Poll {
  Wish wish;
  std::optional<std::stop_callback<std::function<void()>>> wakes = {};
};

LogPolls::LogPolls(MetadataStore& index, const Deps& deps)
    : index_(index), deps_(deps), thread_([this] { run(); }) {}

LogPolls::~LogPolls() { stop(); }

Result<void> LogPolls::add(Wish wish) {
  auto poll = std::make_unique<Poll>();
  poll->wish = std::move(wish);
  // Calls at once when it is stopped already, and therefore not under the lock.
  poll->wakes.emplace(poll->wish.stop, [this] { wake(); });
  {
    const util::MutexLock held(mutex_);
    if (stopped_) return Error{Errc::unavailable, "log: this element is about to stop"};
    if (count_ >= kMost) return Error{Errc::busy, "log: too many wait for changes already"};
    ++count_;
    fresh_.push_back(std::move(poll));
  }
  wake();
  return {};
}

void LogPolls::wake() {
  std::stop_source round;
  {
    const util::MutexLock held(mutex_);
    woken_ = true;
    round = round_;
    changed_.notify_all();
  }
  round.request_stop();
}

void LogPolls::stop() {
  {
    const util::MutexLock held(mutex_);
    stopped_ = true;
  }
  wake();
  if (thread_.joinable()) thread_.join();
}

void LogPolls::run() {
  std::vector<std::unique_ptr<Poll>> polls;
  std::stop_source round;
  for (; begin(polls, round); round = std::stop_source()) {
    serve(polls);
    wait(polls, round);
  }
  for (const auto& poll : polls)
    poll->wish.done(Error{Errc::unavailable, "log: this element is about to stop"});
}

bool LogPolls::begin(std::vector<std::unique_ptr<Poll>>& polls, const std::stop_source& round) {
  const util::MutexLock held(mutex_);
  std::ranges::move(std::exchange(fresh_, {}), std::back_inserter(polls));
  woken_ = false;  // by the same lock as the look at stopped_, or its wake would be forgotten
  round_ = round;
  return !stopped_;
}

void LogPolls::serve(std::vector<std::unique_ptr<Poll>>& polls) {
  // In step as they mostly are, all ask for the same.
  const Poll* asked = nullptr;
  std::optional<Result<LogSlice>> slice;
  std::vector<std::unique_ptr<Poll>> waiting, ended;
  for (auto& poll : polls) {
    const Wish& wish = poll->wish;
    const bool same =
        asked != nullptr && asked->wish.after == wish.after && asked->wish.limit == wish.limit;
    // An index that does not answer one of them is not waited for once more for each of the others.
    if (!same && !(slice && is_away(*slice)))
      slice = index_.read_after(wish.after, wish.limit, Call{}.within(kReadMost, *deps_.clock));
    asked = poll.get();
    const bool over = wish.stop.stop_requested() || deps_.clock->steady() >= wish.until;
    if (slice->has_value() && (*slice)->rows.empty() && !over) {
      waiting.push_back(std::move(poll));
      asked = waiting.back().get();
      continue;
    }
    wish.done(*slice);
    ended.push_back(std::move(poll));
  }
  polls = std::move(waiting);
  const util::MutexLock held(mutex_);
  count_ -= ended.size();
}

void LogPolls::wait(const std::vector<std::unique_ptr<Poll>>& polls,
                    const std::stop_source& round) {
  if (!polls.empty()) {
    Call call;
    call.stop = round.get_token();
    std::uint64_t seq = polls.front()->wish.after.seq;
    for (const auto& poll : polls) {
      call.deadline = std::min(call.deadline, poll->wish.until);
      seq = std::min(seq, poll->wish.after.seq);
    }
    const auto moved = index_.wait_for(seq, call);
    if (moved || moved.error().code == Errc::timed_out || moved.error().code == Errc::cancelled)
      return;
    const util::MutexLock held(mutex_);
    if (!woken_) changed_.wait_for(mutex_, kPause);
    return;
  }
  const util::MutexLock held(mutex_);
  while (!woken_) changed_.wait(mutex_);
}

}  // namespace artcache::element
