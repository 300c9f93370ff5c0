// SPDX-License-Identifier: Apache-2.0
// Who holds the locks of the element, and one taken away by hand.
#include <utility>

#include "common/lock_json.hpp"
#include "roles/element/element.hpp"

namespace artcache::element {
namespace {

using http::Method;
using http::Reply;
using http::Request;

Reply list(Element& element, Request& request) {
  const std::string& id = element.settings().id;
  const auto holders = element.parts().locks->list(id, request.call);
  if (!holders) return holders.error();
  JsonWriter json;
  json.begin_object().member("element", id).member("total", holders->size());
  json.key("locks").begin_array();
  for (const LockHolder& holder : *holders) append_holder(json, holder);
  json.end_array().end_object();
  return http::json_response(200, std::move(json).str());
}

Reply take_away(Element& element, Request& request) {
  const std::string name(request.values.find("lock_type").value_or(""));
  const auto lock_class = parse_lock_class(name);
  if (!lock_class) return Error{Errc::not_found, "There is no lock '" + name + "'"};
  const std::string& id = element.settings().id;
  const auto broken = element.parts().locks->force_break(id, *lock_class, request.call);
  if (!broken) return broken.error();
  if (!*broken) return Error{Errc::not_found, "Nobody holds " + name + " of " + id};
  const std::string who = request.identity ? request.identity->name : std::string();
  const LogField fields[] = {{"element", std::string_view(id)},
                             {"lock_type", std::string_view(name)},
                             {"by", std::string_view(who)}};
  element.parts().deps.logger->log(
      {LogLevel::warning, "element", "Lock taken away by hand", fields, request.call.request_id});
  JsonWriter json;
  json.begin_object()
      .member("status", "success")
      .member("element", id)
      .member("lock_type", name)
      .member("message", "The lock was taken away; whoever held it changes nothing any more")
      .end_object();
  return http::json_response(200, std::move(json).str());
}

}  // namespace

Result<void> add_lock_routes(Element& element, http::Site& site) {
  const auth::Rule rule{.callers = auth::Callers::service_accounts, .roles = {"admin"}};
  http::Route show{.method = Method::get, .pattern = "/api/v1/cache/locks"};
  show.handler = [&element](Request& request) { return list(element, request); };
  show.summary = "Who holds the locks of the element, the highest class first";
  auto added = site.add(element.parts().gate->protect(std::move(show), rule));
  if (!added) return added;
  http::Route take{.method = Method::del, .pattern = "/api/v1/cache/locks/{lock_type}"};
  take.handler = [&element](Request& request) { return take_away(element, request); };
  take.summary = "Takes a lock away; the next commit of whoever held it is refused";
  return site.add(element.parts().gate->protect(std::move(take), rule));
}

}  // namespace artcache::element
