// SPDX-License-Identifier: Apache-2.0
#include "roles/element/announcer.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "common/discovery_names.hpp"
#include "util/pause.hpp"
#include "util/try.hpp"

namespace artcache::element {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kAnswerMost{5}, kFarewellMost{2};
constexpr milliseconds kRetryLeast{500};
/// How often a change of the mode is looked for.
constexpr milliseconds kLook{500};

std::string_view status_of(ElementMode mode) {
  return mode == ElementMode::ar ? "maintenance" : "online";
}

/// Once under every name that the original gives it.
class Meter final : public Registrar {
 public:
  explicit Meter(Metrics& metrics) : metrics_(metrics) {}
  [[nodiscard]] std::string name() const override { return "metrics"; }

  Result<void> announce(const Announcement& said, const Call&) override {
    if (mode_ && *mode_ != said.mode) tell(said, *mode_, Telling::ends);
    mode_ = said.mode;
    tell(said, said.mode, Telling::holds);
    return {};
  }
  Result<void> withdraw(const Announcement& last, const Call&) override {
    const std::array labels{MetricLabel{"storage_element_id", last.settings->id},
                            MetricLabel{"mode", to_string(last.mode)}};
    metrics_.gauge("storage_health_status", labels, 0);
    return {};
  }

 private:
  enum class Telling : std::uint8_t { holds, ends };

  void tell(const Announcement& said, ElementMode mode, Telling telling) {
    const std::array labels{MetricLabel{"storage_element_id", said.settings->id},
                            MetricLabel{"mode", to_string(mode)}};
    const auto told = [&](auto value) {
      return telling == Telling::holds ? static_cast<double>(value)
                                       : std::numeric_limits<double>::quiet_NaN();
    };
    const auto set = [&](std::string_view name, auto value) {
      metrics_.gauge(name, labels, told(value));
    };
    const double percent = said.room.percent_used();
    set("storage_capacity_total_bytes", said.room.total);
    set("storage_capacity_used_bytes", said.room.used);
    set("storage_capacity_free_bytes", said.room.available);
    set("storage_capacity_percent_used", percent);
    set("storage_capacity_status", level_of(percent));
    set("storage_threshold_warning_percent", kWarning);
    set("storage_threshold_critical_percent", kCritical);
    set("storage_threshold_full_percent", kFull);
    set("storage_health_status", 1);
    set("storage_files_total", said.room.files);
    set("storage_index_trusted", said.room.index_trusted ? 1 : 0);
    const std::array about{labels[0], labels[1], MetricLabel{"version", said.settings->version},
                           MetricLabel{"storage_type", said.settings->storage_type}};
    metrics_.gauge("storage_element_info", about, told(1));
  }

  static constexpr double kWarning = 80, kCritical = 95, kFull = 98;
  /// 0: ok, 1: warning, 2: critical, 3: full.
  static int level_of(double percent) {
    return percent >= kFull ? 3 : percent >= kCritical ? 2 : percent >= kWarning ? 1 : 0;
  }

  Metrics& metrics_;
  std::optional<ElementMode> mode_;  // that the gauges were told of last
};

}  // namespace

std::string to_json(const Announcement& said) {
  JsonWriter json;
  json.begin_object()
      .member("element_id", said.settings->id)
      .member("name", said.settings->display_name)
      .member("api_url", said.endpoint)
      .member("mode", to_string(said.mode))
      .member("storage_type", said.settings->storage_type)
      .member("status", status_of(said.mode))
      .member("base_path", said.settings->base_path)
      .member("capacity_bytes", said.room.total)
      .member("used_bytes", said.room.used)
      .member("available_bytes", said.room.available)
      .member("file_count", said.room.files)
      .member("priority", said.settings->priority)
      .member("is_writable", may_write_files(said.mode))
      .member("is_available", said.mode != ElementMode::ar)
      .member("last_health_check", to_string(said.at))
      .member("last_update", to_string(said.at))
      .end_object();
  return std::move(json).str();
}

