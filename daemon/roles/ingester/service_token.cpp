// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/service_token.hpp"

#include <artcache/json_writer.hpp>
#include <chrono>
#include <utility>

#include "common/json_read.hpp"
#include "util/try.hpp"

namespace artcache::ingester {
namespace {

constexpr std::chrono::seconds kPatience{10};

}  // namespace

ServiceToken::ServiceToken(ServiceAccount account, web::HttpClient& http, const Deps& deps)
    : account_(std::move(account)), http_(http), deps_(deps) {}

Result<std::string> ServiceToken::get(const Call& call) {
  // Held while the admin is asked: whoever else needs a token then would have to ask as well.
  const util::MutexLock lock(mutex_);
  const auto now = deps_.clock->steady();
  if (!token_.text.empty() && now < token_.renew) return token_.text;
  auto fresh = ask(call.within(kPatience, *deps_.clock));
  if (fresh) {
    token_ = *std::move(fresh);
    return token_.text;
  }
  if (token_.text.empty() || now >= token_.end) return std::move(fresh).error().in("token");
  // Not with every request of those to come.
  token_.renew = now + kPatience;
  return token_.text;
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

}  // namespace artcache::ingester
