// SPDX-License-Identifier: Apache-2.0
#include "roles/admin/parts.hpp"
#include "util/here.hpp"

#include <utility>

namespace artcache::admin {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::seconds;

/// A database that hangs holds up no longer a request whose client has gone, nor the end.
constexpr seconds kAuditMost{5};

int status_of(http::Reply& reply) {
  if (const auto* response = reply.response()) return response->status;
  return reply.problem()->status;
}

void record(Parts& parts, const std::string& action, const http::Request& request, const Deed& deed,
            int status) {
  AuditEntry entry;
  entry.at = parts.now();
  entry.actor_id = request.identity ? request.identity->id : "";
  entry.actor = request.identity ? request.identity->name : deed.actor;
  entry.action = action;
  entry.target = deed.target;
  entry.status = status;
  entry.request_id = request.call.request_id;
  entry.peer = request.peer;
  entry.details = deed.details;
  // Whoever hangs up does not take along what is known of the deed.
  Call call = request.call;
  call.stop = {};
  const auto done = parts.database->write(call.within(kAuditMost, *parts.deps.clock),
                                          [&](Session& s) { return add_audit(s, entry); });
  if (done) return;
  const std::string source = util::here();
  const LogField fields[]{{"action", std::string_view(action)},
                          {"status", std::int64_t{status}},
                          {"reason", std::string_view(done.error().message)},
                          {"source", std::string_view(source)}};
  parts.deps.logger->log({.level = LogLevel::error,
                          .logger = "audit",
                          .message = "The audit trail misses an entry",
                          .fields = fields,
                          .request_id = request.call.request_id});
}

}  // namespace

auth::Rule people_who_read() { return {.callers = auth::Callers::people}; }

auth::Rule people_who_change() {
  return {.callers = auth::Callers::people, .roles = {"admin", "super_admin"}};
}

http::Handler audited(Parts& parts, std::string action, DeedHandler handler) {
  return [&parts, action = std::move(action),
          handler = std::move(handler)](http::Request& request) -> http::Reply {
    Deed deed;
    http::Reply reply = handler(request, deed);
    // Who is told to come back later did nothing, and could fill the disk with it.
    const int status = status_of(reply);
    if (status != 429 && deed.of_note) record(parts, action, request, deed, status);
    return reply;
  };
}

Result<TokenPair> mint_pair(const Parts& parts, auth::Claims claims, std::string refresh_id) {
  // Whole seconds, so that what is on the wire is what was meant.
  const Timestamp now{duration_cast<seconds>(parts.now().since_epoch())};
  claims.issued_at = claims.not_before = now;
  claims.expires_at = now + duration_cast<microseconds>(parts.options.access_lifetime);
  claims.id = auth::random_word(16);
  TokenPair out;
  ARTCACHE_TRY(out.access, parts.signing->mint(claims));
  claims.kind = "refresh";
  claims.rate_limit = 0;
  claims.expires_at = now + duration_cast<microseconds>(parts.options.refresh_lifetime);
  claims.id = std::move(refresh_id);
  ARTCACHE_TRY(out.refresh, parts.signing->mint(claims));
  return out;
}

http::Reply counted_attempt(Parts& parts, std::string_view kind, http::Reply reply) {
  const MetricLabel labels[] = {{"type", kind},
                                {"status", reply.problem() == nullptr ? "success" : "failure"}};
  parts.deps.metrics->count("auth_attempts_total", labels, 1);
  return reply;
}

http::Response token_response(const Parts& parts, const TokenPair& pair) {
  JsonWriter json;
  json.begin_object()
      .member("access_token", pair.access)
      .member("refresh_token", pair.refresh)
      .member("token_type", "Bearer")
      .member("expires_in", duration_cast<seconds>(parts.options.access_lifetime).count())
      .member("issued_at", to_string(parts.now(), TimestampStyle::zulu))
      .end_object();
  http::Response out = http::json_response(200, std::move(json).str());
  out.headers.set("Cache-Control", "no-store");
  return out;
}

std::optional<http::Problem> read_page(const http::Request& request, Page& page) {
  std::vector<http::FieldProblem> problems;
  page.skip = query_number(request, "skip", 0, 0, INT64_MAX, problems);
  page.limit = query_number(request, "limit", 100, 1, 1000, problems);
  if (problems.empty()) return std::nullopt;
  return unprocessable(std::move(problems));
}

http::Problem not_found(std::string what) {
  return {.status = 404, .detail = std::move(what) + " not found"};
}

void append_time(JsonWriter& json, std::string_view name, const std::optional<Timestamp>& time) {
  append_text(json, name, time ? std::optional(to_string(*time)) : std::nullopt);
}

void append_text(JsonWriter& json, std::string_view name, const std::optional<std::string>& text) {
  json.key(name);
  if (text)
    json.value(*text);
  else
    json.null();
}

}  // namespace artcache::admin