std::unique_ptr<Registrar> make_meter(Metrics& metrics) { return std::make_unique<Meter>(metrics); }

Announcer::Announcer(Element& element, std::vector<std::unique_ptr<Registrar>> places,
                     milliseconds pause)
    : element_(element), pause_(pause) {
  for (auto& registrar : places) places_.push_back({.registrar = std::move(registrar)});
}

void Announcer::start(std::string endpoint) {
  endpoint_ = std::move(endpoint);
  last_mode_ = element_.services()->mode;
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void Announcer::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Announcer::run(const std::stop_token& stop) {
  Call call;
  call.stop = stop;
  while (!stop.stop_requested()) {
    pass(call);
    (void)util::pause_for(std::min(kLook, pause_), stop);
  }
  withdraw();
}

void Announcer::pass(const Call& call) {
  const Clock& clock = *element_.parts().deps.clock;
  const ElementMode mode = element_.services()->mode;
  const bool changed = std::exchange(last_mode_, mode) != mode;
  const auto now = clock.steady();
  for (Place& place : places_) {
    if (now < place.due && !changed) continue;
    const Call mine = call.within(kAnswerMost, clock);
    auto said = look(mine);
    if (said) said->action = !place.told ? "startup" : changed ? "updated" : kStillAlive;
    const Result<void> done =
        said ? place.registrar->announce(*said, mine) : Result<void>(std::move(said).error());
    if (call.stop.stop_requested()) return;
    settle(place, done, now);
  }
}

void Announcer::settle(Place& place, const Result<void>& done, Clock::SteadyTime now) {
  if (done) {
    if (!place.failure.empty())
      log(LogLevel::info, "The element is announced again", place, place.failure);
    place.failure.clear();
    place.told = true;
    place.pause = pause_;
  } else {
    const bool first = place.failure.empty();
    place.failure = to_string(done.error());
    if (first)
      log(LogLevel::warning, "The element is not announced; trying goes on", place, place.failure);
    place.pause = first ? std::min(kRetryLeast, pause_) : std::min(place.pause * 2, pause_);
  }
  place.due = now + place.pause;
  const util::MutexLock held(mutex_);
  const std::string name = place.registrar->name();
  auto state = std::ranges::find(states_, name, &State::name);
  if (state == states_.end()) state = states_.insert(state, State{.name = name, .state = {}});
  state->state = done ? "ok" : std::string(to_string(done.error().code));
  state->works = done.has_value();
}

void Announcer::withdraw() {
  const Clock& clock = *element_.parts().deps.clock;
  Announcement last{.settings = &element_.settings(),
                    .endpoint = endpoint_,
                    .mode = element_.services()->mode,
                    .room = {},
                    .at = clock.now(),
                    .action = "deleted"};
  for (Place& place : places_) {
    if (!place.told || !place.failure.empty()) continue;
    const auto done = place.registrar->withdraw(last, Call().within(kFarewellMost, clock));
    if (!done)
      log(LogLevel::warning, "The element could not be withdrawn", place, to_string(done.error()));
  }
}

Result<Announcement> Announcer::look(const Call& call) const {
  ARTCACHE_TRY(const Element::Room room, element_.room(call));
  return Announcement{.settings = &element_.settings(),
                      .endpoint = endpoint_,
                      .mode = element_.services()->mode,
                      .room = room,
                      .at = element_.parts().deps.clock->now()};
}

std::vector<Announcer::State> Announcer::states() const {
  const util::MutexLock held(mutex_);
  return states_;
}

void Announcer::log(LogLevel level, std::string_view message, const Place& place,
                    std::string_view cause) const {
  const std::string name = place.registrar->name();
  const LogField fields[] = {
      {"element", element_.settings().id}, {"place", name}, {"cause", cause}};
  element_.parts().deps.logger->log({.level = level,
                                     .logger = "element",
                                     .message = message,
                                     .fields = fields,
                                     .request_id = {}});
}

}  // namespace artcache::element
