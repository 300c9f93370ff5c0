// SPDX-License-Identifier: Apache-2.0
// What the admin keeps: rows as values, and the statements that read and write them. Each function
// is part of the transaction it is given.
#pragma once

#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/database.hpp"

namespace artcache::admin {

using db::Database;
using db::Row;
using db::Session;

struct Page {
  std::int64_t skip = 0, limit = 100;
};

template <class T>
struct Listing {
  std::vector<T> items;
  std::int64_t total = 0;
};

/// Why a row is read. With `change` nobody else changes it before this transaction ends.
enum class Intent : std::uint8_t { look, change };

struct ServiceAccount {
  std::string id, name;
  std::optional<std::string> description = {};
  std::string client_id, secret_hash;
  std::string role;    ///< ADMIN, USER, AUDITOR, READONLY, OPERATOR
  std::string status;  ///< ACTIVE, SUSPENDED, EXPIRED, DELETED
  bool is_system = false;
  std::uint32_t rate_limit = 100;
  std::optional<Timestamp> secret_expires_at = {}, last_used_at = {};
  Timestamp created_at, updated_at;
};

/// Errors of all: those of the statements; conflict where a name or id is taken. What is not there
/// is an empty optional, or 0 rows changed.
Result<void> add_account(Session& session, const ServiceAccount& account);
Result<std::optional<ServiceAccount>> find_account(Session& session, std::string_view id,
                                                   Intent intent = Intent::look);
/// By client_id, or by the unique name.
Result<std::optional<ServiceAccount>> find_client(Session& session, std::string_view client);
Result<Listing<ServiceAccount>> list_accounts(Session& session, const Page& page);
Result<std::int64_t> count_active_accounts(Session& session);
/// Every column but that of note_use(): of one that this transaction has found with Intent::change.
Result<std::int64_t> store_account(Session& session, const ServiceAccount& account);
Result<std::int64_t> remove_account(Session& session, std::string_view id);
Result<std::int64_t> note_use(Session& session, std::string_view id, Timestamp now);

struct AdminUser {
  std::string id, username;
  std::optional<std::string> email = {};
  std::string password_hash;
  std::string role;  ///< super_admin, admin, readonly
  bool enabled = true, is_system = false;
  std::int64_t failed_attempts = 0;
  std::optional<Timestamp> locked_until = {};
  std::string session;  ///< refresh tokens carry it; a new one ends them all
  std::optional<Timestamp> last_login_at = {};
  Timestamp created_at, updated_at;
};

Result<void> add_user(Session& session, const AdminUser& user);
Result<std::optional<AdminUser>> find_user(Session& session, std::string_view id,
                                           Intent intent = Intent::look);
Result<std::optional<AdminUser>> find_username(Session& session, std::string_view username);
Result<Listing<AdminUser>> list_users(Session& session, const Page& page);
/// Every column: of one that this transaction has found with Intent::change.
Result<std::int64_t> store_user(Session& session, const AdminUser& user);
Result<std::int64_t> remove_user(Session& session, std::string_view id);

struct JwtKey {
  std::string version;  ///< a UUID; the kid is key_id
  std::string key_id, private_key, public_key;
  Timestamp created_at, expires_at;
  bool is_active = true;  ///< signs, when it is the newest of these
  std::int64_t rotation_count = 0;
};

Result<void> add_key(Session& session, const JwtKey& key);
/// The newest first.
Result<std::vector<JwtKey>> list_keys(Session& session);
/// Whoever replaces a key at the same time has ended when this returns, and what it did is seen.
Result<void> lock_active_keys(Session& session);
/// No other key than this one signs any more; each verifies until `until`.
Result<std::int64_t> retire_other_keys(Session& session, std::string_view version, Timestamp until);
/// Forgets the private parts of keys that sign no more.
Result<std::int64_t> forget_retired_keys(Session& session);

struct StorageElement {
  std::int64_t id = 0;
  std::optional<std::string> element_id = {};
  std::string name, mode, storage_type, status;  ///< status: online, offline, maintenance, …
  std::int64_t priority = 100;
  std::string base_path, api_url;
  std::int64_t capacity_bytes = 0, used_bytes = 0, file_count = 0;
  std::optional<std::int64_t> retention_days = {};
  std::optional<Timestamp> last_health_check = {};
  std::optional<std::string> client_id = {};  ///< of the account that alone speaks for it
  Timestamp created_at, updated_at;
};

/// Returns it with its id.
Result<StorageElement> add_element(Session& session, const StorageElement& element);
Result<std::optional<StorageElement>> find_element(Session& session, std::int64_t id,
                                                   Intent intent = Intent::look);
Result<std::optional<StorageElement>> find_element_id(Session& session, std::string_view element,
                                                      Intent intent = Intent::look);
Result<std::optional<StorageElement>> find_element_url(Session& session, std::string_view url,
                                                       Intent intent = Intent::look);
/// By priority, then id.
Result<std::vector<StorageElement>> list_elements(Session& session);
Result<std::int64_t> store_element(Session& session, const StorageElement& element);
Result<std::int64_t> remove_element(Session& session, std::int64_t id);

struct AuditEntry {
  std::int64_t id = 0;
  Timestamp at;
  std::string actor_id, actor;  ///< who; empty when nobody was known
  std::string action, target;   ///< what, to what: "service_account.create", its id
  int status = 0;               ///< what was answered
  std::string request_id, peer, details;
};

struct AuditFilter {
  std::optional<std::string> actor = {}, action = {}, target = {}, request_id = {};
  std::optional<Timestamp> since = {}, until = {};
};

Result<void> add_audit(Session& session, const AuditEntry& entry);
/// The newest first.
Result<Listing<AuditEntry>> list_audit(Session& session, const AuditFilter& filter,
                                       const Page& page);
Result<std::int64_t> remove_audit_before(Session& session, Timestamp time);

}  // namespace artcache::admin
