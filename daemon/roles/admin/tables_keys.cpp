// SPDX-License-Identifier: Apache-2.0
// Signing keys and the audit trail.
#include "roles/admin/tables.hpp"

namespace artcache::admin {
namespace {

JwtKey read_key(Row row) {
  JwtKey out;
  out.version = row.text();
  out.key_id = row.text();
  out.private_key = row.text();
  out.public_key = row.text();
  out.created_at = row.time();
  out.expires_at = row.time();
  out.is_active = row.flag();
  out.rotation_count = row.number();
  return out;
}

AuditEntry read_audit(Row row) {
  AuditEntry out;
  out.id = row.number();
  out.at = row.time();
  out.actor_id = row.text();
  out.actor = row.text();
  out.action = row.text();
  out.target = row.text();
  out.status = static_cast<int>(row.number());
  out.request_id = row.text();
  out.peer = row.text();
  out.details = row.text();
  return out;
}

// An empty text asks for nothing.
constexpr std::string_view kAuditWhere =
    " FROM audit_log WHERE ($1 = '' OR actor = $1 OR actor_id = $1) "
    "AND ($2 = '' OR action = $2) AND ($3 = '' OR target = $3) "
    "AND ($4 = '' OR request_id = $4) AND at >= $5 AND at < $6 ";

}  // namespace

Result<void> add_key(Session& session, const JwtKey& key) {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO jwt_keys(version, key_id, private_key, public_key, algorithm, created_at, "
      "expires_at, is_active, rotation_count) VALUES($1, $2, $3, $4, 'RS256', $5, $6, $7, $8)",
      key.version, key.key_id, key.private_key, key.public_key, key.created_at, key.expires_at,
      key.is_active, key.rotation_count));
  return {};
}

Result<std::vector<JwtKey>> list_keys(Session& session) {
  return session.all(
      "SELECT version, key_id, private_key, public_key, created_at, expires_at, is_active, "
      "rotation_count FROM jwt_keys ORDER BY created_at DESC, version",
      read_key);
}

Result<void> lock_active_keys(Session& session) {
  ARTCACHE_CHECK(session.run("UPDATE jwt_keys SET is_active = $1 WHERE is_active = $1", true));
  return {};
}

Result<std::int64_t> retire_other_keys(Session& session, std::string_view version,
                                       Timestamp until) {
  return session.run(
      "UPDATE jwt_keys SET is_active = $1, expires_at = $2 WHERE is_active = $3 AND version <> $4",
      false, until, true, version);
}

Result<std::int64_t> forget_retired_keys(Session& session) {
  return session.run("UPDATE jwt_keys SET private_key = '' WHERE is_active = $1", false);
}

Result<void> add_audit(Session& session, const AuditEntry& e) {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO audit_log(at, actor_id, actor, action, target, status, request_id, peer, "
      "details) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)",
      e.at, e.actor_id, e.actor, e.action, e.target, e.status, e.request_id, e.peer, e.details));
  return {};
}

Result<Listing<AuditEntry>> list_audit(Session& session, const AuditFilter& filter,
                                       const Page& page) {
  Listing<AuditEntry> out;
  const std::string actor = filter.actor.value_or(""), action = filter.action.value_or("");
  const std::string target = filter.target.value_or(""), request = filter.request_id.value_or("");
  const Timestamp since = filter.since.value_or(Timestamp::min());
  const Timestamp until = filter.until.value_or(Timestamp::max());
  const std::string where(kAuditWhere);
  ARTCACHE_TRY(
      out.items,
      session.all("SELECT id, at, actor_id, actor, action, target, status, request_id, "
                  "peer, details" +
                      where + "ORDER BY id DESC LIMIT $7 OFFSET $8",
                  read_audit, actor, action, target, request, since, until, page.limit, page.skip));
  ARTCACHE_TRY(out.total, session.count("SELECT count(*)" + where, actor, action, target, request,
                                        since, until));
  return out;
}

Result<std::int64_t> remove_audit_before(Session& session, Timestamp time) {
  return session.run("DELETE FROM audit_log WHERE at < $1", time);
}

}  // namespace artcache::admin
