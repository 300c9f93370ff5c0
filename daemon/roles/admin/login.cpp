// SPDX-License-Identifier: Apache-2.0
// /api/v1/admin-auth: how people come in, and go.
#include <utility>

#include "roles/admin/people.hpp"

namespace artcache::admin {
namespace {

constexpr std::int64_t kAttemptsMost = 5;
constexpr std::chrono::minutes kLockedFor{15};

http::Problem wrong_credentials() {
  return {.status = 401,
          .detail = "Invalid username or password",
          .headers = {{"WWW-Authenticate", "Bearer"}, {"Cache-Control", "no-store"}}};
}

http::Problem locked(std::chrono::microseconds left) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(left).count();
  return {.status = 423,
          .detail = "Account is locked after too many failed attempts",
          .headers = {{"Retry-After", std::to_string(seconds)}}};
}

auth::Claims claims_of(const AdminUser& user) {
  auth::Claims out;
  out.subject = user.id;
  out.kind = "admin_user";
  out.role = user.role;
  out.name = user.username;
  return out;
}

/// Counts in the database, so that all processes together allow so many attempts.
Result<void> note_failure(Parts& parts, const std::string& id, const Call& call) {
  return parts.database->write(call, [&](Session& s) -> Result<void> {
    ARTCACHE_TRY(auto user, find_user(s, id, Intent::change));
    if (!user) return {};
    if (++user->failed_attempts >= kAttemptsMost) {
      user->locked_until = parts.now() + kLockedFor;
      user->failed_attempts = 0;
    }
    ARTCACHE_CHECK(store_user(s, *user));
    return {};
  });
}

/// `checked` as they are now, to be changed: hashing takes long. Nothing when they are gone, were
/// disabled, or the password is another one than that which was checked.
Result<std::optional<AdminUser>> still(Session& session, const AdminUser& checked) {
  ARTCACHE_TRY(auto user, find_user(session, checked.id, Intent::change));
  if (user && (!user->enabled || user->password_hash != checked.password_hash)) user.reset();
  return user;
}

/// As still(); with nothing nothing is noted.
Result<std::optional<AdminUser>> note_success(Parts& parts, const AdminUser& checked,
                                              const Call& call) {
  return parts.database->write(call, [&](Session& s) -> Result<std::optional<AdminUser>> {
    ARTCACHE_TRY(auto user, still(s, checked));
    if (!user) return user;
    user->failed_attempts = 0;
    user->locked_until = std::nullopt;
    user->last_login_at = parts.now();
    ARTCACHE_CHECK(store_user(s, *user));
    return user;
  });
}

http::Reply tokens_for(const Parts& parts, const AdminUser& user) {
  const auto pair = mint_pair(parts, claims_of(user), user.session);
  if (!pair) return pair.error();
  return token_response(parts, *pair);
}

constexpr http::BodyField kLoginBody[] = {{"username", "string", http::BodyField::Need::needed},
                                          {"password", "string", http::BodyField::Need::needed}};

http::Reply enter(Parts& parts, http::Request& request, Deed& deed) {
  const auto allowed = parts.requests->take(request.peer, parts.options.token_requests_per_minute);
  if (!allowed.allowed) return auth::too_many(allowed);
  auto body = BodyFields::read(request);
  if (!body) return body.error();
  const std::string username = body->needed_text("username", 100);
  const std::string password = body->needed_text("password", auth::kSecretMost);
  if (auto problem = body->problem()) return std::move(*problem);
  deed.actor = deed.target = username;

  const auto user =
      parts.database->read(request.call, [&](Session& s) { return find_username(s, username); });
  if (!user) return user.error();
  if (!*user) {
    auth::waste_a_check(password);
    return wrong_credentials();
  }
  const AdminUser& who = **user;
  if (who.locked_until && *who.locked_until > parts.now())
    return locked(*who.locked_until - parts.now());
  if (!auth::is_secret(password, who.password_hash)) {
    if (auto done = note_failure(parts, who.id, request.call); !done) return done.error();
    return wrong_credentials();
  }
  if (!who.enabled) return http::Problem{.status = 403, .detail = "Account is disabled"};
  const auto now = note_success(parts, who, request.call);
  if (!now) return now.error();
  return *now ? tokens_for(parts, **now) : http::Reply(wrong_credentials());
}

http::Reply login(Parts& parts, http::Request& request, Deed& deed) {
  return counted_attempt(parts, "admin_user", enter(parts, request, deed));
}

http::Problem no_refresh() {
  return {.status = 401,
          .detail = "Invalid or expired token",
          .headers = {{"WWW-Authenticate", "Bearer"}}};
}

constexpr http::BodyField kRefreshBody[] = {
    {"refresh_token", "string", http::BodyField::Need::needed}};

http::Reply refresh(Parts& parts, http::Request& request, Deed& deed) {
  const auto allowed = parts.requests->take(request.peer, parts.options.token_requests_per_minute);
  if (!allowed.allowed) return auth::too_many(allowed);
  auto body = BodyFields::read(request);
  if (!body) return body.error();
  const std::string token = body->needed_text("refresh_token", auth::kTokenMost);
  if (auto problem = body->problem()) return std::move(*problem);
  const auto claims = parts.verifier->verify(token);
  if (!claims || (*claims)->kind != "refresh") return no_refresh();
  deed.actor = (*claims)->name;
  deed.target = (*claims)->subject;
  const auto user =
      parts.database->read(request.call, [&](Session& s) { return find_user(s, deed.target); });
  if (!user) return user.error();
  if (!*user || !(*user)->enabled || !auth::same_secret((*user)->session, (*claims)->id))
    return no_refresh();
  return tokens_for(parts, **user);
}

/// The person who calls, as they are now.
Result<AdminUser> caller(const Parts& parts, const http::Request& request) {
  ARTCACHE_TRY(auto user, parts.database->read(request.call, [&](Session& s) {
    return find_user(s, request.identity->id);
  }));
  if (!user) return Error{Errc::not_found, "Admin user not found"};
  return std::move(*user);
}

http::Reply logout(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = request.identity->id;
  const auto done = parts.database->write(request.call, [&](Session& s) -> Result<void> {
    ARTCACHE_TRY(auto user, find_user(s, deed.target, Intent::change));
    if (!user) return Error{Errc::not_found, "Admin user not found"};
    user->session = auth::random_word(16);
    ARTCACHE_CHECK(store_user(s, *user));
    return {};
  });
  if (!done) return done.error();
  return http::json_response(200, R"({"message":"Logged out"})");
}

http::Reply me(const Parts& parts, http::Request& request) {
  const auto user = caller(parts, request);
  if (!user) return user.error();
  return user_response(200, *user);
}

http::Problem wrong_password() {
  return {.status = 400, .detail = "Current password is incorrect"};
}

constexpr http::BodyField kPasswordBody[] = {
    {"current_password", "string", http::BodyField::Need::needed},
    {"new_password", "string", http::BodyField::Need::needed}};

http::Reply change_password(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = request.identity->id;
  auto body = BodyFields::read(request);
  if (!body) return body.error();
  const std::string before = body->needed_text("current_password", auth::kSecretMost);
  const std::string after = new_password(*body, "new_password");
  if (before == after && !after.empty())
    body->refuse("new_password", "The new password is the old one", "value_error");
  if (auto problem = body->problem()) return std::move(*problem);
  const auto user = caller(parts, request);
  if (!user) return user.error();
  if (user->locked_until && *user->locked_until > parts.now())
    return locked(*user->locked_until - parts.now());
  if (!auth::is_secret(before, user->password_hash)) {
    if (auto done = note_failure(parts, user->id, request.call); !done) return done.error();
    return wrong_password();
  }
  AdminUser changed;
  if (auto done = set_password(parts, changed, after); !done) return done.error();
  const auto done = parts.database->write(request.call, [&](Session& s) -> Result<bool> {
    ARTCACHE_TRY(auto now, still(s, *user));
    if (!now) return false;
    take_password(*now, changed);
    ARTCACHE_CHECK(store_user(s, *now));
    return true;
  });
  if (!done) return done.error();
  if (!*done) return wrong_password();
  return http::json_response(200, R"({"message":"Password changed"})");
}

}  // namespace

