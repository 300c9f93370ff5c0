// SPDX-License-Identifier: Apache-2.0
#include "roles/element/schedule.hpp"

#include <doctest/doctest.h>

#include "element_stand.hpp"
#include "roles/element/settings.hpp"

namespace artcache::element {
namespace {

using namespace std::chrono_literals;

Timestamp at(std::string_view text) { return auth::must(Timestamp::parse(text)); }

std::string states(const Scheduler& scheduler) {
  std::vector<HealthPart> parts;
  scheduler.append_health(parts);
  std::string text;
  for (const HealthPart& part : parts) text += part.name + "=" + part.state + " ";
  return text;
}

TEST_SUITE("element schedule") {
  TEST_CASE("the next time of the day is strictly after now") {
    const Pace pace{.daily_at = 2h + 30min};
    CHECK(pace.next(at("2026-03-02T01:00:00Z")) == at("2026-03-02T02:30:00Z"));
    CHECK(pace.next(at("2026-03-02T02:30:00Z")) == at("2026-03-03T02:30:00Z"));
    CHECK(pace.next(at("2026-12-31T23:59:59Z")) == at("2027-01-01T02:30:00Z"));
    CHECK(Pace{.every = 90min}.next(at("2026-03-02T23:00:00Z")) == at("2026-03-03T00:30:00Z"));
    CHECK(Pace{}.never());
  }

  TEST_CASE("a time of the day has four digits and is one") {
    CHECK(auth::must(parse_time_of_day("23:59")) == 23h + 59min);
    CHECK(auth::must(parse_time_of_day("00:00")) == 0min);
    for (const char* wrong : {"", "24:00", "12:60", "2:30", "02-30", "02:3x", "02:300", "-1:00"})
      CHECK_MESSAGE(!parse_time_of_day(wrong), wrong);
  }

  TEST_CASE("settings are off unless said, and cannot say two things") {
    config::Settings told(settings_table());
    const auto none = auth::must(schedules_of(told));
    CHECK((none.incremental.never() && none.check.never() && none.cleanup.never()));
    auth::must(told.put("check_at", "02:30", "test"));
    auth::must(told.put("cleanup_every", "6h", "test"));
    const auto some = auth::must(schedules_of(told));
    CHECK(some.check.daily_at == 2h + 30min);
    CHECK(some.cleanup.every == 6h);
    auth::must(told.put("cleanup_at", "02:30", "test"));
    CHECK(schedules_of(told).error().code == Errc::invalid_argument);
  }

  TEST_CASE("what is due runs as a job, and again only at its next time") {
    Stand stand;
    Scheduler scheduler(*stand.element, {.incremental = {.every = 1h}, .check = {.every = 2h}});
    CHECK(states(scheduler) ==
          "scheduled_rebuild_incremental=never ran scheduled_consistency=never ran ");
    const auto runs = [&](std::string_view operation) {
      return std::ranges::count(stand.element->jobs().list(), operation, &JobView::operation);
    };
    scheduler.run_due({});
    CHECK(stand.element->jobs().list().empty());
    stand.clock.advance(1h);
    scheduler.run_due({});
    scheduler.run_due({});
    CHECK(runs("rebuild_incremental") == 1);
    CHECK(runs("consistency") == 0);
    CHECK(states(scheduler) == "scheduled_rebuild_incremental=ok scheduled_consistency=never ran ");
    stand.clock.advance(1h);
    scheduler.run_due({});
    CHECK(runs("rebuild_incremental") == 2);
    CHECK(runs("consistency") == 1);
  }

  TEST_CASE("a run that is refused is told, and tried at its next time") {
    Stand stand;
    Scheduler scheduler(*stand.element, {.cleanup = {.every = 1h}});
    LockRequest rebuild;
    rebuild.element = "se-01";
    rebuild.ttl = 24h;
    const auto lease = auth::must(stand.locks->try_acquire(rebuild, {}));
    stand.clock.advance(1h);
    scheduler.run_due({});
    CHECK(states(scheduler) == "scheduled_cleanup_expired=busy ");
    auth::must(stand.locks->release(lease, {}));
    stand.clock.advance(1h);
    scheduler.run_due({});
    CHECK(states(scheduler) == "scheduled_cleanup_expired=ok ");
  }

  TEST_CASE("jitter is later by chance, but not by more") {
    Stand stand;
    Scheduler scheduler(*stand.element, {.check = {.every = 1h}, .jitter = 10min});
    stand.clock.advance(1h - 1s);
    scheduler.run_due({});
    CHECK(states(scheduler) == "scheduled_consistency=never ran ");
    stand.clock.advance(10min + 1s);
    scheduler.run_due({});
    CHECK(states(scheduler) == "scheduled_consistency=ok ");
  }
}

}  // namespace
}  // namespace artcache::element
