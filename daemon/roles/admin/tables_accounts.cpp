// SPDX-License-Identifier: Apache-2.0
// Service accounts and the people who run the admin.
#include "roles/admin/tables.hpp"

namespace artcache::admin {
namespace {

constexpr std::string_view kAccount =
    "SELECT id, name, description, client_id, client_secret_hash, role, status, is_system, "
    "rate_limit, secret_expires_at, last_used_at, created_at, updated_at FROM service_accounts ";
constexpr std::string_view kUser =
    "SELECT id, username, email, password_hash, role, enabled, is_system, failed_attempts, "
    "locked_until, session, last_login_at, created_at, updated_at FROM admin_users ";

std::string text_of(std::string_view select, std::string_view rest) {
  return std::string(select).append(rest);
}

std::string by_id(const Session& session, std::string_view select, Intent intent) {
  const std::string_view end = intent == Intent::change ? session.for_change() : "";
  return text_of(select, "WHERE id = $1").append(end);
}

ServiceAccount read_account(Row row) {
  ServiceAccount out;
  out.id = row.text();
  out.name = row.text();
  out.description = row.maybe_text();
  out.client_id = row.text();
  out.secret_hash = row.text();
  out.role = row.text();
  out.status = row.text();
  out.is_system = row.flag();
  out.rate_limit = static_cast<std::uint32_t>(row.number());
  out.secret_expires_at = row.maybe_time();
  out.last_used_at = row.maybe_time();
  out.created_at = row.time();
  out.updated_at = row.time();
  return out;
}

AdminUser read_user(Row row) {
  AdminUser out;
  out.id = row.text();
  out.username = row.text();
  out.email = row.maybe_text();
  out.password_hash = row.text();
  out.role = row.text();
  out.enabled = row.flag();
  out.is_system = row.flag();
  out.failed_attempts = row.number();
  out.locked_until = row.maybe_time();
  out.session = row.text();
  out.last_login_at = row.maybe_time();
  out.created_at = row.time();
  out.updated_at = row.time();
  return out;
}

}  // namespace

Result<void> add_account(Session& session, const ServiceAccount& a) {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO service_accounts(id, name, description, client_id, client_secret_hash, role, "
      "status, is_system, rate_limit, secret_expires_at, last_used_at, created_at, updated_at) "
      "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
      a.id, a.name, a.description, a.client_id, a.secret_hash, a.role, a.status, a.is_system,
      a.rate_limit, a.secret_expires_at, a.last_used_at, a.created_at, a.updated_at));
  return {};
}

Result<std::optional<ServiceAccount>> find_account(Session& session, std::string_view id,
                                                   Intent intent) {
  return session.one(by_id(session, kAccount, intent), read_account, id);
}

Result<std::optional<ServiceAccount>> find_client(Session& session, std::string_view client) {
  // Where one account has the name that is the client_id of another, the client_id wins.
  return session.one(text_of(kAccount,
                             "WHERE client_id = $1 OR name = $1 "
                             "ORDER BY CASE WHEN client_id = $1 THEN 0 ELSE 1 END LIMIT 1"),
                     read_account, client);
}

Result<Listing<ServiceAccount>> list_accounts(Session& session, const Page& page) {
  Listing<ServiceAccount> out;
  ARTCACHE_TRY(out.items,
               session.all(text_of(kAccount, "ORDER BY created_at, id LIMIT $1 OFFSET $2"),
                           read_account, page.limit, page.skip));
  ARTCACHE_TRY(out.total, session.count("SELECT count(*) FROM service_accounts"));
  return out;
}

Result<std::int64_t> count_active_accounts(Session& session) {
  return session.count("SELECT count(*) FROM service_accounts WHERE status = 'ACTIVE'");
}

Result<std::int64_t> store_account(Session& session, const ServiceAccount& a) {
  return session.run(
      "UPDATE service_accounts SET name = $1, description = $2, client_secret_hash = $3, "
      "role = $4, status = $5, rate_limit = $6, secret_expires_at = $7, updated_at = $8 "
      "WHERE id = $9",
      a.name, a.description, a.secret_hash, a.role, a.status, a.rate_limit, a.secret_expires_at,
      a.updated_at, a.id);
}

Result<std::int64_t> remove_account(Session& session, std::string_view id) {
  return session.run("DELETE FROM service_accounts WHERE id = $1", id);
}

Result<std::int64_t> note_use(Session& session, std::string_view id, Timestamp now) {
  return session.run("UPDATE service_accounts SET last_used_at = $1 WHERE id = $2", now, id);
}

Result<void> add_user(Session& session, const AdminUser& u) {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO admin_users(id, username, email, password_hash, role, enabled, is_system, "
      "failed_attempts, locked_until, session, last_login_at, created_at, updated_at) "
      "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
      u.id, u.username, u.email, u.password_hash, u.role, u.enabled, u.is_system, u.failed_attempts,
      u.locked_until, u.session, u.last_login_at, u.created_at, u.updated_at));
  return {};
}

Result<std::optional<AdminUser>> find_user(Session& session, std::string_view id, Intent intent) {
  return session.one(by_id(session, kUser, intent), read_user, id);
}

Result<std::optional<AdminUser>> find_username(Session& session, std::string_view username) {
  return session.one(text_of(kUser, "WHERE username = $1"), read_user, username);
}

Result<Listing<AdminUser>> list_users(Session& session, const Page& page) {
  Listing<AdminUser> out;
  ARTCACHE_TRY(out.items, session.all(text_of(kUser, "ORDER BY created_at, id LIMIT $1 OFFSET $2"),
                                      read_user, page.limit, page.skip));
  ARTCACHE_TRY(out.total, session.count("SELECT count(*) FROM admin_users"));
  return out;
}

Result<std::int64_t> store_user(Session& session, const AdminUser& u) {
  return session.run(
      "UPDATE admin_users SET email = $1, password_hash = $2, role = $3, enabled = $4, "
      "failed_attempts = $5, locked_until = $6, session = $7, last_login_at = $8, "
      "updated_at = $9 WHERE id = $10",
      u.email, u.password_hash, u.role, u.enabled, u.failed_attempts, u.locked_until, u.session,
      u.last_login_at, u.updated_at, u.id);
}

Result<std::int64_t> remove_user(Session& session, std::string_view id) {
  return session.run("DELETE FROM admin_users WHERE id = $1", id);
}

}  // namespace artcache::admin
