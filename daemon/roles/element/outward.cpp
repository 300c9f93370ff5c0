// SPDX-License-Identifier: Apache-2.0
#include "roles/element/outward.hpp"

#include <algorithm>
#include <utility>

#include "roles/element/admin_registrar.hpp"
#include "roles/element/settings.hpp"
#include "roles/shared_settings.hpp"
#include "util/try.hpp"

#if ARTCACHE_WITH_REDIS
#include "roles/element/discovery.hpp"
#include "roles/element/redis_events.hpp"
#endif

namespace artcache::element {
namespace {

/// What Redis is used for.
struct InRedis {
  std::unique_ptr<Registrar> registrar;
  std::unique_ptr<EventOutlet> outlet;  ///< none when no events are wanted
};

#if ARTCACHE_WITH_REDIS
Result<InRedis> in_redis(const Url& url, const config::Settings& told, const std::string& element,
                         const Deps& deps) {
  ARTCACHE_TRY(const auto options, redis::options_of(url, *deps.clock));
  const auto life = std::chrono::ceil<std::chrono::seconds>(
      told.duration("report_interval") * static_cast<std::int64_t>(told.number("report_life")));
  InRedis out;
  out.registrar = make_redis_registrar(options, std::max(life, std::chrono::seconds(1)),
                                       *deps.metrics, *deps.clock);
  if (!told.flag("events")) return out;
  ARTCACHE_TRY(const std::uint64_t kept, changes_kept(told));
  out.outlet = make_redis_outlet(options,
                                 {.element = element,
                                  .created = told.text("events_created"),
                                  .updated = told.text("events_updated"),
                                  .deleted = told.text("events_deleted"),
                                  .stream = told.text("events_stream"),
                                  .stream_most = kept},
                                 *deps.metrics);
  return out;
}
#else
Result<InRedis> in_redis(const Url&, const config::Settings&, const std::string&, const Deps&) {
  return Error{Errc::unsupported, "redis: not compiled in: build with ARTCACHE_WITH_REDIS"};
}
#endif

}  // namespace

Result<std::unique_ptr<Outward>> Outward::make(Element& element, const config::Settings& told,
                                               std::optional<ServiceAccount> account,
                                               const Deps& deps) {
  ARTCACHE_TRY(const auto redis, shared_settings::redis_address(told));
  const auto pause = told.duration("report_interval");
  std::unique_ptr<Outward> out(new Outward);
  std::vector<std::unique_ptr<Registrar>> places;
  places.push_back(make_meter(*deps.metrics));
  if (account) places.push_back(make_admin_registrar(*std::move(account), told.text("ca"), deps));
  if (redis) {
    ARTCACHE_TRY(auto both, in_redis(*redis, told, element.settings().id, deps));
    places.push_back(std::move(both.registrar));
    out->outlet_ = std::move(both.outlet);
  }
  out->announcer_ = std::make_unique<Announcer>(element, std::move(places), pause);
  if (out->outlet_ != nullptr)
    out->publisher_ = std::make_unique<EventPublisher>(
        *element.parts().index, *out->outlet_,
        EventSettings{.element = element.settings().id,
                      .publish_most = told.duration("events_timeout")},
        deps);
  return out;
}

void Outward::start(const std::string& endpoint) {
  announcer_->start(endpoint);
  if (publisher_ == nullptr) return;
  publishing_ = std::jthread([this](std::stop_token stop) {
    Call call;
    call.stop = std::move(stop);
    static_cast<void>(publisher_->run(call));  // it ends with the call, and by nothing else
  });
}

void Outward::withdraw() { announcer_->stop(); }

void Outward::stop() {
  publishing_.request_stop();
  withdraw();
  if (publishing_.joinable()) publishing_.join();
}

void Outward::append_health(std::vector<HealthPart>& parts) const {
  for (Announcer::State& state : announcer_->states())
    if (state.name != "metrics")
      parts.push_back({.name = std::move(state.name), .state = std::move(state.state)});
  if (publisher_ == nullptr) return;
  const EventStatus events = publisher_->status();
  parts.push_back({.name = "events",
                   .state = events.lag == 0 ? "ok" : std::to_string(events.lag) + " waiting"});
}

}  // namespace artcache::element
