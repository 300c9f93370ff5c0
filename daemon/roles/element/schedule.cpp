// SPDX-License-Identifier: Apache-2.0
#include "roles/element/schedule.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "util/pause.hpp"
#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache::element {
namespace {

/// How late a run may be noticed; a clock that was set is noticed as soon.
constexpr std::chrono::milliseconds kLook{500};

Result<Pace> pace_of(const config::Settings& told, const std::string& name) {
  Pace pace{.every = told.duration(name + "_every")};
  const std::string& at = told.text(name + "_at");
  if (at.empty()) return pace;
  if (!pace.never())
    return Error{Errc::invalid_argument,
                 name + "_every and " + name + "_at: only one of them can be"};
  auto time = parse_time_of_day(at);
  if (!time) return std::move(time).error().in(name + "_at");
  pace.daily_at = *time;
  return pace;
}

}  // namespace

Timestamp Pace::next(Timestamp now) const {
  if (!daily_at) return now + every;
  const Timestamp today(std::chrono::floor<std::chrono::days>(now.since_epoch()) + *daily_at);
  return today > now ? today : today + std::chrono::days(1);
}

Result<std::chrono::minutes> parse_time_of_day(std::string_view text) {
  const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  const auto two = [&](std::size_t i) { return (text[i] - '0') * 10 + (text[i + 1] - '0'); };
  if (text.size() == 5 && text[2] == ':' && digit(0) && digit(1) && digit(3) && digit(4) &&
      two(0) < 24 && two(3) < 60)
    return std::chrono::hours(two(0)) + std::chrono::minutes(two(3));
  return Error{Errc::invalid_argument,
               "'" + std::string(text) + "' is no time of the day such as 02:30"};
}

Result<Schedules> schedules_of(const config::Settings& told) {
  Schedules out{.jitter = told.duration("schedule_jitter")};
  ARTCACHE_TRY(out.incremental, pace_of(told, "incremental"));
  ARTCACHE_TRY(out.check, pace_of(told, "check"));
  ARTCACHE_TRY(out.cleanup, pace_of(told, "cleanup"));
  return out;
}

Scheduler::Scheduler(Element& element, const Schedules& schedules)
    : element_(element), jitter_(schedules.jitter) {
  const std::pair<std::string_view, const Pace*> all[] = {
      {"rebuild_incremental", &schedules.incremental},
      {"consistency", &schedules.check},
      {"cleanup_expired", &schedules.cleanup}};
  for (const auto& [operation, pace] : all)
    if (!pace->never())
      entries_.push_back({.operation = operation, .pace = *pace, .due = next(*pace)});
}

Timestamp Scheduler::next(const Pace& pace) const {
  std::array<std::uint8_t, 4> bytes{};
  util::fill_random(bytes);
  std::uint32_t random = 0;
  std::memcpy(&random, bytes.data(), sizeof random);
  const auto later =
      std::chrono::microseconds(jitter_).count() * std::int64_t{random % 1024} / 1024;
  return pace.next(element_.parts().deps.clock->now()) + std::chrono::microseconds(later);
}

void Scheduler::start() {
  {
    const util::MutexLock held(mutex_);
    if (entries_.empty()) return;
  }
  thread_ = std::jthread([this](const std::stop_token& stop) {
    Call call;
    call.stop = stop;
    do run_due(call);
    while (util::pause_for(kLook, stop));
  });
}

void Scheduler::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Scheduler::run_due(const Call& call) {
  std::vector<std::string_view> due;
  {
    const util::MutexLock held(mutex_);
    const Timestamp now = element_.parts().deps.clock->now();
    for (const Entry& entry : entries_)
      if (entry.due <= now) due.push_back(entry.operation);
  }
  for (const std::string_view operation : due) {
    const auto done = run(operation, call);
    if (call.stop.stop_requested()) return;
    note(operation, done);
  }
}

Result<void> Scheduler::run(std::string_view operation, const Call& call) {
  ARTCACHE_TRY(const std::string id, start_run(element_, operation, {}, IfRefused::fails, call));
  ARTCACHE_TRY(const JobView job, element_.jobs().wait(id, call));
  if (job.error) return *job.error;
  return {};
}

void Scheduler::note(std::string_view operation, const Result<void>& done) {
  const Deps& deps = element_.parts().deps;
  const std::string& id = element_.settings().id;
  const std::array labels{MetricLabel{"operation", operation},
                          MetricLabel{"storage_element_id", id},
                          MetricLabel{"result", done ? "ok" : to_string(done.error().code)}};
  const auto own = std::span(labels).first(2);
  deps.metrics->count("artcache_schedule_runs_total", labels, 1);
  deps.metrics->gauge("artcache_schedule_last_ok", own, done ? 1 : 0);
  deps.metrics->gauge("artcache_schedule_last_run_timestamp_seconds", own,
                      static_cast<double>(deps.clock->now().micros()) / 1e6);
  if (!done) {
    const std::string cause = to_string(done.error());
    const LogField fields[] = {{"element", id}, {"operation", operation}, {"cause", cause}};
    deps.logger->log({.level = LogLevel::warning,
                      .logger = "schedule",
                      .message = "A scheduled run did not come to its end",
                      .fields = fields,
                      .request_id = {}});
  }
  const util::MutexLock held(mutex_);
  const auto entry = std::ranges::find(entries_, operation, &Entry::operation);
  if (entry == entries_.end()) return;
  entry->outcome = done ? "ok" : std::string(to_string(done.error().code));
  entry->due = next(entry->pace);
}

void Scheduler::append_health(std::vector<HealthPart>& parts) const {
  const util::MutexLock held(mutex_);
  for (const Entry& entry : entries_)
    parts.push_back({.name = "scheduled_" + std::string(entry.operation), .state = entry.outcome});
}

}  // namespace artcache::element
