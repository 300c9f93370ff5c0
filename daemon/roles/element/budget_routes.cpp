// SPDX-License-Identifier: Apache-2.0
// How fast runs may go, changed while they go.
#include <utility>

#include "common/json_read.hpp"
#include "roles/element/element.hpp"

namespace artcache::element {
namespace {

using http::Method;
using http::Reply;
using http::Request;

constexpr std::size_t kBodyMost = 4 * std::size_t{1024};
constexpr http::BodyField kBody[] = {
    {"files_per_second", "integer", http::BodyField::Need::needed},
    {"bytes_per_second", "integer", http::BodyField::Need::needed}};

Reply show(Element& element, Request&) {
  const RunRates rates = element.run_rates();
  JsonWriter json;
  json.begin_object()
      .member("files_per_second", rates.files_per_second)
      .member("bytes_per_second", rates.bytes_per_second)
      .end_object();
  return http::json_response(200, std::move(json).str());
}

std::uint64_t rate(JsonObject& body, std::string_view name) {
  body.require(name);
  const std::int64_t told = body.number(name).value_or(0);
  if (told < 0)
    body.refuse(name, "Input should be greater than or equal to 0", "greater_than_equal");
  return told < 0 ? 0 : static_cast<std::uint64_t>(told);
}

Reply change(Element& element, Request& request) {
  auto text = http::read_all(*request.body, kBodyMost);
  if (!text) return text.error();
  JsonObject body(std::move(*text));
  const RunRates rates{.files_per_second = rate(body, "files_per_second"),
                       .bytes_per_second = rate(body, "bytes_per_second")};
  if (!body.problems().empty()) return unprocessable(body.problems());
  element.set_run_rates(rates);
  const std::string files = std::to_string(rates.files_per_second),
                    bytes = std::to_string(rates.bytes_per_second),
                    who = request.identity ? request.identity->name : std::string();
  const LogField fields[] = {{"files_per_second", files}, {"bytes_per_second", bytes}, {"by", who}};
  element.parts().deps.logger->log(
      {LogLevel::info, "element", "Runs may go this fast now", fields, request.call.request_id});
  return show(element, request);
}

}  // namespace

Result<void> add_budget_routes(Element& element, http::Site& site) {
  const auth::Rule rule{.callers = auth::Callers::service_accounts, .roles = {"admin"}};
  http::Route shown{.method = Method::get, .pattern = "/api/v1/cache/budget"};
  shown.handler = [&element](Request& request) { return show(element, request); };
  shown.summary = "How fast runs may go; 0: as fast as they can";
  auto added = site.add(element.parts().gate->protect(std::move(shown), rule));
  if (!added) return added;
  http::Route changed{.method = Method::put, .pattern = "/api/v1/cache/budget"};
  changed.handler = [&element](Request& request) { return change(element, request); };
  changed.body = {http::BodyShape::Media::json, kBody};
  changed.summary = "How fast they may go from now on, until the process ends";
  return site.add(element.parts().gate->protect(std::move(changed), rule));
}

}  // namespace artcache::element
