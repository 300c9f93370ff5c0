// SPDX-License-Identifier: Apache-2.0
#include "roles/admin/schema.hpp"

#include <array>
#include <string>

#include "sql/migrate.hpp"

namespace artcache::admin {
namespace {

// Names and columns are those that operators of the original know.
constexpr std::string_view kVersion1 = R"(
CREATE TABLE service_accounts(
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT,
  client_id TEXT NOT NULL UNIQUE, client_secret_hash TEXT NOT NULL,
  role TEXT NOT NULL, status TEXT NOT NULL, is_system {flag} NOT NULL,
  rate_limit BIGINT NOT NULL, secret_expires_at {time}, last_used_at {time},
  created_at {time} NOT NULL, updated_at {time} NOT NULL);
CREATE TABLE admin_users(
  id TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE, email TEXT, password_hash TEXT NOT NULL,
  role TEXT NOT NULL, enabled {flag} NOT NULL, is_system {flag} NOT NULL,
  failed_attempts BIGINT NOT NULL, locked_until {time}, session TEXT NOT NULL,
  last_login_at {time}, created_at {time} NOT NULL, updated_at {time} NOT NULL);
CREATE TABLE jwt_keys(
  version TEXT PRIMARY KEY, key_id TEXT NOT NULL, private_key TEXT NOT NULL,
  public_key TEXT NOT NULL, algorithm TEXT NOT NULL, created_at {time} NOT NULL,
  expires_at {time} NOT NULL, is_active {flag} NOT NULL, rotation_count BIGINT NOT NULL);
CREATE TABLE storage_elements(
  id {serial}, element_id TEXT UNIQUE, name TEXT NOT NULL UNIQUE, mode TEXT NOT NULL,
  storage_type TEXT NOT NULL, status TEXT NOT NULL, priority BIGINT NOT NULL,
  base_path TEXT NOT NULL, api_url TEXT NOT NULL UNIQUE, capacity_bytes BIGINT NOT NULL,
  used_bytes BIGINT NOT NULL, file_count BIGINT NOT NULL, retention_days BIGINT,
  last_health_check {time}, created_at {time} NOT NULL, updated_at {time} NOT NULL);
CREATE TABLE audit_log(
  id {serial}, at {time} NOT NULL, actor_id TEXT NOT NULL, actor TEXT NOT NULL,
  action TEXT NOT NULL, target TEXT NOT NULL, status BIGINT NOT NULL,
  request_id TEXT NOT NULL, peer TEXT NOT NULL, details TEXT NOT NULL);
CREATE INDEX audit_log_at ON audit_log(at);
)";

}  // namespace

Result<void> migrate(sql::Connection& connection, db::Engine engine, const Call& call) {
  const std::string version1 = db::in_words_of(engine, kVersion1);
  const std::array steps{sql::Migration{1, version1}};
  return sql::migrate(connection, {.name = "admin", .migrations = steps}, call);
}

}  // namespace artcache::admin
