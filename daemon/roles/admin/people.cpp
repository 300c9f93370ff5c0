// SPDX-License-Identifier: Apache-2.0
// /api/v1/admin-users
#include "roles/admin/people.hpp"

#include <utility>

#include "http/query_fields.hpp"

namespace artcache::admin {
namespace {

using Work = Result<AdminUser>;

http::Reply answer(const Work& result, int status = 200) {
  if (result) return user_response(status, *result);
  const Error& error = result.error();
  if (error.code == Errc::not_found) return not_found("Admin user");
  if (error.code == Errc::conflict)
    return http::Problem{.status = 409, .detail = "A user of this name exists already"};
  return error;
}

std::string id_of(const http::Request& request) {
  return std::string(request.values.find("id").value_or(""));
}

Work needed(Session& session, const std::string& id, Intent intent = Intent::change) {
  ARTCACHE_TRY(auto found, find_user(session, id, intent));
  if (!found) return Error{Errc::not_found, "Admin user not found"};
  return std::move(*found);
}

std::optional<std::string> role_in(BodyFields& body) {
  return body.word("role", {"super_admin", "admin", "readonly"});
}

constexpr http::BodyField kCreateBody[] = {{"username", "string", http::BodyField::Need::needed},
                                           {"email", "string"},
                                           {"role", "string"},
                                           {"password", "string", http::BodyField::Need::needed}};

http::Reply create(Parts& parts, http::Request& request, Deed& deed) {
  auto body = BodyFields::read(request);
  if (!body) return body.error();
  AdminUser user;
  user.username = body->needed_text("username", 100);
  user.email = body->text("email");
  user.role = role_in(*body).value_or("admin");
  const std::string password = new_password(*body, "password");
  if (auto problem = body->problem()) return std::move(*problem);
  deed.target = user.username;
  return answer(make_user(parts, std::move(user), password, request.call), 201);
}

http::Reply list(const Parts& parts, http::Request& request) {
  Page page;
  if (auto problem = read_page(request, page)) return std::move(*problem);
  const auto found =
      parts.database->read(request.call, [&](Session& s) { return list_users(s, page); });
  if (!found) return found.error();
  JsonWriter json;
  json.begin_object().member("total", found->total).key("items").begin_array();
  for (const AdminUser& user : found->items) {
    json.begin_object();
    append_user(json, user);
    json.end_object();
  }
  json.end_array().member("skip", page.skip).member("limit", page.limit).end_object();
  return http::json_response(200, std::move(json).str());
}

http::Reply show(const Parts& parts, http::Request& request) {
  return answer(parts.database->read(
      request.call, [&](Session& s) { return needed(s, id_of(request), Intent::look); }));
}

constexpr http::BodyField kChangeBody[] = {
    {"email", "string"}, {"role", "string"}, {"enabled", "boolean"}};

http::Reply change(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = id_of(request);
  auto body = BodyFields::read(request);
  if (!body) return body.error();
  const auto email = body->text("email");
  const auto role = role_in(*body);
  const auto enabled = body->flag("enabled");
  if (auto problem = body->problem()) return std::move(*problem);
  if (request.identity->id == deed.target && (role || enabled == false))
    return http::Problem{.status = 400, .detail = "Nobody takes rights from themselves"};
  return answer(parts.database->write(request.call, [&](Session& s) -> Work {
    ARTCACHE_TRY(AdminUser user, needed(s, deed.target));
    if (email) user.email = email;
    user.role = role.value_or(user.role);
    user.enabled = enabled.value_or(user.enabled);
    // What they may do is in their tokens: the ones that last have to go.
    if (role || enabled == false) user.session = auth::random_word(16);
    user.updated_at = parts.now();
    ARTCACHE_CHECK(store_user(s, user));
    return user;
  }));
}

http::Reply remove(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = id_of(request);
  if (request.identity->id == deed.target)
    return http::Problem{.status = 400, .detail = "Nobody deletes themselves"};
  const auto removed = parts.database->write(request.call, [&](Session& s) -> Work {
    ARTCACHE_TRY(AdminUser user, needed(s, deed.target));
    if (!user.is_system) ARTCACHE_CHECK(remove_user(s, user.id));
    return user;
  });
  if (!removed) return answer(removed);
  if (removed->is_system)
    return http::Problem{.status = 403, .detail = "System users cannot be deleted"};
  return http::Response{.status = 204};
}

constexpr http::BodyField kResetBody[] = {
    {"new_password", "string", http::BodyField::Need::needed}};

http::Reply reset_password(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = id_of(request);
  auto body = BodyFields::read(request);
  if (!body) return body.error();
  const std::string password = new_password(*body, "new_password");
  if (auto problem = body->problem()) return std::move(*problem);
  AdminUser changed;
  if (auto done = set_password(parts, changed, password); !done) return done.error();
  return answer(parts.database->write(request.call, [&](Session& s) -> Work {
    ARTCACHE_TRY(AdminUser user, needed(s, deed.target));
    take_password(user, changed);
    user.failed_attempts = 0;
    user.locked_until = std::nullopt;
    ARTCACHE_CHECK(store_user(s, user));
    return user;
  }));
}

}  // namespace

void append_user(JsonWriter& json, const AdminUser& user) {
  json.member("id", user.id).member("username", user.username);
  append_text(json, "email", user.email);
  json.member("role", user.role)
      .member("enabled", user.enabled)
      .member("is_system", user.is_system);
  append_time(json, "locked_until", user.locked_until);
  append_time(json, "last_login_at", user.last_login_at);
  json.member("created_at", to_string(user.created_at))
      .member("updated_at", to_string(user.updated_at));
}

http::Response user_response(int status, const AdminUser& user) {
  JsonWriter json;
  json.begin_object();
  append_user(json, user);
  json.end_object();
  return http::json_response(status, std::move(json).str());
}

std::string new_password(BodyFields& body, std::string_view member) {
  std::string out = body.needed_text(member, auth::kSecretMost / 4);
  if (!out.empty() && out.size() < kPasswordLeast)
    body.refuse(member,
                "String should have at least " + std::to_string(kPasswordLeast) + " characters",
                "string_too_short");
  return out;
}

Result<void> set_password(Parts& parts, AdminUser& user, std::string_view password) {
  ARTCACHE_TRY(user.password_hash, auth::hash_secret(password, parts.options.hash_cost));
  user.session = auth::random_word(16);
  user.updated_at = parts.now();
  return {};
}

void take_password(AdminUser& user, const AdminUser& changed) {
  user.password_hash = changed.password_hash;
  user.session = changed.session;
  user.updated_at = changed.updated_at;
}

Result<AdminUser> make_user(Parts& parts, AdminUser user, std::string_view password,
                            const Call& call) {
  ARTCACHE_CHECK(set_password(parts, user, password));
  user.id = auth::random_uuid();
  user.created_at = user.updated_at;
  ARTCACHE_CHECK(parts.database->write(call, [&](Session& s) { return add_user(s, user); }));
  return user;
}

Result<void> make_initial_user(Parts& parts, const Call& call) {
  if (!parts.options.user) return {};
  const InitialUser& wanted = *parts.options.user;
  ARTCACHE_TRY(const auto there, parts.database->read(call, [&](Session& s) {
    return find_username(s, wanted.username);
  }));
  if (there) return {};
  AdminUser user;
  user.username = wanted.username;
  if (!wanted.email.empty()) user.email = wanted.email;
  user.role = "super_admin";
  user.is_system = true;
  const auto made = make_user(parts, std::move(user), wanted.password, call);
  if (!made && made.error().code != Errc::conflict) return made.error().in("initial admin");
  return {};
}

Result<void> add_user_routes(http::Site& site, Parts& parts) {
  const std::string all = "/api/v1/admin-users";
  const std::string one = all + "/{id}";
  const auth::Rule changes{.callers = auth::Callers::people, .roles = {"super_admin"}};
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
                            changes));
  };
  ARTCACHE_CHECK(read(
      all, "The people who run the admin",
      [&parts](http::Request& request) { return list(parts, request); }, http::kPageFields));
  ARTCACHE_CHECK(
      read(one, "One of them", [&parts](http::Request& request) { return show(parts, request); }));
  ARTCACHE_CHECK(act(http::Method::post, all, "admin_user.create",
                     "Adds somebody who runs the admin", create, kCreateBody));
  ARTCACHE_CHECK(
      act(http::Method::put, one, "admin_user.update", "Changes one of them", change, kChangeBody));
  ARTCACHE_CHECK(act(http::Method::del, one, "admin_user.delete", "Removes one of them", remove));
  return act(http::Method::post, one + "/reset-password", "admin_user.reset_password",
             "Gives one of them another password", reset_password, kResetBody);
}

}  // namespace artcache::admin
