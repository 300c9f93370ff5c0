// SPDX-License-Identifier: Apache-2.0
#include "roles/admin/schema.hpp"

#include <array>
#include <string>

#include "sql/migrate.hpp"
#include "util/try.hpp"

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

// Files of all elements, each as the log of its element tells it: `content` is the whole of it, the
// columns are what lists are narrowed down by and what people look at. A row without a hash is what
// is remembered of a file that was deleted here and is gone from its element. `rank` orders the
// rows of one file: permanent 0, unknown 1, temporary 2, gone 3. The indexes serve reads by id, the
// lists, and the upkeep of what was deleted.
constexpr std::string_view kVersion2 = R"(
CREATE TABLE files(
  file_id TEXT NOT NULL, storage_element_id TEXT NOT NULL, original_filename TEXT NOT NULL,
  storage_filename TEXT NOT NULL, storage_path TEXT NOT NULL, file_size BIGINT NOT NULL,
  checksum_sha256 TEXT NOT NULL, content_type TEXT NOT NULL, description TEXT,
  retention_policy TEXT, ttl_days BIGINT, ttl_expires_at {time}, uploaded_by TEXT NOT NULL,
  created_at {time} NOT NULL, updated_at {time} NOT NULL, rank BIGINT NOT NULL,
  deleted_at {time}, deletion_reason TEXT, deleted_by TEXT,
  content {bytes} NOT NULL, content_hash {bytes},
  PRIMARY KEY(storage_element_id, file_id));
CREATE INDEX files_id ON files(file_id);
CREATE INDEX files_created ON files(created_at, file_id);
CREATE INDEX files_deleted ON files(deleted_at) WHERE deleted_at IS NOT NULL;
CREATE TABLE file_cleanup_queue(
  id {serial}, file_id TEXT NOT NULL, storage_element_id TEXT NOT NULL,
  storage_path TEXT NOT NULL, scheduled_at {time} NOT NULL, priority BIGINT NOT NULL,
  cleanup_reason TEXT NOT NULL, next_attempt_at {time} NOT NULL, attempted_at {time},
  processed_at {time}, error_message TEXT, retry_count BIGINT NOT NULL);
CREATE INDEX file_cleanup_queue_file ON file_cleanup_queue(file_id);
CREATE INDEX file_cleanup_queue_due ON file_cleanup_queue(next_attempt_at)
  WHERE processed_at IS NULL;
CREATE TABLE file_registry_sync(
  storage_element_id TEXT PRIMARY KEY, position TEXT NOT NULL, digest TEXT NOT NULL,
  files BIGINT NOT NULL, updated_at {time} NOT NULL);
CREATE TABLE file_registry_dead_letters(
  storage_element_id TEXT NOT NULL, id TEXT NOT NULL, seq BIGINT NOT NULL, content_hash {bytes},
  kept_hash {bytes}, reason TEXT NOT NULL, failed_at {time} NOT NULL, dropped_at {time},
  PRIMARY KEY(storage_element_id, id));
)";

// The service account that speaks for an element; null where people entered it, or before this was
// written down.
constexpr std::string_view kVersion3 = "ALTER TABLE storage_elements ADD COLUMN client_id TEXT;";

/// The original's tables bear the same names, with other types and with secrets hashed in another
/// way: what is not ours is neither changed nor half understood. Looked for before the version is,
/// since another artcached may be making ours meanwhile.
Result<void> refuse_tables_of_others(sql::Connection& connection, const sql::Schema& schema) {
  std::string foreign;
  for (const std::string_view table :
       {"service_accounts", "storage_elements", "admin_users", "files"}) {
    ARTCACHE_TRY(const bool there, connection.has_table(table));
    if (there) foreign.append(foreign.empty() ? "'" : ", '").append(table).append("'");
  }
  if (foreign.empty()) return {};
  ARTCACHE_TRY(const sql::SchemaVersions found, sql::read_versions(connection, schema));
  if (found.version > 0) return {};
  return Error{Errc::unsupported,
               "admin: the database has tables of another program (" + foreign +
                   "), such as the original's: they are left as they are; create a database of "
                   "its own for the admin and name it in 'database', then make the accounts anew"};
}

}  // namespace

Result<void> migrate(sql::Connection& connection, db::Engine engine, const Call& call) {
  const std::string version1 = db::in_words_of(engine, kVersion1);
  const std::string version2 = db::in_words_of(engine, kVersion2);
  const std::array steps{sql::Migration{1, version1}, sql::Migration{2, version2},
                         sql::Migration{3, kVersion3}};
  const sql::Schema schema{.name = "admin", .migrations = steps};
  ARTCACHE_CHECK(refuse_tables_of_others(connection, schema));
  return sql::migrate(connection, schema, call);
}

}  // namespace artcache::admin
