// SPDX-License-Identifier: Apache-2.0
#include "common/following.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <thread>

#include "common/metrics_registry.hpp"
#include "query_bench.hpp"
#include "support/passing_log.hpp"

using namespace artcache;
using namespace artcache::query;
using namespace std::chrono_literals;
using test::sample_entry;

namespace {

/// The log of an element that never answers, once it is told to.
class HangingLog final : public test::PassingLog {
 public:
  struct Told {
    std::atomic<bool> hang = false, hangs = false;
  };
  HangingLog(LogSource& log, Told& told) : PassingLog(log), told_(told) {}
  Result<IndexHead> head(const Call& call) override {
    while (told_.hang) {
      told_.hangs = true;
      ARTCACHE_CHECK(call.check("head", system_clock()));
      std::this_thread::yield();
    }
    return PassingLog::head(call);
  }

 private:
  Told& told_;
};

/// A fleet that follows two indexes of this process, one of which may be away.
class Crew {
 public:
  Crew() {
    for (const char* id : {"se-01", "se-02"}) {
      sources[id] = bench.source(id);
      sources[id]->put(sample_entry(sources.size()));
    }
    fleet.update({kFirst, kSecond});
    for (const auto& one : fleet.all()) must(one->sync_full({}));
    until_in_step("se-02", true);
  }
  ~Crew() { fleet.stop(); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void until_in_step(const char* id, bool wanted) {
    while (fleet.find(id)->status().follow.in_step != wanted) std::this_thread::yield();
  }
  std::optional<replica::FollowingStatus> status(std::string_view id) {
    for (auto& one : must(fleet.statuses({})))
      if (one.element.element == id) return one;
    return std::nullopt;
  }

  const Owner kFirst{"se-01", "http://se-01"}, kSecond{"se-02", "http://se-02"};
  Bench bench;
  std::map<std::string, std::unique_ptr<Source>> sources;
  std::atomic<bool> away = false, never = false;
  test::FakeClock clock;
  MetricsRegistry metrics;
  replica::Fleet fleet{
      bench.replica(),
      [this](const Owner& owner) -> Result<std::unique_ptr<LogSource>> {
        return std::unique_ptr<LogSource>(std::make_unique<test::RemoteLog>(
            sources.at(owner.element)->log(), owner.element == "se-02" ? away : never));
      },
      FollowSettings{},
      {.clock = &clock, .metrics = &metrics}};
};

}  // namespace

TEST_SUITE("following") {
  TEST_CASE("an element that is gone for good gives its thread back, and its files stay") {
    Crew crew;
    crew.fleet.measure();
    const std::string gauge = "artstore_query_sync_gone{storage_element_id=\"se-02\"}";
    CHECK(crew.metrics.text().find(gauge) != std::string::npos);
    const std::weak_ptr<replica::Following> second = crew.fleet.find("se-02");
    crew.away = true;
    crew.until_in_step("se-02", false);
    crew.fleet.update({crew.kFirst});
    const Timestamp gone_since = crew.clock.now();
    crew.clock.advance(59min);
    crew.fleet.update({crew.kFirst});
    CHECK(crew.fleet.find("se-02") != nullptr);
    crew.clock.advance(2min);
    crew.fleet.update({crew.kFirst});
    CHECK(crew.fleet.find("se-02") == nullptr);
    CHECK(second.expired());  // and with it its thread
    CHECK(crew.fleet.find("se-01") != nullptr);
    crew.fleet.measure();
    CHECK(crew.metrics.text().find(gauge) == std::string::npos);
    REQUIRE(crew.status("se-02"));
    CHECK(crew.status("se-02")->gone_since == gone_since);
    CHECK(crew.bench.count("file_metadata_cache") == 2);

    SUBCASE("until it is named again: then it is followed from where it was") {
      crew.away = false;
      crew.sources["se-02"]->put(sample_entry(7));
      crew.fleet.update({crew.kFirst, crew.kSecond});
      crew.until_in_step("se-02", true);
      const auto status = crew.status("se-02");
      REQUIRE(status);
      CHECK_FALSE(status->gone_since);
      CHECK(status->follow.snapshots == 0);
      CHECK(crew.bench.count("file_metadata_cache") == 3);
    }

    SUBCASE("and reads that ask for more than it had are refused") {
      const ReadBound fresh{.max_staleness = 1h};
      CHECK(crew.fleet.await(fresh, {}, {}).error().code == Errc::unavailable);
      CHECK(crew.fleet.await(fresh, "se-02", {}).error().code == Errc::unavailable);
      must(crew.fleet.await(fresh, "se-01", {}));
      Position position = crew.status("se-02")->follow.position;
      must(crew.fleet.await({.min_position = position}, {}, {}));
      must(crew.fleet.await({.min_position = position}, "se-02", {}));
      ++position.seq;
      CHECK(crew.fleet.await({.min_position = position}, {}, {}).error().code == Errc::unavailable);
      CHECK(crew.fleet.await({.min_position = position}, "se-09", {}).error().code ==
            Errc::not_found);
    }

    SUBCASE("until somebody has it forgotten") {
      CHECK(must(crew.fleet.forget("se-02", {})) == 1);
      CHECK_FALSE(crew.status("se-02"));
      CHECK(crew.bench.count("file_metadata_cache") == 1);
      must(crew.fleet.await({.max_staleness = 1h}, {}, {}));
      CHECK(crew.fleet.forget("se-02", {}).error().code == Errc::not_found);
      // Should it come back after all, it begins anew.
      crew.away = false;
      crew.fleet.update({crew.kFirst, crew.kSecond});
      crew.until_in_step("se-02", true);
      CHECK(crew.bench.count("file_metadata_cache") == 2);
    }
  }

  TEST_CASE("an element that nobody names is forgotten at once when that is asked for") {
    Crew crew;
    CHECK(crew.fleet.forget("se-02", {}).error().code == Errc::conflict);
    for (std::size_t i = 10; i < 1500; ++i) crew.sources["se-02"]->put(sample_entry(i));
    must(crew.fleet.find("se-02")->sync_full({}));
    crew.fleet.update({crew.kFirst});
    CHECK(must(crew.fleet.forget("se-02", {})) == 1491);
    CHECK(crew.fleet.find("se-02") == nullptr);
    CHECK(crew.bench.count("file_metadata_cache") == 1);
    CHECK(crew.bench.count("file_metadata_sync") == 1);
  }

  TEST_CASE("who has just begun forgets nobody who may be named in a moment") {
    Crew crew;
    crew.fleet.stop();
    replica::Fleet again{crew.bench.replica(),
                         [](const Owner&) -> Result<std::unique_ptr<LogSource>> {
                           return Error{Errc::unavailable, "nobody"};
                         },
                         FollowSettings{},
                         {.clock = &crew.clock}};
    CHECK(again.forget("se-02", {}).error().code == Errc::unavailable);
    CHECK(again.forget("se-09", {}).error().code == Errc::not_found);
    crew.clock.advance(6min);
    CHECK(must(again.forget("se-02", {})) == 1);
  }

  TEST_CASE("an element that nobody names and that answers is still followed") {
    Crew crew;
    crew.fleet.update({crew.kFirst});
    crew.clock.advance(3h);
    must(crew.fleet.find("se-02")->sync_full({}));
    crew.fleet.update({crew.kFirst});
    CHECK(crew.fleet.find("se-02") != nullptr);
  }

  TEST_CASE("an element that is named and does not answer is still tried") {
    Crew crew;
    crew.away = true;
    crew.until_in_step("se-02", false);
    crew.clock.advance(3h);
    crew.fleet.update({crew.kFirst, crew.kSecond});
    CHECK(crew.fleet.find("se-02") != nullptr);
  }

  TEST_CASE("who stops does not wait for a full comparison to end") {
    query::Bench bench;
    const auto source = bench.source("se-01");
    source->put(sample_entry(1));
    HangingLog::Told told;
    const auto open = [&](const Owner&) -> Result<std::unique_ptr<LogSource>> {
      return std::unique_ptr<LogSource>(std::make_unique<HangingLog>(source->log(), told));
    };
    replica::Fleet fleet{bench.replica(), open, FollowSettings{}, {}};
    fleet.update({{"se-01", "http://se-01"}});
    const auto one = fleet.find("se-01");
    must(one->sync_full({}));
    told.hang = true;
    std::optional<Error> end;
    std::thread client([&] {
      // So that a stop that waits is seen, and not waited for.
      const auto done = one->sync_full(Call().within(60s, system_clock()));
      if (!done) end = done.error();
    });
    // By the comparison: the thread that followed has ended before it.
    while (one->status().follow.in_step || !told.hangs) std::this_thread::yield();
    fleet.stop();
    client.join();
    REQUIRE(end);
    CHECK(end->code == Errc::unavailable);
    CHECK(end->message == "se-01 is not followed any more");
  }

  TEST_CASE("all that alerts are made of is there before the first change") {
    const Crew crew;
    crew.fleet.measure();
    const std::string text = crew.metrics.text(), element = "storage_element_id=\"se-01\"";
    for (const char* kind : {"file:created", "file:updated", "file:deleted"}) {
      const std::string labels = std::string("{event_type=\"") + kind + "\"," + element;
      for (const std::string& name :
           {"events_received_total" + labels + "} ",
            "events_processing_failures_total" + labels + "} 0\n",
            "cache_sync_duration_seconds_bucket" + labels + ",le=\"+Inf\"} "})
        CHECK_MESSAGE(text.find("\nartstore_query_" + name) != std::string::npos, name);
    }
    for (const char* name : {"sync_lag_seconds", "sync_failures", "sync_digest_age_seconds",
                             "sync_dead_letters", "sync_gone", "stream_events_failed_total"}) {
      const std::string line = "artstore_query_" + std::string(name) + "{" + element + "} ";
      CHECK_MESSAGE(text.find(line) != std::string::npos, name);
    }
  }
}
