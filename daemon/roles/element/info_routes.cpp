// SPDX-License-Identifier: Apache-2.0
// What the element is and how full: for discovery, which has no token, and for people.
#include "roles/element/element.hpp"

namespace artcache::element {
namespace {

using http::Reply;
using http::Request;

std::string_view status_of(ElementMode mode) {
  return mode == ElementMode::ar ? "maintenance" : "operational";
}

Reply root(Element& element, Request&) {
  const ElementMode mode = element.services()->mode;
  JsonWriter json;
  json.begin_object()
      .member("service", element.settings().name)
      .member("version", element.settings().version)
      .member("mode", to_string(mode))
      .member("storage_type", element.settings().storage_type)
      .member("element_id", element.settings().id)
      .member("status", status_of(mode))
      .end_object();
  return http::json_response(200, std::move(json).str());
}

Reply info(Element& element, Request& request) {
  const auto room = element.room(request.call);
  if (!room) return room.error();
  const ElementSettings& settings = element.settings();
  const ElementMode mode = element.services()->mode;
  JsonWriter json;
  json.begin_object()
      .member("name", settings.name)
      .member("display_name", settings.display_name)
      .member("version", settings.version)
      .member("mode", to_string(mode))
      .member("storage_type", settings.storage_type)
      .member("base_path", settings.base_path)
      .member("capacity_bytes", room->total)
      .member("used_bytes", room->used)
      .member("available_bytes", room->available)
      .member("file_count", room->files)
      .member("status", status_of(mode))
      .member("priority", settings.priority)
      .member("element_id", settings.id)
      .member("timestamp", to_string(element.parts().deps.clock->now()))
      .end_object();
  return http::json_response(200, std::move(json).str());
}

Reply capacity(Element& element, Request& request) {
  const auto room = element.room(request.call);
  if (!room) return room.error();
  const ElementSettings& settings = element.settings();
  JsonWriter json;
  json.begin_object()
      .member("storage_id", settings.id)
      .member("mode", to_string(element.services()->mode));
  json.key("capacity").begin_object();
  json.member("total", room->total)
      .member("used", room->taken())
      .member("available", room->available)
      .member("percent_used", room->percent_used())
      .end_object();
  json.member("health", "healthy")
      .member("last_update", to_string(element.parts().deps.clock->now(), TimestampStyle::zulu))
      .member("backend", settings.storage_type)
      .member("location", settings.datacenter)
      .end_object();
  return http::json_response(200, std::move(json).str());
}

}  // namespace

Result<void> add_info_routes(Element& element, http::Site& site) {
  struct Row {
    std::string_view pattern, summary;
    Reply (*handler)(Element&, Request&);
  };
  static constexpr Row kRows[] = {
      {"/", "Name, version and mode", root},
      {"/api/v1/info", "What discovery wants to know of the element", info},
      {"/api/v1/capacity", "How much room there is", capacity},
  };
  for (const Row& row : kRows) {
    http::Route route{.method = http::Method::get, .pattern = std::string(row.pattern)};
    route.summary = row.summary;
    route.handler = [&element, handler = row.handler](Request& request) {
      return handler(element, request);
    };
    if (auto added = site.add(std::move(route)); !added) return added;
  }
  return {};
}

}  // namespace artcache::element
