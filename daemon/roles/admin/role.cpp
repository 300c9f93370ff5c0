// SPDX-License-Identifier: Apache-2.0
// What the admin can be told, under the names that operators of the original know.
#include <algorithm>
#include <array>
#include <artcache/http_log.hpp>
#include <artcache/url.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "roles/admin/accounts.hpp"
#include "roles/admin/admin.hpp"
#include "roles/shared_settings.hpp"
#include "util/try.hpp"
#include "web/http_client.hpp"

namespace artcache {
namespace {

using config::Kind;
using config::Setting;

constexpr std::array kSettings{
    shared_settings::kDatabase,
    shared_settings::kDbHost,
    shared_settings::kDbPort,
    shared_settings::kDbUser,
    shared_settings::kDbPassword,
    shared_settings::db_name("artstore_admin"),
    Setting{.name = "environment",
            .variable = "ENVIRONMENT",
            .fallback = "prod",
            .meaning = "stands in the client_id of new accounts"},
    Setting{.name = "private_key",
            .variable = "JWT_PRIVATE_KEY_PATH",
            .meaning = "PEM of the first signing key; empty: one is made"},
    Setting{.name = "access_token_minutes",
            .variable = "JWT_ACCESS_TOKEN_EXPIRE_MINUTES",
            .kind = Kind::number,
            .fallback = "30",
            .meaning = "how long a token opens doors",
            .least = 1,
            .most = 24 * 60},
    Setting{.name = "refresh_token_days",
            .variable = "JWT_REFRESH_TOKEN_EXPIRE_DAYS",
            .kind = Kind::number,
            .fallback = "7",
            .meaning = "how long a person stays logged in",
            .least = 1,
            .most = 14},
    Setting{.name = "key_rotation_hours",
            .variable = "JWT_KEY_ROTATION_HOURS",
            .kind = Kind::number,
            .fallback = "24",
            .meaning = "age at which a signing key is replaced; 0: never. Not with private_key, "
                       "unless said",
            .most = 24 * 365},
    Setting{.name = "initial_account_name",
            .variable = "INITIAL_ACCOUNT_NAME",
            .fallback = "admin-service",
            .meaning = "service account that is made at the first start"},
    Setting{.name = "initial_account_secret",
            .variable = "INITIAL_ACCOUNT_PASSWORD",
            .kind = Kind::secret,
            .meaning = "its secret; empty: no such account is made"},
    Setting{.name = "initial_account_client_id",
            .variable = "INITIAL_ACCOUNT_CLIENT_ID",
            .meaning = "its client_id; empty: one is made up"},
    Setting{.name = "initial_account_role",
            .variable = "INITIAL_ACCOUNT_ROLE",
            .fallback = "ADMIN",
            .meaning = "its role: ADMIN, OPERATOR, USER, AUDITOR or READONLY"},
    Setting{.name = "second_account_client_id",
            .meaning = "client_id of one more such account, with the same secret and role"},
    Setting{.name = "initial_admin_username",
            .variable = "INITIAL_ADMIN_USERNAME",
            .fallback = "admin",
            .meaning = "person who is made at the first start"},
    Setting{.name = "initial_admin_password",
            .variable = "INITIAL_ADMIN_PASSWORD",
            .kind = Kind::secret,
            .meaning = "the password; empty: nobody is made"},
    Setting{
        .name = "initial_admin_email", .variable = "INITIAL_ADMIN_EMAIL", .meaning = "the address"},
    shared_settings::meaning(shared_settings::kRateLimit,
                             "whether the limit of an account counts for all its requests"),
    Setting{.name = "token_requests_per_minute",
            .kind = Kind::number,
            .fallback = "300",
            .meaning = "tokens and logins that one address may ask for; 0: no limit",
            .most = 1'000'000},
    Setting{.name = "audit_days",
            .kind = Kind::number,
            .fallback = "365",
            .meaning = "how long the audit trail and what was deleted are remembered; 0: for ever",
            .most = 36'500},
    Setting{.name = "element_lifetime",
            .kind = Kind::duration,
            .fallback = "90s",
            .meaning = "how long a storage element may be silent before it counts as offline",
            .least = 1000},
    Setting{.name = "file_registry",
            .kind = Kind::flag,
            .fallback = "true",
            .meaning = "whether the files of all elements are followed"},
    Setting{.name = "registry_audit_interval",
            .kind = Kind::duration,
            .fallback = "1h",
            .meaning = "how often the registry is compared with the elements",
            .least = 1000},
    Setting{.name = "cleanup_delay",
            .kind = Kind::duration,
            .fallback = "24h",
            .meaning = "how long a file that was deleted stays on its element"},
    Setting{.name = "cleanup_retry",
            .kind = Kind::duration,
            .fallback = "5s",
            .meaning = "after which a removal that failed is tried again; doubles each time",
            .least = 100},
    Setting{.name = "cleanup_retry_most",
            .kind = Kind::duration,
            .fallback = "10m",
            .meaning = "to which that grows"},
    shared_settings::meaning(shared_settings::kCa,
                             "PEM file of the authorities of elements; empty: the system's"),
};

Result<std::string> initial_role(const config::Settings& told) {
  auto role = admin::account_role(told.text("initial_account_role"));
  if (!role) return std::move(role).error().in("initial_account_role");
  return role;
}

std::vector<admin::InitialAccount> accounts_of(const config::Settings& told) {
  const std::string& secret = told.text("initial_account_secret");
  if (secret.empty()) return {};
  const std::string role = initial_role(told).value();
  const std::string& name = told.text("initial_account_name");
  std::vector<admin::InitialAccount> out;
  out.push_back({.name = name,
                 .client_id = told.text("initial_account_client_id"),
                 .secret = secret,
                 .role = role});
  if (const std::string& second = told.text("second_account_client_id"); !second.empty())
    out.push_back({.name = name + "-2", .client_id = second, .secret = secret, .role = role});
  return out;
}

std::chrono::hours rotation_of(const config::Settings& told) {
  // Who gave a key may have given its public half to others, who would not learn of another one.
  const bool given = !told.text("private_key").empty() && !told.was_said("key_rotation_hours");
  return std::chrono::hours(given ? 0 : told.number("key_rotation_hours"));
}

std::chrono::hours refresh_lifetime_of(const config::Settings& told) {
  return std::chrono::hours(24 * told.number("refresh_token_days"));
}

admin::Options options_of(const RoleContext& context, const std::optional<Url>& database) {
  const config::Settings& told = *context.settings;
  admin::Options out;
  out.database = database ? database->reveal() : "sqlite://" + (context.data / "admin.db").string();
  out.environment = told.text("environment");
  out.access_lifetime = std::chrono::minutes(told.number("access_token_minutes"));
  out.refresh_lifetime = refresh_lifetime_of(told);
  out.audit_lifetime = std::chrono::hours(24 * told.number("audit_days"));
  out.element_lifetime = told.duration("element_lifetime");
  out.follow_files = told.flag("file_registry");
  out.registry_audit_interval = told.duration("registry_audit_interval");
  out.cleanup_delay = told.duration("cleanup_delay");
  out.cleanup_retry = told.duration("cleanup_retry");
  out.cleanup_retry_most = std::max(out.cleanup_retry, told.duration("cleanup_retry_most"));
  out.token_requests_per_minute =
      static_cast<std::uint32_t>(told.number("token_requests_per_minute"));
  out.limits = told.flag("rate_limit") ? auth::RateLimits::on : auth::RateLimits::off;
  out.signing.rotate_every = rotation_of(told);
  out.signing.first_key = told.text("private_key");
  out.signing.public_folder = context.data / "keys";
  out.accounts = accounts_of(told);
  if (const std::string& password = told.text("initial_admin_password"); !password.empty())
    out.user = admin::InitialUser{.username = told.text("initial_admin_username"),
                                  .password = password,
                                  .email = told.text("initial_admin_email")};
  return out;
}

/// So that all keys whose tokens live still fit into a ring.
Result<void> check_admin(const config::Settings& told) {
  ARTCACHE_CHECK(shared_settings::database_address(told));
  ARTCACHE_CHECK(initial_role(told));
  const auto every = rotation_of(told);
  const auto keys = every.count() == 0 ? 0 : refresh_lifetime_of(told) / every;
  if (keys <= static_cast<std::int64_t>(auth::kKeysMost) - 4) return {};
  return Error{Errc::invalid_argument,
               "admin: key_rotation_hours is too short for refresh_token_days: " +
                   std::to_string(keys) + " keys would have to verify at a time"};
}

/// How elements are reached.
admin::Outside over_http(const config::Settings& told, const Deps& deps) {
  const std::string ca = told.text("ca");
  auto http = std::make_shared<web::HttpClient>(web::HttpSettings{.ca = ca}, *deps.clock);
  admin::Outside out;
  out.fetch = [http](const std::string& url, const Call& call) -> Result<std::string> {
    ARTCACHE_TRY(web::HttpReply reply, http->send({.url = url, .most = 64 * 1024}, call));
    if (reply.head.status == 200) return std::move(reply.body);
    return Error{Errc::unavailable, url + " answers " + std::to_string(reply.head.status)};
  };
  out.send = [http](const web::HttpRequest& request, const Call& call) {
    return http->send(request, call);
  };
  out.open_log = [deps, ca](const std::string& url, const admin::Token& token,
                            const admin::Reject& reject) {
    return open_http_log(
        {.url = shared_settings::log_address(url, ca), .token = token, .reject = reject}, deps);
  };
  return out;
}

Result<std::unique_ptr<Role>> make_admin(const RoleContext& context) {
  ARTCACHE_CHECK(check_admin(*context.settings));
  ARTCACHE_TRY(const auto database, shared_settings::database_address(*context.settings));
  admin::Options options = options_of(context, database);
  ARTCACHE_TRY(auto role,
               admin::Admin::open(std::move(options), context.deps,
                                  over_http(*context.settings, context.deps), context.call));
  return std::unique_ptr<Role>(std::move(role));
}

Result<void> demo_admin(std::string_view, const std::filesystem::path&,
                        config::Settings& settings) {
  const DemoSettings demo(settings);
  ARTCACHE_CHECK(demo.say("initial_account_secret", std::string(kDemoSecret)));
  ARTCACHE_CHECK(demo.say("initial_account_client_id", std::string(kDemoClient)));
  ARTCACHE_CHECK(demo.say("second_account_client_id", "sa_prod_admin_service_abc12345"));
  return demo.say("initial_admin_password", std::string(kDemoSecret));
}

}  // namespace

const RoleKind& admin_role() {
  static const RoleKind kind{.name = "admin",
                             .instance = "admin",
                             .port = 8000,
                             .settings = kSettings,
                             .check = check_admin,
                             .make = make_admin,
                             .demo = demo_admin};
  return kind;
}

}  // namespace artcache
