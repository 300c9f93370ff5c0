// SPDX-License-Identifier: Apache-2.0
#include "common/operations.hpp"

#include <algorithm>
#include <artcache/json_writer.hpp>
#include <artcache/timestamp.hpp>
#include <string_view>
#include <utility>

#include "http/openapi.hpp"

namespace artcache {
namespace {

// Who asks waits no longer, and takes silence for the end of the whole process.
constexpr std::chrono::seconds kReadyMost{1};

http::Reply running(std::string_view status, const Clock& clock) {
  JsonWriter json;
  json.begin_object().member("status", status).member("timestamp", to_string(clock.now()));
  json.key("checks").begin_object().member("process", "running").end_object().end_object();
  return http::json_response(200, std::move(json).str());
}

http::Reply ready(const std::vector<HealthPart>& parts, const Clock& clock) {
  const bool works = std::ranges::all_of(parts, &HealthPart::works);
  JsonWriter json;
  json.begin_object().member("status", works ? "ready" : "not_ready");
  json.member("timestamp", to_string(clock.now())).key("checks").begin_object();
  for (const HealthPart& part : parts) json.member(part.name, part.state);
  json.end_object().end_object();
  return http::json_response(works ? 200 : 503, std::move(json).str());
}

void add_unless_there(http::Site& site, http::Route route) {
  const auto added = site.add(std::move(route));
  static_cast<void>(added);  // a conflict: the role has one of its own
}

}  // namespace

void add_operations(http::Site& site, HealthCheck check, const MetricsRegistry& metrics,
                    const Clock& clock) {
  add_unless_there(site, {.pattern = "/health/live",
                          .quick = [&clock](http::Request&) { return running("ok", clock); },
                          .summary = "Whether the process runs"});
  // Nobody is served before every role has started.
  add_unless_there(site, {.pattern = "/health/startup",
                          .quick = [&clock](http::Request&) { return running("started", clock); },
                          .summary = "Whether the process has started"});
  add_unless_there(site, {.pattern = "/health/ready",
                          .handler =
                              [&clock, check = std::move(check)](http::Request& request) {
                                return ready(check(request.call.within(kReadyMost, clock)), clock);
                              },
                          .summary = "Whether every part works, each with its state"});
  const http::Handler numbers = [&metrics](http::Request&) {
    return http::Response{.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
                          .body = metrics.text()};
  };
  for (const char* pattern : {"/metrics", "/health/metrics"})
    add_unless_there(site,
                     {.pattern = pattern, .handler = numbers, .summary = "Numbers for Prometheus"});
  add_unless_there(
      site,
      {.pattern = std::string(http::kOpenApiPath),
       .handler = [&site](http::Request&) { return http::json_response(200, http::openapi(site)); },
       .summary = "This list, for programs"});
}

}  // namespace artcache
