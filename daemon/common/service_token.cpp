// SPDX-License-Identifier: Apache-2.0
#include "common/service_token.hpp"

#include <algorithm>
#include <artcache/json_writer.hpp>
#include <chrono>
#include <stop_token>
#include <utility>

#include "common/json_read.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::milliseconds kFailureHolds{500};

}  // namespace

ServiceToken::ServiceToken(ServiceAccount account, web::HttpClient& http, const Deps& deps)
    : account_(std::move(account)), http_(http), deps_(deps) {}

Result<std::string> ServiceToken::get(const Call& call) {
  const auto begun = deps_.clock->steady();
  auto token = current(call);
  count("auth_token_requests_total", "status", token ? "success" : "error");
  observe("auth_token_acquisition_duration_seconds", begun);
  if (!token) return token;
  const util::MutexLock lock(mutex_);
  given_ += 1;
  const MetricLabel labels[] = {{"site", account_.site}};
  deps_.metrics->gauge("auth_token_cache_hit_rate", labels, given_at_once_ / given_);
  const std::chrono::duration<double> left = token_.end - deps_.clock->steady();
  deps_.metrics->gauge("auth_token_ttl_seconds", labels, left.count());
  return token;
}

Result<std::string> ServiceToken::current(const Call& call) {
  ARTCACHE_TRY(auto known, known_or_my_turn(call));
  if (known) return *std::move(known);
  return take_in(renewed(call.within(kPatience, *deps_.clock)), call);
}

bool ServiceToken::is_good(Clock::SteadyTime now) const {
  return !token_.text.empty() && now < token_.end;
}

std::string ServiceToken::give_kept() {
  count("auth_token_source_total", "source", "cache");
  given_at_once_ += 1;
  return token_.text;
}

/// Nothing when the caller is the one to ask, and to call take_in() then.
Result<std::optional<std::string>> ServiceToken::known_or_my_turn(const Call& call) {
  // Neither made nor ended under the lock that it takes.
  const std::stop_callback stopped(call.stop, [this] {
    const util::MutexLock lock(mutex_);
    answered_.notify_all();
  });
  const util::MutexLock lock(mutex_);
  for (;;) {
    const auto now = deps_.clock->steady();
    const bool good = is_good(now);
    if (good && (now < token_.renew || asking_)) return std::optional(give_kept());
    if (!asking_) {
      if (!good && failure_ && now < failed_until_) return *failure_;
      asking_ = true;
      return std::optional<std::string>();
    }
    ARTCACHE_CHECK(call.check("token", *deps_.clock));
    answered_.wait_for(mutex_,
                       std::min<std::chrono::nanoseconds>(call.remaining(*deps_.clock), kPatience));
  }
}

Result<std::string> ServiceToken::take_in(Result<Token> fresh, const Call& call) {
  const util::MutexLock lock(mutex_);
  asking_ = false;
  answered_.notify_all();
  if (fresh) {
    count("auth_token_source_total", "source", "admin_module");
    token_ = *std::move(fresh);
    failure_.reset();
    return token_.text;
  }
  const auto now = deps_.clock->steady();
  if (is_good(now)) {
    // Not with every request of those to come.
    token_.renew = now + kPatience;
    return give_kept();
  }
  Error error = std::move(fresh).error().in("token");
  // That this caller had no more time says nothing to the others.
  if (call.check("token", *deps_.clock)) {
    failure_ = error;
    failed_until_ = now + kFailureHolds;
  }
  return error;
}

Result<ServiceToken::Token> ServiceToken::renewed(const Call& call) const {
  const auto begun = deps_.clock->steady();
  auto fresh = ask(call);
  count("auth_token_refresh_total", "status", fresh ? "success" : "error");
  observe("auth_token_refresh_duration_seconds", begun);
  if (!fresh) count("auth_errors_total", "error_type", to_string(fresh.error().code));
  return fresh;
}

void ServiceToken::count(std::string_view name, std::string_view label,
                         std::string_view value) const {
  const MetricLabel labels[] = {{"site", account_.site}, {label, value}};
  deps_.metrics->count(name, labels, 1);
}

void ServiceToken::observe(std::string_view name, Clock::SteadyTime begun) const {
  const MetricLabel labels[] = {{"site", account_.site}};
  const std::chrono::duration<double> took = deps_.clock->steady() - begun;
  deps_.metrics->observe(name, labels, took.count());
}

void ServiceToken::reject(std::string_view token) {
  const util::MutexLock lock(mutex_);
  if (token_.text == token) token_ = {};
}

Result<ServiceToken::Token> ServiceToken::ask(const Call& call) const {
  const std::string admin = account_.admin();
  if (admin.empty()) return Error{Errc::unavailable, "nobody said where the admin is"};
  web::HttpRequest request{.method = "POST", .url = admin + "/api/v1/auth/token"};
  request.headers.emplace_back("Content-Type", "application/json");
  JsonWriter json;
  json.begin_object()
      .member("client_id", account_.client_id)
      .member("client_secret", account_.secret)
      .member("grant_type", "client_credentials")
      .end_object();
  request.body = std::move(json).str();
  const auto asked = deps_.clock->steady();
  ARTCACHE_TRY(const web::HttpReply reply, http_.send(request, call));
  if (reply.head.status != 200)
    return Error{Errc::unavailable,
                 "the admin answers " + std::to_string(reply.head.status) + " to the account"};
  JsonObject said(reply.body);
  const auto text = said.text("access_token");
  const auto seconds = said.number("expires_in");
  if (!text || text->empty() || !seconds || *seconds <= 0)
    return Error{Errc::unavailable, "the admin answers with no token"};
  const std::chrono::seconds life(*seconds);
  return Token{.text = *text, .renew = asked + life * 4 / 5, .end = asked + life};
}

}  // namespace artcache
