// SPDX-License-Identifier: Apache-2.0
// What the routes of the admin share.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/json_writer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/guard.hpp"
#include "auth/keys.hpp"
#include "auth/limiter.hpp"
#include "auth/secret.hpp"
#include "auth/verifier.hpp"
#include "common/following.hpp"
#include "common/json_object.hpp"
#include "http/site.hpp"
#include "roles/admin/element_files.hpp"
#include "roles/admin/signing.hpp"
#include "roles/admin/tables_files.hpp"

namespace artcache::admin {

/// An account that is there from the first start on.
struct InitialAccount {
  std::string name, client_id;  ///< client_id: empty for one that is made up
  std::string secret;
  std::string role = "ADMIN";
  std::uint32_t rate_limit = 1000;
};

struct InitialUser {
  std::string username, password, email;
};

struct Options {
  std::string database;              ///< sqlite:///… or postgresql://…
  std::string environment = "prod";  ///< stands in the client_id of new accounts
  std::chrono::milliseconds access_lifetime = std::chrono::minutes(30);
  std::chrono::milliseconds refresh_lifetime = std::chrono::hours(24 * 7);
  std::chrono::milliseconds secret_lifetime = std::chrono::hours(24 * 90);
  std::chrono::milliseconds element_lifetime = std::chrono::seconds(90);  ///< then it is offline
  std::chrono::milliseconds audit_lifetime = std::chrono::hours(24 * 365);
  std::uint32_t token_requests_per_minute = 300;  ///< of one address; 0: no limit
  std::uint32_t token_failures_per_minute = 20;   ///< of one address for one account
  bool follow_files = true;                       ///< whether there is a registry of files
  std::chrono::milliseconds registry_audit_interval = std::chrono::hours(1);
  std::chrono::milliseconds cleanup_delay =
      std::chrono::hours(24);  ///< a deleted file stays so long
  std::chrono::milliseconds cleanup_retry = std::chrono::seconds(5);  ///< after the first failure
  std::chrono::milliseconds cleanup_retry_most = std::chrono::minutes(10);
  std::chrono::milliseconds edit_wait =
      std::chrono::seconds(3);  ///< for the log to tell of an edit
  auth::RateLimits limits = auth::RateLimits::off;
  auth::HashCost hash_cost = {};
  SigningOptions signing = {};
  std::vector<InitialAccount> accounts = {};
  std::optional<InitialUser> user = {};
};

/// GET of a URL: the body of a 200. Errors: unavailable, timed_out, cancelled.
using Fetch = std::function<Result<std::string>(const std::string& url, const Call& call)>;

/// The token with which the admin asks an element. Errors: as Signing::mint().
using Token = std::function<Result<std::string>(const Call&)>;
/// The log of an element. Errors: invalid_argument (no such address), unsupported.
/// Told of one that the element refused.
using Reject = std::function<void(const std::string& token)>;
using OpenLog = std::function<Result<std::unique_ptr<LogSource>>(
    const std::string& url, const Token& token, const Reject& reject)>;

/// How elements are reached. Without `fetch` those that register themselves are known, without
/// `send` files are only looked at, without `open_log` none are known.
struct Outside {
  Fetch fetch = {};
  Send send = {};
  OpenLog open_log = {};
};

/// Lives as long as the role; the routes hold references.
struct Parts {
  Options options;
  Deps deps;
  Fetch fetch;
  std::unique_ptr<Database> database;
  auth::KeyRing ring;
  std::unique_ptr<Signing> signing;
  std::unique_ptr<auth::Verifier> verifier;
  std::unique_ptr<auth::Gate> gate;
  std::unique_ptr<auth::Limiter> requests, failures;
  std::unique_ptr<FileTables> files;
  std::unique_ptr<ElementFiles> element_files;
  std::unique_ptr<replica::Fleet> fleet;  ///< null: nobody follows
  std::function<void()> clean_soon = [] {};

  [[nodiscard]] Timestamp now() const { return deps.clock->now(); }
};

// The routes, by subject. Errors: those of Site::add().
Result<void> add_token_routes(http::Site& site, Parts& parts);
Result<void> add_key_routes(http::Site& site, Parts& parts);
Result<void> add_account_routes(http::Site& site, Parts& parts);
Result<void> add_login_routes(http::Site& site, Parts& parts);
Result<void> add_user_routes(http::Site& site, Parts& parts);
Result<void> add_element_routes(http::Site& site, Parts& parts);
Result<void> add_audit_routes(http::Site& site, Parts& parts);
Result<void> add_file_routes(http::Site& site, Parts& parts);
Result<void> add_cleanup_routes(http::Site& site, Parts& parts);

/// One more attempt to enter, in `auth_attempts_total`, as its answer says.
http::Reply counted_attempt(Parts& parts, std::string_view kind, http::Reply reply);

/// Who may read, and who may change, what the admin is told by people.
auth::Rule people_who_read();
auth::Rule people_who_change();

/// What the trail will say of a request beside who, when and how it ended.
struct Deed {
  std::string target = {}, details = {};
  /// Where the request has no identity: who it claims to be.
  std::string actor = {};
  bool of_note = true;  ///< false: nothing came of it, and the trail says nothing
};
using DeedHandler = std::function<http::Reply(http::Request&, Deed&)>;
/// A handler whose every outcome goes to the audit trail, as `action`. What cannot be written
/// there is logged as an error; the answer stands.
http::Handler audited(Parts& parts, std::string action, DeedHandler handler);

/// Both tokens of one caller, as a body.
struct TokenPair {
  std::string access, refresh;
};
/// `claims` needs all but the times and jti; `refresh_id` becomes the jti of the refresh token.
Result<TokenPair> mint_pair(const Parts& parts, auth::Claims claims, std::string refresh_id);
http::Response token_response(const Parts& parts, const TokenPair& pair);

/// `?skip=&limit=` as FastAPI reads them.
std::optional<http::Problem> read_page(const http::Request& request, Page& page);
http::Problem not_found(std::string what);
void append_time(JsonWriter& json, std::string_view name, const std::optional<Timestamp>& time);
void append_text(JsonWriter& json, std::string_view name, const std::optional<std::string>& text);

}  // namespace artcache::admin
