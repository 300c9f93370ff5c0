// SPDX-License-Identifier: Apache-2.0
// POST /api/v1/auth/token, the key set, and the signing keys.
#include <utility>

#include "roles/admin/parts.hpp"

namespace artcache::admin {
namespace {

http::Problem invalid_client() {
  return {.status = 401,
          .detail = "Invalid client_id or client_secret",
          .headers = {{"WWW-Authenticate", R"(Bearer error="invalid_client")"},
                      {"Cache-Control", "no-store"}}};
}

/// Whether this account gives a token for this secret now. Slow in any case, so that the time
/// tells nobody which accounts there are.
bool may_enter(const Parts& parts, const std::optional<ServiceAccount>& account,
               const std::string& secret) {
  if (!account) {
    auth::waste_a_check(secret);
    return false;
  }
  if (!auth::is_secret(secret, account->secret_hash) || account->status != "ACTIVE") return false;
  const bool expired = account->secret_expires_at && *account->secret_expires_at <= parts.now();
  if (expired) parts.deps.metrics->count("service_account_expired_secrets_total", {}, 1);
  return !expired;
}

auth::Claims claims_of(const ServiceAccount& account) {
  auth::Claims out;
  out.subject = account.id;
  out.kind = "service_account";
  out.role = account.role;
  out.name = account.name;
  out.client_id = account.client_id;
  out.rate_limit = account.rate_limit;
  return out;
}

constexpr http::BodyField kTokenBody[] = {
    {"client_id", "string", http::BodyField::Need::needed},
    {"client_secret", "string", http::BodyField::Need::needed},
    {"grant_type", "string"}};

http::Reply give_token(Parts& parts, http::Request& request, Deed& deed) {
  const auto allowed = parts.requests->take(request.peer, parts.options.token_requests_per_minute);
  if (!allowed.allowed) return auth::too_many(allowed);
  auto body = BodyFields::read(request);
  if (!body) return body.error();
  const std::string client = body->needed_text("client_id");
  const std::string secret = body->needed_text("client_secret", auth::kSecretMost);
  (void)body->word("grant_type", {"client_credentials"});
  if (auto problem = body->problem()) return std::move(*problem);

  deed.actor = deed.target = client;
  const std::string caller = request.peer + " " + client;
  const auto failures = parts.failures->look(caller, parts.options.token_failures_per_minute);
  if (parts.options.token_failures_per_minute != 0 && failures.remaining == 0)
    return auth::too_many(failures);
  const auto account =
      parts.database->read(request.call, [&](Session& s) { return find_client(s, client); });
  if (!account) return account.error();
  if (!may_enter(parts, *account, secret)) {
    parts.failures->take(caller, parts.options.token_failures_per_minute);
    return invalid_client();
  }
  const auto pair = mint_pair(parts, claims_of(**account), auth::random_word(16));
  if (!pair) return pair.error();
  const auto used = parts.database->write(
      request.call, [&](Session& s) { return note_use(s, (*account)->id, parts.now()); });
  if (!used) return used.error();
  http::Response out = token_response(parts, *pair);
  if (allowed.limit != 0) add_headers(allowed, out.headers);
  return out;
}

void append_key(JsonWriter& json, const JwtKey& key, Timestamp now) {
  json.begin_object()
      .member("version", key.version)
      .member("kid", key.key_id)
      .member("algorithm", "RS256")
      .member("created_at", to_string(key.created_at))
      .member("expires_at", to_string(key.expires_at))
      .member("is_active", key.is_active)
      .member("is_expired", key.expires_at <= now)
      .member("rotation_count", key.rotation_count)
      .end_object();
}

enum class Which : std::uint8_t { active, all };

http::Reply show_keys(const Parts& parts, Which which) {
  JsonWriter json;
  json.begin_object().key("keys").begin_array();
  std::int64_t total = 0;
  for (const JwtKey& key : parts.signing->known()) {
    if (which == Which::active && !key.is_active) continue;
    append_key(json, key, parts.now());
    ++total;
  }
  json.end_array().member("total", total).end_object();
  return http::json_response(200, std::move(json).str());
}

http::Reply show_status(const Parts& parts) {
  const auto keys = parts.signing->known();
  std::int64_t active = 0;
  for (const JwtKey& key : keys) active += key.is_active ? 1 : 0;
  const auto& signing = parts.options.signing;
  JsonWriter json;
  json.begin_object()
      .member("rotation_enabled", signing.rotate_every.count() > 0)
      .member("rotation_interval_hours",
              std::chrono::duration_cast<std::chrono::hours>(signing.rotate_every).count())
      .member("active_keys_count", active)
      .member("total_keys_count", keys.size())
      .key("current_key");
  if (keys.empty())
    json.null();
  else
    append_key(json, keys.front(), parts.now());
  json.end_object();
  return http::json_response(200, std::move(json).str());
}

http::Reply rotate(Parts& parts, http::Request& request, Deed& deed) {
  const auto key = parts.signing->rotate(request.call);
  if (!key) return key.error();
  deed.target = key->key_id;
  JsonWriter json;
  json.begin_object().member("success", true).member("message", "Key rotated").key("key");
  append_key(json, *key, parts.now());
  json.end_object();
  return http::json_response(200, std::move(json).str());
}

}  // namespace

Result<void> add_token_routes(http::Site& site, Parts& parts) {
  ARTCACHE_CHECK(site.add({.method = http::Method::post,
                           .pattern = "/api/v1/auth/token",
                           .handler = audited(parts, "token.create",
                                              [&parts](http::Request& request, Deed& deed) {
                                                return counted_attempt(
                                                    parts, "service_account",
                                                    give_token(parts, request, deed));
                                              }),
                           .body_most = 64 * 1024,
                           .summary = "A token for a service account",
                           .body = {http::BodyShape::Media::json_or_form, kTokenBody}}));
  const auto keys = [&parts](http::Request&) -> http::Reply {
    http::Response out = http::json_response(200, auth::key_set(*parts.ring.keys()));
    out.headers.set("Cache-Control", "public, max-age=60");
    return out;
  };
  for (const char* pattern : {"/api/v1/auth/jwks", "/.well-known/jwks.json"})
    ARTCACHE_CHECK(site.add({.pattern = pattern,
                             .quick = keys,
                             .summary = "The public keys that tokens are signed with"}));
  return {};
}

Result<void> add_key_routes(http::Site& site, Parts& parts) {
  const auth::Rule rule{.roles = {"admin", "super_admin"}};
  const auto get = [&](const char* pattern, const char* summary, http::Handler handler) {
    return site.add(parts.gate->protect(
        {.pattern = pattern, .handler = std::move(handler), .summary = summary}, rule));
  };
  ARTCACHE_CHECK(get("/api/v1/jwt-keys/status", "How the signing keys stand",
                     [&parts](http::Request&) { return show_status(parts); }));
  ARTCACHE_CHECK(get("/api/v1/jwt-keys/active", "The key that signs",
                     [&parts](http::Request&) { return show_keys(parts, Which::active); }));
  ARTCACHE_CHECK(get("/api/v1/jwt-keys/history", "The keys that verify",
                     [&parts](http::Request&) { return show_keys(parts, Which::all); }));
  return site.add(parts.gate->protect({.method = http::Method::post,
                                       .pattern = "/api/v1/jwt-keys/rotate",
                                       .handler = audited(parts, "jwt_key.rotate",
                                                          [&parts](http::Request& r, Deed& deed) {
                                                            return rotate(parts, r, deed);
                                                          }),
                                       .summary = "Sign with a new key from now on"},
                                      rule));
}

}  // namespace artcache::admin
