// SPDX-License-Identifier: Apache-2.0
#include "roles/element/announcer.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <utility>

#include "common/metrics_registry.hpp"
#include "element_stand.hpp"

namespace artcache::element {
namespace {

using namespace std::chrono_literals;

/// A place that notes what it is told, and fails when it is told to.
struct Place {
  std::atomic<bool> away{false};
  util::Mutex mutex;
  util::CondVar changed;
  std::vector<std::string> heard ARTCACHE_GUARDED_BY(mutex);

  Result<void> hear(const Announcement& said) {
    const util::MutexLock held(mutex);
    heard.push_back(std::string(said.action) + " " + std::string(to_string(said.mode)) +
                    (away ? " unheard" : ""));
    changed.notify_all();
    if (away) return Error{Errc::unavailable, "away"};
    return {};
  }
  /// Waits until so much was said.
  std::vector<std::string> until(std::size_t count) {
    const util::MutexLock held(mutex);
    while (heard.size() < count) changed.wait(mutex);
    return heard;
  }
};

class PlaceRegistrar final : public Registrar {
 public:
  explicit PlaceRegistrar(Place& place) : place_(place) {}
  [[nodiscard]] std::string name() const override { return "place"; }
  Result<void> announce(const Announcement& said, const Call&) override {
    return place_.hear(said);
  }
  Result<void> withdraw(const Announcement& last, const Call&) override {
    return place_.hear(last);
  }

 private:
  Place& place_;
};

std::vector<std::unique_ptr<Registrar>> only(std::unique_ptr<Registrar> one) {
  std::vector<std::unique_ptr<Registrar>> all;
  all.push_back(std::move(one));
  return all;
}

TEST_SUITE("element announcer") {
  TEST_CASE("an element is announced at its start, on a change of mode, and taken back") {
    Stand stand({.mode = ElementMode::rw});
    Place place;
    Announcer announcer(*stand.element, only(std::make_unique<PlaceRegistrar>(place)), 1h);
    CHECK(announcer.states().empty());
    announcer.start("http://here");
    place.until(1);
    auth::must(stand.element->change_mode(ElementMode::rw, ElementMode::ro, {}));
    place.until(2);
    announcer.stop();
    CHECK(place.until(3) == std::vector<std::string>{"startup rw", "updated ro", "deleted ro"});
    CHECK(announcer.states().at(0).state == "ok");
    announcer.stop();
    CHECK(place.until(3).size() == 3);
  }

  TEST_CASE("a place that does not answer is tried again, and need not be told goodbye") {
    Stand stand;
    Place place;
    place.away = true;
    Announcer announcer(*stand.element, only(std::make_unique<PlaceRegistrar>(place)), 1h);
    announcer.start("http://here");
    place.until(1);
    while (announcer.states().empty()) std::this_thread::yield();
    CHECK(announcer.states().at(0).state == "unavailable");
    stand.clock.advance(600ms);
    place.until(2);
    stand.clock.advance(600ms);  // the second pause is longer than the first
    announcer.stop();
    CHECK(place.until(2) ==
          std::vector<std::string>{"startup edit unheard", "startup edit unheard"});
  }

  TEST_CASE("the gauges of an element tell its room") {
    Stand stand({.mode = ElementMode::edit, .capacity_bytes = 1000});
    stand.upload(std::string(970, 'x'));
    MetricsRegistry metrics;
    const auto meter = make_meter(metrics);
    const Announcement said{.settings = &stand.element->settings(),
                            .endpoint = {},
                            .mode = ElementMode::edit,
                            .room = auth::must(stand.element->room({})),
                            .at = {}};
    auth::must(meter->announce(said, {}));
    const std::string text = metrics.text(),
                      labels = "{storage_element_id=\"se-01\",mode=\"edit\"}";
    for (const char* line : {"total_bytes% 1000\n", "used_bytes% 970\n", "free_bytes% 30\n",
                             "percent_used% 97\n", "status% 2\n"}) {
      std::string wanted = std::string("storage_capacity_") + line;
      wanted.replace(wanted.find('%'), 1, labels);
      CHECK_MESSAGE(text.find(wanted) != std::string::npos, wanted);
    }
    CHECK(text.find("storage_files_total" + labels + " 1\n") != std::string::npos);
    CHECK(text.find("storage_index_trusted" + labels + " 1\n") != std::string::npos);
    auth::must(stand.index->set_suspect("truncated by hand", 0, {}));
    Announcement later = said;
    later.room = auth::must(stand.element->room({}));
    auth::must(meter->announce(later, {}));
    CHECK(metrics.text().find("storage_index_trusted" + labels + " 0\n") != std::string::npos);
    auth::must(meter->withdraw(said, {}));
    CHECK(metrics.text().find("storage_health_status" + labels + " 0\n") != std::string::npos);
  }

  TEST_CASE("the gauges of a mode end with it") {
    Stand stand;
    MetricsRegistry metrics;
    const auto meter = make_meter(metrics);
    Announcement said{.settings = &stand.element->settings(),
                      .endpoint = {},
                      .mode = ElementMode::rw,
                      .room = auth::must(stand.element->room({})),
                      .at = {}};
    auth::must(meter->announce(said, {}));
    CHECK(metrics.text().find("mode=\"rw\"") != std::string::npos);
    said.mode = ElementMode::ro;
    auth::must(meter->announce(said, {}));
    CHECK(metrics.text().find("mode=\"rw\"") == std::string::npos);
    CHECK(metrics.text().find("storage_index_trusted{storage_element_id=\"se-01\",mode=\"ro\"}") !=
          std::string::npos);
  }

  TEST_CASE("what is said of an element is one JSON object") {
    Stand stand({.mode = ElementMode::ar, .priority = 7, .storage_type = "s3"});
    const Announcement said{.settings = &stand.element->settings(),
                            .endpoint = "http://se-01:8010",
                            .mode = ElementMode::ar,
                            .room = {.total = 10, .used = 4, .available = 6, .files = 2},
                            .at = test::FakeClock::kStart};
    CHECK(to_json(said) ==
          R"({"element_id":"se-01","name":"Storage Element","api_url":"http://se-01:8010",)"
          R"("mode":"ar","storage_type":"s3","status":"maintenance","base_path":"",)"
          R"("capacity_bytes":10,"used_bytes":4,"available_bytes":6,"file_count":2,"priority":7,)"
          R"("is_writable":false,"is_available":false,)"
          R"("last_health_check":"2026-03-02T10:11:12.000000+00:00",)"
          R"("last_update":"2026-03-02T10:11:12.000000+00:00"})");
  }
}

}  // namespace
}  // namespace artcache::element
