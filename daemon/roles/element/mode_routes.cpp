// SPDX-License-Identifier: Apache-2.0
// The mode of the element, and the way from one to the next.
#include <utility>

#include "common/json_read.hpp"
#include "roles/element/element.hpp"

namespace artcache::element {
namespace {

using http::Problem;
using http::Reply;
using http::Request;

constexpr std::size_t kBodyMost = 64 * std::size_t{1024};

void append_mode(JsonWriter& json, ElementMode mode) {
  using enum ElementMode;
  json.member("mode", to_string(mode))
      .member("can_upload", may_write_files(mode))
      .member("can_update", may_write_files(mode))
      .member("can_delete", mode == edit);
  json.key("allowed_transitions").begin_array();
  if (mode == rw) json.value("ro");
  if (mode == ro) json.value("ar").value("rw");
  json.end_array();
}

Reply show(Element& element, Request&) {
  JsonWriter json;
  json.begin_object();
  append_mode(json, element.services()->mode);
  json.end_object();
  return http::json_response(200, std::move(json).str());
}

constexpr http::BodyField kChangeBody[] = {{"target_mode", "string", http::BodyField::Need::needed},
                                           {"confirm", "boolean"},
                                           {"reason", "string"}};

Reply change(Element& element, Request& request) {
  auto text = http::read_all(*request.body, kBodyMost);
  if (!text) return text.error();
  JsonObject body(std::move(*text));
  body.require("target_mode");
  const auto target = body.text("target_mode");
  const bool confirmed = body.flag("confirm").value_or(false);
  const auto reason = body.text("reason");
  const auto mode = target ? parse_element_mode(*target) : std::nullopt;
  if (target && !mode)
    body.refuse("target_mode", "Input should be 'edit', 'rw', 'ro' or 'ar'", "enum");
  if (!body.problems().empty()) return unprocessable(body.problems());
  const ElementMode before = element.services()->mode, after = mode.value_or(before);
  if (before == ElementMode::ro && after == ElementMode::rw && !confirmed)
    return Problem{.status = 409,
                   .detail = "Transition from ro to rw needs \"confirm\": true",
                   .code = "CONFIRMATION_REQUIRED"};
  if (auto changed = element.change_mode(before, after, request.call); !changed)
    return changed.error();
  const std::string from(to_string(before)), to(to_string(after));
  const std::string who = request.identity ? request.identity->name : std::string();
  const LogField fields[] = {
      {"from", from}, {"to", to}, {"by", who}, {"reason", reason.value_or("")}};
  element.parts().deps.logger->log(
      {LogLevel::info, "element", "Mode changed", fields, request.call.request_id});
  JsonWriter json;
  json.begin_object()
      .member("success", true)
      .member("from_mode", from)
      .member("to_mode", to)
      .member("previous_mode", from)
      .member("current_mode", to)
      .member("message", "Mode changed from " + from + " to " + to);
  json.key("current_mode_info").begin_object();
  append_mode(json, after);
  json.end_object().end_object();
  return http::json_response(200, std::move(json).str());
}

}  // namespace

Result<void> add_mode_routes(Element& element, http::Site& site) {
  for (const std::string_view pattern : {"/api/v1/mode", "/api/v1/mode/info"}) {
    http::Route route{.method = http::Method::get, .pattern = std::string(pattern)};
    route.summary = "What the element allows now";
    route.handler = [&element](Request& request) { return show(element, request); };
    auto added = site.add(element.parts().gate->protect(std::move(route), {}));
    if (!added) return added;
  }
  http::Route route{.method = http::Method::post, .pattern = "/api/v1/mode/transition"};
  route.summary = "rw to ro, ro to ar, or with confirm back from ro to rw";
  route.handler = [&element](Request& request) { return change(element, request); };
  route.body = {http::BodyShape::Media::json, kChangeBody};
  return site.add(element.parts().gate->protect(std::move(route), {.roles = {"admin"}}));
}

}  // namespace artcache::element
