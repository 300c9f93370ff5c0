// SPDX-License-Identifier: Apache-2.0
#include "auth/guard.hpp"

#include <algorithm>
#include <utility>

namespace artcache::auth {
namespace {

constexpr std::string_view kServiceAccount = "service_account";
constexpr std::string_view kPerson = "admin_user";

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

http::Problem unauthorized(std::string detail) {
  return {.status = 401, .detail = std::move(detail), .headers = {{"WWW-Authenticate", "Bearer"}}};
}

std::string_view wanted_kind(Callers callers) {
  if (callers == Callers::any) return {};
  return callers == Callers::people ? kPerson : kServiceAccount;
}

std::string listed(const std::vector<std::string>& roles) {
  std::string out;
  for (const std::string& role : roles) out += (out.empty() ? "" : " or ") + role;
  return out;
}

bool contains(const std::vector<std::string>& roles, const std::string& role) {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

/// Why the rule is not met; nothing when it is.
std::optional<std::string> objection(const Rule& rule, const http::Identity& who) {
  const std::string_view kind = wanted_kind(rule.callers);
  if (!kind.empty() && who.kind != kind)
    return "Invalid token type: expected " + std::string(kind) + ", got " + who.kind;
  if (!contains(known_roles(), who.role)) return "Unknown role";
  if (!rule.roles.empty() && !contains(rule.roles, who.role))
    return "Required role: " + listed(rule.roles);
  return std::nullopt;
}

http::Identity identity_of(const Claims& claims) {
  return {.id = claims.subject,
          .name = claims.name,
          .client_id = claims.client_id,
          .role = lowered(claims.role),
          .kind = claims.kind,
          .requests_per_minute = claims.rate_limit};
}

/// What the limit of the caller is now, added to a success; a 429 has it already.
http::Reply with_limit(http::Reply reply, const Limiter& limiter, const http::Identity& who) {
  if (who.requests_per_minute == 0) return reply;
  if (http::Response* response = reply.response())
    add_headers(limiter.look(who.id, who.requests_per_minute), response->headers);
  return reply;
}

}  // namespace

const std::vector<std::string>& known_roles() {
  static const std::vector<std::string> roles{"admin",   "operator", "user",
                                              "auditor", "readonly", "super_admin"};
  return roles;
}

Rule writers() { return {.roles = {"admin", "super_admin", "operator", "user"}}; }

std::optional<std::string_view> bearer_token(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size() ||
      lowered(authorization.substr(0, kScheme.size())) != kScheme)
    return std::nullopt;
  authorization.remove_prefix(kScheme.size());
  const auto begin = authorization.find_first_not_of(' ');
  if (begin == std::string_view::npos) return std::nullopt;
  const auto end = authorization.find_last_not_of(' ');
  return authorization.substr(begin, end - begin + 1);
}

Gate::Gate(Verifier& verifier, const Deps& deps, GateOptions options)
    : verifier_(verifier), deps_(deps), options_(std::move(options)), limiter_(*deps.clock) {}

Result<http::Identity> Gate::identify(const http::Request& request, http::Problem& refusal) {
  const auto header = request.headers.find("Authorization");
  if (!header) {
    refusal = unauthorized(options_.wording.missing);
    return Error{Errc::invalid_argument, "no Authorization"};
  }
  const auto token = bearer_token(*header);
  if (!token) {
    refusal = unauthorized(options_.wording.wrong_scheme);
    return Error{Errc::invalid_argument, "no Bearer token"};
  }
  const auto claims = verifier_.verify(*token);
  if (!claims) {
    const bool expired = claims.error().code == Errc::gone;
    refusal = unauthorized(expired ? options_.wording.expired : options_.wording.invalid);
    return claims.error();
  }
  http::Identity who = identity_of(**claims);
  if (who.kind == kServiceAccount || who.kind == kPerson) return who;
  // Such as a refresh token, which is good for one thing only.
  refusal = unauthorized(options_.wording.invalid);
  return Error{Errc::invalid_argument, "a token of a type that opens nothing"};
}

std::optional<http::Problem> Gate::admit(const Rule& rule, http::Request& request) {
  http::Problem refusal;
  auto who = identify(request, refusal);
  if (!who) {
    const LogField fields[]{{"reason", std::string_view(who.error().message)},
                            {"peer", std::string_view(request.peer)}};
    deps_.logger->log({.level = LogLevel::debug,
                       .logger = "auth",
                       .message = "Request refused",
                       .fields = fields,
                       .request_id = request.call.request_id});
    return refusal;
  }
  if (auto why = objection(rule, *who)) {
    if (!rule.denial.empty()) why = rule.denial;
    return http::Problem{.status = 403, .detail = std::move(*why)};
  }
  if (options_.limits == RateLimits::on) {
    const Allowance allowance = limiter_.take(who->id, who->requests_per_minute);
    if (!allowance.allowed) return too_many(allowance);
  }
  request.identity = std::move(*who);
  return std::nullopt;
}

http::Guard Gate::guard(Rule rule) {
  return [this, rule = std::move(rule)](http::Request& request) { return admit(rule, request); };
}

http::Route Gate::protect(http::Route route, Rule rule) {
  route.guard = guard(std::move(rule));
  if (options_.limits == RateLimits::off) return route;
  const auto told = [this](http::Reply reply, const http::Request& request) {
    return request.identity ? with_limit(std::move(reply), limiter_, *request.identity)
                            : std::move(reply);
  };
  if (route.handler)
    route.handler = [told, handler = std::move(route.handler)](http::Request& request) {
      return told(handler(request), request);
    };
  if (route.quick)
    route.quick = [told, quick = std::move(route.quick)](
                      http::Request& request) -> std::optional<http::Reply> {
      auto reply = quick(request);
      if (!reply) return std::nullopt;
      return told(*std::move(reply), request);
    };
  return route;
}

}  // namespace artcache::auth