Result<void> add_login_routes(http::Site& site, Parts& parts) {
  const std::string base = "/api/v1/admin-auth/";
  using Act = http::Reply (*)(Parts&, http::Request&, Deed&);
  const auto route = [&](const std::string& name, const char* action, const char* summary, Act what,
                         std::span<const http::BodyField> body = {}) {
    using Media = http::BodyShape::Media;
    return http::Route{.method = http::Method::post,
                       .pattern = base + name,
                       .handler = audited(parts, action,
                                          [&parts, what](http::Request& request, Deed& deed) {
                                            return what(parts, request, deed);
                                          }),
                       .body_most = 64 * 1024,
                       .summary = summary,
                       .body = {body.empty() ? Media::none : Media::json_or_form, body}};
  };
  ARTCACHE_CHECK(site.add(route("login", "admin.login",
                                "A token for a person, by name and password", login, kLoginBody)));
  ARTCACHE_CHECK(
      site.add(route("refresh", "admin.refresh", "A new token for a person, by a refresh token",
                     refresh, kRefreshBody)));
  ARTCACHE_CHECK(site.add(parts.gate->protect(
      route("logout", "admin.logout", "Ends what was begun with a login", logout),
      people_who_read())));
  ARTCACHE_CHECK(site.add(
      parts.gate->protect(route("change-password", "admin.change_password",
                                "Gives oneself another password", change_password, kPasswordBody),
                          people_who_read())));
  return site.add(
      parts.gate->protect({.pattern = base + "me",
                           .handler = [&parts](http::Request& r) { return me(parts, r); },
                           .summary = "Who I am"},
                          people_who_read()));
}

}  // namespace artcache::admin
