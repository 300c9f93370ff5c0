// SPDX-License-Identifier: Apache-2.0
#include "roles/element/outward.hpp"

#include <utility>

#include "roles/element/settings.hpp"
#include "util/try.hpp"

#if ARTCACHE_WITH_REDIS
#include "roles/element/discovery.hpp"
#endif

namespace artcache::element {
namespace {

using Places = std::vector<std::unique_ptr<Registrar>>;

#if ARTCACHE_WITH_REDIS
Result<void> add_redis(const Url& url, const config::Settings& told, const Deps& deps,
                       Places& places) {
  ARTCACHE_TRY(auto options, redis::options_of(url, *deps.clock));
  const auto life = std::chrono::ceil<std::chrono::seconds>(
      told.duration("report_interval") * static_cast<std::int64_t>(told.number("report_life")));
  places.push_back(make_redis_registrar(std::move(options), std::max(life, std::chrono::seconds(1)),
                                        *deps.metrics, *deps.clock));
  return {};
}
#else
Result<void> add_redis(const Url&, const config::Settings&, const Deps&, Places&) {
  return Error{Errc::unsupported, "redis: not compiled in: build with ARTCACHE_WITH_REDIS"};
}
#endif

}  // namespace

Result<std::unique_ptr<Outward>> Outward::make(Element& element, const config::Settings& told,
                                               const Deps& deps) {
  ARTCACHE_TRY(const auto redis, redis_address(told));
  Places places;
  places.push_back(make_meter(*deps.metrics));
  if (redis) ARTCACHE_CHECK(add_redis(*redis, told, deps, places));
  const auto pause = told.duration("report_interval");
  if (pause <= pause.zero())
    return Error{Errc::invalid_argument, "report_interval: must be longer than nothing"};
  return std::unique_ptr<Outward>(
      new Outward(std::make_unique<Announcer>(element, std::move(places), pause)));
}

void Outward::start(const std::string& endpoint) { announcer_->start(endpoint); }

void Outward::stop() { announcer_->stop(); }

void Outward::append_health(std::vector<HealthPart>& parts) const {
  for (Announcer::State& state : announcer_->states())
    if (state.name != "metrics")
      parts.push_back({.name = std::move(state.name), .state = std::move(state.state)});
}

}  // namespace artcache::element
