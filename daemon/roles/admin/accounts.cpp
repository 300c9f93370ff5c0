// SPDX-License-Identifier: Apache-2.0
// /api/v1/service-accounts
#include "roles/admin/accounts.hpp"

#include <algorithm>
#include <utility>

#include "http/query_fields.hpp"

namespace artcache::admin {
namespace {

using Work = Result<ServiceAccount>;

void append_account(JsonWriter& json, const ServiceAccount& account) {
  json.member("id", account.id).member("name", account.name);
  append_text(json, "description", account.description);
  json.member("client_id", account.client_id)
      .member("role", account.role)
      .member("status", account.status)
      .member("is_system", account.is_system)
      .member("rate_limit", account.rate_limit);
  append_time(json, "secret_expires_at", account.secret_expires_at);
  append_time(json, "last_used_at", account.last_used_at);
  json.member("created_at", to_string(account.created_at))
      .member("updated_at", to_string(account.updated_at));
}

http::Response account_response(int status, const ServiceAccount& account,
                                const std::string& secret = {}) {
  JsonWriter json;
  json.begin_object();
  append_account(json, account);
  if (!secret.empty()) json.member("client_secret", secret);
  json.end_object();
  http::Response out = http::json_response(status, std::move(json).str());
  if (!secret.empty()) out.headers.set("Cache-Control", "no-store");
  return out;
}

std::optional<std::string> role_in(BodyFields& body) { return body.word("role", kAccountRoles); }

constexpr http::BodyField kCreateBody[] = {{"name", "string", http::BodyField::Need::needed},
                                           {"description", "string"},
                                           {"role", "string"},
                                           {"rate_limit", "integer"}};

http::Reply create(Parts& parts, http::Request& request, Deed& deed) {
  auto body = BodyFields::read(request);
  if (!body) return body.error();
  ServiceAccount account;
  account.name = body->needed_text("name", 100);
  account.description = body->text("description", 500);
  account.role = role_in(*body).value_or("USER");
  account.rate_limit =
      static_cast<std::uint32_t>(body->number("rate_limit", 1, 1'000'000).value_or(100));
  if (auto problem = body->problem()) return std::move(*problem);
  deed.target = account.name;

  const std::string secret = auth::random_word(32);
  const auto made = make_account(parts, std::move(account), secret, request.call);
  if (!made && made.error().code == Errc::conflict)
    return http::Problem{.status = 409, .detail = "A service account of this name exists already"};
  if (!made) return made.error();
  deed.target = made->id;
  return account_response(201, *made, secret);
}

http::Reply list(const Parts& parts, http::Request& request) {
  Page page;
  if (auto problem = read_page(request, page)) return std::move(*problem);
  const auto found =
      parts.database->read(request.call, [&](Session& s) { return list_accounts(s, page); });
  if (!found) return found.error();
  JsonWriter json;
  json.begin_object().member("total", found->total).key("items").begin_array();
  for (const ServiceAccount& account : found->items) {
    json.begin_object();
    append_account(json, account);
    json.end_object();
  }
  json.end_array().member("skip", page.skip).member("limit", page.limit).end_object();
  return http::json_response(200, std::move(json).str());
}

std::string id_of(const http::Request& request) {
  return std::string(request.values.find("id").value_or(""));
}

Work needed(Session& session, const std::string& id, Intent intent = Intent::change) {
  ARTCACHE_TRY(auto found, find_account(session, id, intent));
  if (!found) return Error{Errc::not_found, "Service account not found"};
  return std::move(*found);
}

http::Reply answer(const Work& result, const std::string& secret = {}) {
  if (result) return account_response(200, *result, secret);
  const Error& error = result.error();
  if (error.code == Errc::not_found) return not_found("Service account");
  if (error.code == Errc::conflict)
    return http::Problem{.status = 409, .detail = "A service account of this name exists already"};
  return error;
}

http::Reply show(const Parts& parts, http::Request& request) {
  return answer(parts.database->read(
      request.call, [&](Session& s) { return needed(s, id_of(request), Intent::look); }));
}

constexpr http::BodyField kChangeBody[] = {{"name", "string"},
                                           {"description", "string"},
                                           {"role", "string"},
                                           {"status", "string"},
                                           {"rate_limit", "integer"}};

http::Reply change(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = id_of(request);
  auto body = BodyFields::read(request);
  if (!body) return body.error();
  const auto name =
      body->has("name") ? std::optional(body->needed_text("name", 100)) : std::nullopt;
  const auto description = body->text("description", 500);
  const auto role = role_in(*body);
  const auto status = body->word("status", {"ACTIVE", "SUSPENDED", "EXPIRED", "DELETED"});
  const auto rate_limit = body->number("rate_limit", 1, 1'000'000);
  if (auto problem = body->problem()) return std::move(*problem);
  bool fixed = false;
  const auto changed = parts.database->write(request.call, [&](Session& s) -> Work {
    ARTCACHE_TRY(ServiceAccount account, needed(s, deed.target));
    // By its name a start knows that it is there, and makes no other with the first secret.
    fixed = account.is_system && name && *name != account.name;
    if (fixed) return account;
    account.name = name.value_or(account.name);
    if (description) account.description = description;
    account.role = role.value_or(account.role);
    account.status = status.value_or(account.status);
    if (rate_limit) account.rate_limit = static_cast<std::uint32_t>(*rate_limit);
    account.updated_at = parts.now();
    ARTCACHE_CHECK(store_account(s, account));
    return account;
  });
  if (fixed)
    return http::Problem{.status = 403, .detail = "System service accounts cannot be renamed"};
  return answer(changed);
}

http::Reply remove(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = id_of(request);
  const auto removed = parts.database->write(request.call, [&](Session& s) -> Work {
    ARTCACHE_TRY(ServiceAccount account, needed(s, deed.target));
    if (!account.is_system) ARTCACHE_CHECK(remove_account(s, account.id));
    return account;
  });
  if (!removed) return answer(removed);
  if (removed->is_system)
    return http::Problem{.status = 403, .detail = "System service accounts cannot be deleted"};
  return http::Response{.status = 204};
}

http::Reply rotate_secret(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = id_of(request);
  const std::string secret = auth::random_word(32);
  const auto hash = auth::hash_secret(secret, parts.options.hash_cost);
  if (!hash) return hash.error();
  const Work changed = parts.database->write(request.call, [&](Session& s) -> Work {
    ARTCACHE_TRY(ServiceAccount account, needed(s, deed.target));
    account.secret_hash = *hash;
    account.updated_at = parts.now();
    account.secret_expires_at = secret_expiry(parts);
    ARTCACHE_CHECK(store_account(s, account));
    return account;
  });
  if (changed) parts.deps.metrics->count("service_account_secret_rotations_total", {}, 1);
  return answer(changed, secret);
}

}  // namespace

Result<std::string> account_role(std::string_view word) {
  std::string capitals(word), known;
  std::ranges::transform(capitals, capitals.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  for (const std::string_view role : kAccountRoles) {
    if (capitals == role) return std::string(role);
    known.append(known.empty() ? "" : ", ").append(role);
  }
  return Error{Errc::invalid_argument,
               "'" + std::string(word) + "' is no role of a service account: " + known};
}

std::optional<Timestamp> secret_expiry(const Parts& parts) {
  const auto lifetime = parts.options.secret_lifetime;
  if (lifetime.count() == 0) return std::nullopt;
  return parts.now() + std::chrono::duration_cast<std::chrono::microseconds>(lifetime);
}

std::string make_client_id(std::string_view environment, std::string_view name) {
  std::string out = "sa_" + std::string(environment) + "_";
  for (const char c : name.substr(0, 20)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool capital = c >= 'A' && c <= 'Z';
    out += plain ? c : capital ? static_cast<char>(c - 'A' + 'a') : '_';
  }
  return out + "_" + auth::random_hex(4);
}

Result<ServiceAccount> make_account(Parts& parts, ServiceAccount account, std::string_view secret,
                                    const Call& call) {
  ARTCACHE_TRY(account.secret_hash, auth::hash_secret(secret, parts.options.hash_cost));
  account.id = auth::random_uuid();
  if (account.client_id.empty())
    account.client_id = make_client_id(parts.options.environment, account.name);
  account.status = "ACTIVE";
  account.created_at = account.updated_at = parts.now();
  if (!account.is_system) account.secret_expires_at = secret_expiry(parts);
  ARTCACHE_CHECK(parts.database->write(call, [&](Session& s) { return add_account(s, account); }));
  return account;
}

Result<void> make_initial_accounts(Parts& parts, const Call& call) {
  for (const InitialAccount& wanted : parts.options.accounts) {
    ARTCACHE_TRY(const auto there, parts.database->read(call, [&](Session& s) {
      return find_client(s, wanted.name);
    }));
    if (there) continue;
    ServiceAccount account{.id = {},
                           .name = wanted.name,
                           .client_id = wanted.client_id,
                           .secret_hash = {},
                           .role = wanted.role,
                           .status = {},
                           .is_system = true,
                           .rate_limit = wanted.rate_limit,
                           .created_at = {},
                           .updated_at = {}};
    const auto made = make_account(parts, std::move(account), wanted.secret, call);
    // Another process that starts at the same time may have been faster.
    if (!made && made.error().code != Errc::conflict)
      return made.error().in("initial account '" + wanted.name + "'");
  }
  return {};
}

Result<void> add_account_routes(http::Site& site, Parts& parts) {
  const std::string all = "/api/v1/service-accounts";
  const std::string one = all + "/{id}";
  const auto read = [&](const std::string& pattern, const char* summary, http::Handler handler,
                        std::span<const http::QueryField> query = {}) {
    return site.add(parts.gate->protect(
        {.pattern = pattern, .handler = std::move(handler), .summary = summary, .query = query},
        people_who_read()));
  };
  using Act = http::Reply (*)(Parts&, http::Request&, Deed&);
  const auto act = [&](http::Method method, const std::string& pattern, const char* action,
                       const char* summary, Act what, std::span<const http::BodyField> body = {}) {
    using Media = http::BodyShape::Media;
    return site.add(
        parts.gate->protect({.method = method,
                             .pattern = pattern,
                             .handler = audited(parts, action,
                                                [&parts, what](http::Request& request, Deed& deed) {
                                                  return what(parts, request, deed);
                                                }),
                             .body_most = 64 * 1024,
                             .summary = summary,
                             .body = {body.empty() ? Media::none : Media::json_or_form, body}},
                            people_who_change()));
  };
  ARTCACHE_CHECK(read(
      all, "All service accounts",
      [&parts](http::Request& request) { return list(parts, request); }, http::kPageFields));
  ARTCACHE_CHECK(read(one, "One service account",
                      [&parts](http::Request& request) { return show(parts, request); }));
  ARTCACHE_CHECK(act(http::Method::post, all, "service_account.create",
                     "Makes a service account, and tells its secret once", create, kCreateBody));
  ARTCACHE_CHECK(act(http::Method::put, one, "service_account.update", "Changes a service account",
                     change, kChangeBody));
  ARTCACHE_CHECK(
      act(http::Method::del, one, "service_account.delete", "Removes a service account", remove));
  return act(http::Method::post, one + "/rotate-secret", "service_account.rotate_secret",
             "Gives a service account another secret, and tells it once", rotate_secret);
}

}  // namespace artcache::admin
