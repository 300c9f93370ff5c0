// SPDX-License-Identifier: Apache-2.0
// GET /api/v1/audit-log
#include <utility>

#include "http/query_fields.hpp"
#include "roles/admin/parts.hpp"

namespace artcache::admin {
namespace {

std::optional<std::string> word(const http::Request& request, std::string_view name) {
  const auto found = request.query.find(name);
  return found ? std::optional(std::string(*found)) : std::nullopt;
}

std::optional<Timestamp> moment(const http::Request& request, std::string_view name,
                                std::vector<http::FieldProblem>& problems) {
  const auto text = request.query.find(name);
  if (!text) return std::nullopt;
  const auto time = Timestamp::parse(*text);
  if (time) return *time;
  problems.push_back({{"query", std::string(name)},
                      "Input should be a valid datetime: " + time.error().message,
                      "datetime_parsing"});
  return std::nullopt;
}

void append_entry(JsonWriter& json, const AuditEntry& entry) {
  json.begin_object()
      .member("id", entry.id)
      .member("timestamp", to_string(entry.at))
      .member("actor_id", entry.actor_id)
      .member("actor", entry.actor)
      .member("action", entry.action)
      .member("target", entry.target)
      .member("status", entry.status)
      .member("success", entry.status < 400)
      .member("request_id", entry.request_id)
      .member("peer", entry.peer)
      .member("details", entry.details)
      .end_object();
}

constexpr std::array kListFields{http::QueryField{"actor", "string", "who did it"},
                                 http::QueryField{"action", "string", "what was done"},
                                 http::QueryField{"target", "string", "to what"},
                                 http::QueryField{"request_id", "string", "of the request"},
                                 http::QueryField{"since", "date-time", "not before"},
                                 http::QueryField{"until", "date-time", "before"}};
constexpr auto kListQuery = http::joined(http::kPageFields, kListFields);

http::Reply list(const Parts& parts, http::Request& request) {
  Page page;
  if (auto problem = read_page(request, page)) return std::move(*problem);
  std::vector<http::FieldProblem> problems;
  AuditFilter filter;
  filter.actor = word(request, "actor");
  filter.action = word(request, "action");
  filter.target = word(request, "target");
  filter.request_id = word(request, "request_id");
  filter.since = moment(request, "since", problems);
  filter.until = moment(request, "until", problems);
  if (!problems.empty()) return unprocessable(std::move(problems));
  // Elements are shown that token, and the trail is no business of theirs.
  if (request.identity->client_id == kRegistryClient)
    return http::Problem{.status = 403, .detail = "Not for the registry's own account"};
  const auto found =
      parts.database->read(request.call, [&](Session& s) { return list_audit(s, filter, page); });
  if (!found) return found.error();
  JsonWriter json;
  json.begin_object().member("total", found->total).key("items").begin_array();
  for (const AuditEntry& entry : found->items) append_entry(json, entry);
  json.end_array().member("skip", page.skip).member("limit", page.limit).end_object();
  return http::json_response(200, std::move(json).str());
}

}  // namespace

Result<void> add_audit_routes(http::Site& site, Parts& parts) {
  return site.add(parts.gate->protect(
      {.pattern = "/api/v1/audit-log",
       .handler = [&parts](http::Request& request) { return list(parts, request); },
       .summary = "Who did what, the newest first",
       .query = kListQuery},
      {.roles = {"admin", "super_admin", "auditor"}}));
}

}  // namespace artcache::admin
