// SPDX-License-Identifier: Apache-2.0
#include "common/following.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "common/follow_json.hpp"
#include "util/here.hpp"

namespace artcache::replica {
namespace {

/// While the database is away, which is when somebody asks, its part is missing and no more.
constexpr std::chrono::seconds kTablesMost{2};
/// In one transaction, so that nobody else waits for long.
constexpr std::size_t kForgottenAtOnce = 1000;
/// Within which everybody who is alive has been named: elements tell of themselves every half
/// minute.
constexpr std::chrono::minutes kNamedWithin{5};

/// As of `now`.
void append_status(JsonWriter& json, const FollowingStatus& status, Timestamp now) {
  json.begin_object()
      .member("storage_element_id", status.element.element)
      .member("storage_element_url", status.element.url);
  append_follow(json, status.follow, now);
  json.key("gone_since");
  if (status.gone_since)
    json.value(to_string(*status.gone_since));
  else
    json.null();
  json.member("dead_letters", std::uint64_t{status.follow.dead_letters})
      .member("added", status.counts.added)
      .member("updated", status.counts.updated)
      .member("deleted", status.counts.deleted)
      .end_object();
}

}  // namespace

Following::Following(const Replica& replica, Owner element, std::unique_ptr<LogSource> log,
                     FollowSettings settings, const Deps& deps)
    : replica_(replica),
      element_(std::move(element)),
      deps_(deps),
      log_(std::move(log)),
      made_at_(deps.clock->steady()),
      sink_(replica, element_, settings.audit_interval, deps),
      follower_(*log_, sink_, settings, deps) {}

void Following::resume() {
  if (!wanted_ || ended_ || thread_.joinable()) return;
  thread_ = std::jthread([this](std::stop_token stop) {
    Call call;
    call.stop = std::move(stop);
    // Ends with the call alone; errors on the way are in the status and in the log.
    static_cast<void>(follower_.run(call));
  });
}

void Following::start() {
  const util::MutexLock lock(mutex_);
  wanted_ = true;
  resume();
}

void Following::stop() {
  // Before the lock: who has it may compare a large element for hours.
  ending_.request_stop();
  const util::MutexLock lock(mutex_);
  ended_ = true;
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

template <class Work>
auto Following::alone(const Call& call, Work work) -> decltype(work(call)) {
  // Somebody else follows the element by now, or nobody is to.
  const auto not_any_more = [&] {
    return Error{Errc::unavailable, element_.element + " is not followed any more"};
  };
  std::stop_source either;
  const auto end = [&either] { either.request_stop(); };
  const std::stop_callback left(call.stop, end), stopped(ending_.get_token(), end);
  Call mine = call;
  mine.stop = either.get_token();
  const util::MutexLock lock(mutex_);
  if (ended_) return not_any_more();
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
    thread_ = {};
  }
  auto done = work(mine);
  resume();
  const bool cut = !done && done.error().code == Errc::cancelled;
  if (cut && !call.stop.stop_requested()) return not_any_more();
  return done;
}

void Following::note_named() {
  const util::MutexLock lock(naming_);
  gone_since_.reset();
}

void Following::note_gone() {
  const util::MutexLock lock(naming_);
  if (!gone_since_) gone_since_ = deps_.clock->now();
}

bool Following::gone_for(std::chrono::nanoseconds time) const {
  const FollowingStatus now = status();
  return now.gone_since && deps_.clock->now() - *now.gone_since >= time && !now.follow.in_step &&
         now.follow.age >= time;
}

FollowingStatus Following::status() const {
  FollowingStatus out{.element = element_,
                      .follow = follower_.status(),
                      .counts = sink_.counts(),
                      .gone_since = {}};
  const util::MutexLock lock(naming_);
  out.gone_since = gone_since_;
  return out;
}

Result<bool> Following::owns(std::uint64_t epoch, const Call& call) const {
  const FollowStatus now = follower_.status();
  if (now.position.epoch == epoch || now.source.epoch == epoch) return true;
  // It may have been made anew a moment ago, and the client may have heard of that first.
  ARTCACHE_TRY(const IndexHead head, log_->head(call));
  return head.position.epoch == epoch;
}

Result<Synced> Following::sync_full(const Call& call) {
  return alone(call, [&](const Call& mine) -> Result<Synced> {
    const SinkCounts before = sink_.counts();
    sink_.recount_next();
    ARTCACHE_TRY(const FollowStatus status, follower_.catch_up(mine));
    const SinkCounts after = sink_.counts();
    return Synced{.added = after.added - before.added,
                  .updated = after.updated - before.updated,
                  .deleted = after.deleted - before.deleted,
                  .position = status.position};
  });
}

Result<bool> Following::retry(const std::string& key, const Call& call) {
  const auto is_dead = [&](const Call& mine) -> Result<bool> {
    ARTCACHE_TRY(const auto dead, replica_.database->read(mine, [&](Session& session) {
      return replica_.tables->standings().list_dead(session, element_.element);
    }));
    for (const BuriedLetter& one : dead)
      if (one.letter.key == key) return true;
    return false;
  };
  return alone(call, [&](const Call& mine) -> Result<bool> {
    ARTCACHE_TRY(const bool dead, is_dead(mine));
    if (!dead) return Error{Errc::not_found, "there is no such dead letter"};
    ARTCACHE_TRY(const auto records, log_->records({&key, 1}, mine));
    const std::span<const Record> put(records.at(0) ? &*records[0] : nullptr, records[0] ? 1 : 0);
    const std::span<const std::string> removed(&key, records[0] ? 0 : 1);
    ARTCACHE_CHECK(sink_.mend(put, removed, mine));
    ARTCACHE_CHECK(follower_.look_at_dead(mine));
    ARTCACHE_TRY(const bool still, is_dead(mine));
    return !still;
  });
}

Result<bool> Following::drop(const std::string& key, const Call& call) {
  return alone(call, [&](const Call& mine) -> Result<bool> {
    ARTCACHE_TRY(const bool dropped, replica_.database->write(mine, [&](Session& session) {
      return replica_.tables->standings().drop_dead(session, element_.element, key,
                                                    deps_.clock->now());
    }));
    if (dropped) ARTCACHE_CHECK(follower_.look_at_dead(mine));
    return dropped;
  });
}

void Following::measure() const {
  measure([this](std::string_view name, Metrics::Labels labels, double value) {
    deps_.metrics->gauge(name, labels, value);
  });
}

void Following::end_gauges() const {
  measure([this](std::string_view name, Metrics::Labels labels, double) {
    deps_.metrics->gauge(name, labels, std::numeric_limits<double>::quiet_NaN());
  });
}

void Following::measure(const TellGauge& tell) const {
  const FollowingStatus status = this->status();
  const FollowStatus& follow = status.follow;
  const MetricLabel labels[]{{"storage_element_id", element_.element}};
  const auto gauge = [&](std::string_view name, double value) {
    tell(replica_.names.metric(name), labels, value);
  };
  // The names that operators of the original know come second.
  const double events = static_cast<double>(follow.lag),
               seconds = std::chrono::duration<double>(follow.age).count();
  gauge("sync_lag_events", events);
  gauge("stream_pending_count", events);
  gauge("sync_lag_seconds", seconds);
  gauge("stream_lag_seconds", seconds);
  gauge("sync_gone", status.gone_since ? 1 : 0);
  gauge("sync_proven", follow.proven ? 1 : 0);
  gauge("sync_dead_letters", static_cast<double>(follow.dead_letters));
  gauge("sync_failures", static_cast<double>(follow.failures));
  // Never so far: as if it had been when this began, so that an alert comes in its time.
  const std::chrono::duration<double> age =
      follow.proven_at ? std::chrono::duration<double>(deps_.clock->now() - *follow.proven_at)
                       : std::chrono::duration<double>(deps_.clock->steady() - made_at_);
  gauge("sync_digest_age_seconds", age.count());
  for (const FollowState state : {FollowState::starting, FollowState::copying, FollowState::tailing,
                                  FollowState::mending, FollowState::waiting}) {
    const MetricLabel with_state[]{labels[0], {"state", to_string(state)}};
    tell(replica_.names.metric("sync_state"), with_state, state == follow.state ? 1 : 0);
  }
}

namespace {

Error not_followed(const Followed& one) {
  return {Errc::unavailable, one.element + ": nobody names it any more, and it is not followed"};
}

}  // namespace

// --- All of them --------------------------------------------------------------------------------

void Fleet::update(const std::vector<Owner>& elements) {
  const util::MutexLock one_at_a_time(updating_);
  for (const auto& one : all()) {
    const std::string& id = one->element().element;
    if (std::ranges::find(elements, id, &Owner::element) != elements.end())
      one->note_named();
    else
      one->note_gone();
  }
  let_go();
  for (const Owner& element : elements) {
    const auto known = find(element.element);
    if (known && known->element().url == element.url) continue;
    auto log = open_(element);
    if (!log) {
      const std::string source = util::here();
      const LogField fields[]{{"storage_element_id", std::string_view(element.element)},
                              {"reason", std::string_view(log.error().message)},
                              {"source", std::string_view(source)}};
      deps_.logger->log({.level = LogLevel::error,
                         .logger = replica_.names.logger,
                         .message = "A storage element cannot be followed",
                         .fields = fields,
                         .request_id = {}});
      continue;
    }
    if (known) known->stop();
    auto fresh = std::make_shared<Following>(replica_, element, std::move(*log), settings_, deps_);
    const util::MutexLock lock(mutex_);
    if (stopped_) return;
    if (forgetting_.contains(element.element)) continue;  // it is named again before long
    fresh->start();
    elements_.insert_or_assign(element.element, std::move(fresh));
    gone_.erase(element.element);
  }
}

void Fleet::let_go() {
  for (const auto& one : all()) {
    if (!one->gone_for(kGoneFor)) continue;
    const std::string& id = one->element().element;
    const LogField fields[]{{"storage_element_id", std::string_view(id)}};
    deps_.logger->log({.level = LogLevel::warning,
                       .logger = replica_.names.logger,
                       .message = "A storage element is gone for good and not followed any more",
                       .fields = fields,
                       .request_id = {}});
    end(*one);
  }
}

void Fleet::end(Following& one) {
  one.stop();
  one.end_gauges();
  const auto since = one.status().gone_since;
  const std::string& id = one.element().element;
  const util::MutexLock lock(mutex_);
  gone_[id] = since.value_or(made_at_);
  elements_.erase(id);
}

Result<void> Fleet::begin_forgetting(const std::string& element) {
  const util::MutexLock nobody_names_one_meanwhile(updating_);
  const auto followed = find(element);
  if (followed && !followed->status().gone_since)
    return Error{Errc::conflict, "Storage element " + element +
                                     " is still named, by the registry, by discovery or by "
                                     "`elements`: remove it there first"};
  {
    const util::MutexLock lock(mutex_);
    // Who has just begun has not heard of all of them yet.
    if (!followed && !gone_.contains(element) && deps_.clock->now() - made_at_ < kNamedWithin)
      return Error{Errc::unavailable,
                   "It is not known yet whether somebody names storage element " + element +
                       "; try again in a few minutes"};
    if (!forgetting_.insert(element).second)
      return Error{Errc::busy, "Storage element " + element + " is being forgotten"};
  }
  if (followed) end(*followed);
  return {};
}

Result<std::uint64_t> Fleet::forget(std::string_view element, const Call& call) {
  const std::string id(element);
  ARTCACHE_TRY(const auto kept, unfollowed(all(), call));
  if (!find(id) && std::ranges::find(kept, id, &Followed::element) == kept.end())
    return Error{Errc::not_found, "Storage element " + id + " not found"};
  ARTCACHE_CHECK(begin_forgetting(id));
  struct Over {
    Fleet& fleet;
    const std::string& id;
    ~Over() {
      const util::MutexLock lock(fleet.mutex_);
      fleet.forgetting_.erase(id);
    }
  } const over{*this, id};
  ARTCACHE_TRY(const std::uint64_t removed, remove_kept(id, call));
  const util::MutexLock lock(mutex_);
  gone_.erase(id);
  return removed;
}

/// Piece by piece, so that others get their turns at the tables.
Result<std::uint64_t> Fleet::remove_kept(const std::string& element, const Call& call) const {
  const Tables& tables = *replica_.tables;
  const auto remove_some = [&](Session& session) -> Result<std::optional<std::size_t>> {
    const Standings& standings = tables.standings();
    ARTCACHE_TRY(const auto all, standings.list(session));
    if (std::ranges::find(all, element, &Followed::element) == all.end())
      return std::optional<std::size_t>();
    // Should this be cut short, it is behind, and not at a position whose files are not there.
    ARTCACHE_CHECK(standings.store(session, element, {}, deps_.clock->now()));
    ARTCACHE_TRY(const auto keys, tables.first_keys(session, element, kForgottenAtOnce));
    if (keys.empty()) {
      ARTCACHE_CHECK(standings.forget(session, element));
      return std::optional<std::size_t>(0);
    }
    ARTCACHE_TRY(const auto held, tables.find_held(session, element, keys));
    ARTCACHE_CHECK(tables.remove_files(session, element, keys, held));
    return std::optional(keys.size());
  };
  std::uint64_t removed = 0;
  while (true) {
    ARTCACHE_TRY(const auto some, replica_.database->write(call, remove_some));
    if (!some) return Error{Errc::not_found, "Storage element " + element + " not found"};
    if (*some == 0) return removed;
    removed += *some;
  }
}

void Fleet::stop() {
  {
    const util::MutexLock lock(mutex_);
    stopped_ = true;
  }
  for (const auto& one : all()) one->stop();
}

std::vector<std::shared_ptr<Following>> Fleet::all() const {
  const util::MutexLock lock(mutex_);
  std::vector<std::shared_ptr<Following>> out;
  for (const auto& [id, one] : elements_) out.push_back(one);
  return out;
}

std::shared_ptr<Following> Fleet::find(std::string_view element) const {
  const util::MutexLock lock(mutex_);
  const auto at = elements_.find(element);
  return at == elements_.end() ? nullptr : at->second;
}

std::vector<FollowingStatus> Fleet::followed() const {
  std::vector<FollowingStatus> out;
  for (const auto& one : all()) out.push_back(one->status());
  return out;
}

Result<std::vector<FollowingStatus>> Fleet::statuses(const Call& call) const {
  std::vector<FollowingStatus> out = followed();
  ARTCACHE_TRY(const auto kept, replica_.database->read(call, [&](Session& session) {
    return replica_.tables->standings().list(session);
  }));
  for (const Followed& one : kept) {
    const auto same_id = [&](const FollowingStatus& s) { return s.element.element == one.element; };
    // Of what another process did to them the follower here hears later.
    if (const auto at = std::ranges::find_if(out, same_id); at != out.end()) {
      at->follow.dead_letters = one.dead_letters;
      continue;
    }
    FollowingStatus& status = out.emplace_back();
    status.element.element = one.element;
    status.follow.position = one.position;
    status.follow.dead_letters = one.dead_letters;
    const util::MutexLock lock(mutex_);
    const auto since = gone_.find(one.element);
    status.gone_since = since == gone_.end() ? made_at_ : since->second;
  }
  std::ranges::sort(out, {}, [](const FollowingStatus& s) { return s.element.element; });
  return out;
}

std::string Fleet::status_json(const Call& call) const {
  const auto whole = statuses(call.within(kTablesMost, *deps_.clock));
  const auto elements = whole ? *whole : followed();
  const Timestamp now = deps_.clock->now();
  JsonWriter json;
  json.begin_object().key("elements").begin_array();
  for (const FollowingStatus& status : elements) append_status(json, status, now);
  // What nobody can say is not so: with no element found yet, or one that is not asked.
  const bool in_step = whole && !elements.empty() &&
                       std::ranges::all_of(elements, [](const FollowingStatus& status) {
                         return is_whole(status.follow);
                       });
  json.end_array().member("in_step", in_step).end_object();
  return std::move(json).str();
}

Result<std::vector<Followed>> Fleet::unfollowed(
    const std::vector<std::shared_ptr<Following>>& asked, const Call& call) const {
  ARTCACHE_TRY(auto kept, replica_.database->read(call, [&](Session& session) {
    return replica_.tables->standings().list(session);
  }));
  std::erase_if(kept, [&](const Followed& one) {
    return std::ranges::any_of(
        asked, [&](const auto& other) { return other->element().element == one.element; });
  });
  return kept;
}

Result<void> Fleet::await(const ReadBound& bound, std::string_view element,
                          const Call& call) const {
  std::vector<std::shared_ptr<Following>> asked = all();
  ARTCACHE_TRY(std::vector<Followed> left, unfollowed(asked, call));
  if (!element.empty()) {
    const auto is_another = [&](const std::string& id) { return id != element; };
    std::erase_if(asked, [&](const auto& one) { return is_another(one->element().element); });
    std::erase_if(left, [&](const Followed& one) { return is_another(one.element); });
    if (asked.empty() && left.empty())
      return Error{Errc::not_found, "Storage element " + std::string(element) + " not found"};
  }
  if (bound.min_position) {
    const auto same_log = [&](const Followed& one) {
      return one.position.epoch == bound.min_position->epoch;
    };
    const auto at = std::ranges::find_if(left, same_log);
    if (at == left.end()) {
      ARTCACHE_CHECK(await_position(asked, *bound.min_position, call));
    } else if (at->position.seq < bound.min_position->seq) {
      return not_followed(*at);
    }
  }
  if (!bound.max_staleness) return {};
  if (!left.empty()) return not_followed(left.front());
  for (const auto& one : asked)
    if (auto kept = one->await({.max_staleness = bound.max_staleness}, call); !kept)
      return Error{kept.error().code, one->element().element + ": " + kept.error().message};
  return {};
}

Result<void> Fleet::await_position(const std::vector<std::shared_ptr<Following>>& asked,
                                   const Position& position, const Call& call) {
  std::optional<Error> unsure;
  for (const auto& one : asked) {
    const auto owns = one->owns(position.epoch, call);
    if (!owns) unsure = Error{Errc::unavailable, to_string(owns.error())};
    if (!owns || !*owns) continue;
    // Of a log that is newer than the one the replica is of: that is on its way.
    const bool newer = one->status().follow.position.epoch != position.epoch;
    auto kept = one->await({.min_position = position}, call);
    if (!kept && kept.error().code == Errc::gone && newer)
      return Error{Errc::unavailable, kept.error().message};
    return kept;
  }
  if (unsure) return std::move(*unsure);
  return Error{Errc::gone,
               "read: position " + to_string(position) + " is of no element that is followed here"};
}

void Fleet::wake() {
  for (const auto& one : all()) one->wake();
}

void Fleet::measure() const {
  for (const auto& one : all()) one->measure();
}

std::string forgotten_json(std::string_view element, std::uint64_t files) {
  JsonWriter json;
  json.begin_object().member("storage_element_id", element).member("removed", files).end_object();
  return std::move(json).str();
}

}  // namespace artcache::replica
