// SPDX-License-Identifier: Apache-2.0
#include "roles/admin/element_files.hpp"

#include <artcache/json_writer.hpp>
#include <utility>

#include "auth/secret.hpp"
#include "util/try.hpp"

namespace artcache::admin {
namespace {

// An element that takes longer for one small change is as good as away.
constexpr std::chrono::seconds kAnswerMost{30};
// Short, as nobody takes back what was shown to an element.
constexpr std::chrono::minutes kTokenLifetime{5};

}  // namespace

Result<std::string> ElementFiles::token() {
  const util::MutexLock lock(mutex_);
  const auto now = deps_.clock->steady();
  if (!token_.empty() && now < renew_at_) return token_;
  // Whole seconds, so that what is on the wire is what was meant.
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(deps_.clock->now().since_epoch());
  auth::Claims claims;
  claims.subject = claims.name = "admin-registry";
  claims.kind = "service_account";
  claims.role = "OPERATOR";
  claims.client_id = kRegistryClient;
  claims.id = auth::random_word(16);
  claims.issued_at = claims.not_before = Timestamp(seconds);
  claims.expires_at = claims.issued_at + kTokenLifetime;
  ARTCACHE_TRY(token_, signing_.mint(claims));
  renew_at_ = now + kTokenLifetime * 4 / 5;
  return token_;
}

void ElementFiles::reject(std::string_view token) {
  const util::MutexLock lock(mutex_);
  if (token_ == token) token_.clear();
}

Result<web::HttpReply> ElementFiles::send(web::HttpRequest request, const Call& call) {
  if (!send_) return Error{Errc::unsupported, "element: this build asks no other servers"};
  request.headers.emplace_back("Content-Type", "application/json");
  if (!call.request_id.empty()) request.headers.emplace_back("X-Request-ID", call.request_id);
  const Call mine = call.within(kAnswerMost, *deps_.clock);
  request.headers.emplace_back("Authorization", "");
  for (int tries = 0;; ++tries) {
    ARTCACHE_TRY(const std::string bearer, token());
    request.headers.back().second = "Bearer " + bearer;
    auto reply = send_(request, mine);
    if (!reply || reply->head.status != 401) return reply;
    reject(bearer);
    if (tries > 0) return reply;
  }
}

Result<web::HttpReply> ElementFiles::change(const std::string& element, const std::string& file,
                                            std::string json, const Call& call) {
  web::HttpRequest request{.method = "PATCH", .url = element + "/api/v1/files/" + file};
  request.body = std::move(json);
  return send(std::move(request), call);
}

Result<void> ElementFiles::remove(const std::string& element, const std::string& file,
                                  std::string_view reason, const Call& call) {
  web::HttpRequest request{.method = "DELETE", .url = element + "/api/v1/gc/" + file};
  JsonWriter json;
  json.begin_object().member("reason", reason).member("cleanup_type", "registry").end_object();
  request.body = std::move(json).str();
  ARTCACHE_TRY(const auto reply, send(std::move(request), call));
  // 200 is also the answer when it was not there; 404 that of servers which know no such answer.
  const int status = reply.head.status;
  if (status == 200 || status == 204 || status == 404) return {};
  const bool away = status == 401 || (status > 501 && status < 505);
  return Error{away ? Errc::unavailable : Errc::conflict,
               "the element answers " + std::to_string(status)};
}

}  // namespace artcache::admin
