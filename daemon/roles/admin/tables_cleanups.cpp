// SPDX-License-Identifier: Apache-2.0
// The queue of files that are to be removed from their elements.
#include "roles/admin/tables_files.hpp"

namespace artcache::admin {
namespace {

constexpr std::string_view kCleanup =
    "SELECT id, file_id, storage_element_id, storage_path, cleanup_reason, priority, "
    "scheduled_at, next_attempt_at, attempted_at, processed_at, error_message, retry_count "
    "FROM file_cleanup_queue ";

std::string text_of(std::string_view rest) { return std::string(kCleanup).append(rest); }

Cleanup read_cleanup(Row row) {
  Cleanup out;
  out.id = row.number();
  out.file_id = row.text();
  out.element = row.text();
  out.path = row.text();
  out.reason = row.text();
  out.priority = row.number();
  out.scheduled_at = row.time();
  out.next_attempt_at = row.time();
  out.attempted_at = row.maybe_time();
  out.processed_at = row.maybe_time();
  out.error = row.maybe_text();
  out.retries = row.number();
  return out;
}

std::string_view where_of(CleanupState state) {
  if (state == CleanupState::pending) return "AND processed_at IS NULL ";
  return state == CleanupState::processed ? "AND processed_at IS NOT NULL " : "";
}

}  // namespace

Result<std::vector<Cleanup>> due_cleanups(Session& session, Timestamp now, std::int64_t most) {
  return session.all(text_of("WHERE processed_at IS NULL AND next_attempt_at <= $1 "
                             "ORDER BY priority, next_attempt_at, id LIMIT $2"),
                     read_cleanup, now, most);
}

Result<bool> begin_cleanup(Session& session, std::int64_t id, Timestamp now) {
  ARTCACHE_TRY(const auto begun, session.run("UPDATE file_cleanup_queue SET attempted_at = $1 "
                                             "WHERE id = $2 AND processed_at IS NULL",
                                             now, id));
  return begun > 0;
}

Result<void> store_cleanup(Session& session, const Cleanup& c) {
  ARTCACHE_CHECK(
      session.run("UPDATE file_cleanup_queue SET next_attempt_at = $1, processed_at = $2, "
                  "error_message = $3, retry_count = $4 WHERE id = $5 AND processed_at IS NULL",
                  c.next_attempt_at, c.processed_at, c.error, c.retries, c.id));
  return {};
}

Result<std::int64_t> postpone_cleanups(Session& session, std::string_view element,
                                       std::string_view error, Timestamp now, Timestamp next) {
  return session.run(
      "UPDATE file_cleanup_queue SET next_attempt_at = $1, error_message = $2, "
      "retry_count = retry_count + 1 WHERE storage_element_id = $3 AND processed_at IS NULL "
      "AND next_attempt_at <= $4",
      next, error, element, now);
}

Result<Listing<Cleanup>> list_cleanups(Session& session, CleanupState state,
                                       const std::optional<std::string>& file, const Page& page) {
  Listing<Cleanup> out;
  const std::string where = "WHERE ($1 = '' OR file_id = $1) " + std::string(where_of(state));
  const std::string id = file.value_or("");
  ARTCACHE_TRY(out.items, session.all(text_of(where + "ORDER BY id DESC LIMIT $2 OFFSET $3"),
                                      read_cleanup, id, page.limit, page.skip));
  ARTCACHE_TRY(out.total, session.count("SELECT count(*) FROM file_cleanup_queue " + where, id));
  return out;
}

Result<std::optional<Cleanup>> hurry_cleanup(Session& session, std::int64_t id, Timestamp now) {
  ARTCACHE_CHECK(
      session.run("UPDATE file_cleanup_queue SET next_attempt_at = $1 "
                  "WHERE id = $2 AND processed_at IS NULL",
                  now, id));
  return session.one(text_of("WHERE id = $1"), read_cleanup, id);
}

Result<std::int64_t> count_pending(Session& session) {
  return session.count("SELECT count(*) FROM file_cleanup_queue WHERE processed_at IS NULL");
}

}  // namespace artcache::admin
