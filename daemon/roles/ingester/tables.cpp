// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/tables.hpp"

#include <utility>

namespace artcache::ingester {
namespace {

using db::Row;
using db::Session;

constexpr std::string_view kFinalizes =
    "SELECT id, file_id, source, target, status, attempts, verified, error, description, "
    "metadata, requested_by, created_at, completed_at, cleanup_at, base "
    "FROM ingester_finalizes ";

std::string finalizes(std::string_view rest) { return std::string(kFinalizes).append(rest); }

FileId file_of(const std::string& text) { return FileId::parse(text).value_or(FileId()); }

Finalize read_finalize(Row row) {
  Finalize out;
  out.id = row.text();
  out.file = file_of(row.text());
  out.source = row.text();
  out.target = row.text();
  out.state.status = parse_finalize_status(row.text()).value_or(FinalizeStatus::failed);
  out.state.attempts = static_cast<std::uint32_t>(row.number());
  out.state.checksum_verified = row.flag();
  out.state.error = row.text();
  out.description = row.maybe_text();
  out.metadata = row.maybe_text();
  out.requested_by = row.text();
  out.created_at = row.time();
  out.completed_at = row.maybe_time();
  out.cleanup_at = row.maybe_time();
  if (auto base = row.maybe_text()) {
    JsonObject said(*std::move(base));
    out.base = read_editable(said);
  }
  return out;
}

std::optional<std::string> base_of(const Finalize& finalize) {
  return finalize.base ? std::optional(to_json(*finalize.base)) : std::nullopt;
}

constexpr std::string_view kCleanups =
    "SELECT file_id, element, keeper, reason, attempts, due_at FROM ingester_cleanups ";

std::string cleanups(std::string_view rest) { return std::string(kCleanups).append(rest); }

Cleanup read_cleanup(Row row) {
  Cleanup out;
  out.file = file_of(row.text());
  out.element = row.text();
  out.keeper = row.text();
  out.reason = row.text();
  out.attempts = static_cast<std::uint32_t>(row.number());
  out.due_at = row.time();
  return out;
}

}  // namespace

Result<void> add_finalize(Session& session, const Finalize& f) {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO ingester_finalizes(id, file_id, source, target, status, attempts, verified, "
      "error, description, metadata, requested_by, created_at, completed_at, cleanup_at, "
      "base) "
      "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
      f.id, to_string(f.file), f.source, f.target, to_string(f.state.status), f.state.attempts,
      f.state.checksum_verified, f.state.error, f.description, f.metadata, f.requested_by,
      f.created_at, f.completed_at, f.cleanup_at, base_of(f)));
  return {};
}

Result<std::optional<Finalize>> find_finalize(Session& session, std::string_view id) {
  return session.one(finalizes("WHERE id = $1"), read_finalize, id);
}

Result<std::optional<Finalize>> last_finalize(Session& session, const FileId& file) {
  return session.one(finalizes("WHERE file_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1"),
                     read_finalize, to_string(file));
}

Result<std::optional<Finalize>> last_finalize(Session& session, const FileId& file,
                                              std::string_view source, std::string_view target) {
  return session.one(finalizes("WHERE file_id = $1 AND source = $2 AND target = $3 "
                               "ORDER BY created_at DESC, id DESC LIMIT 1"),
                     read_finalize, to_string(file), source, target);
}

Result<std::vector<Finalize>> running_finalizes(Session& session) {
  return session.all(
      finalizes("WHERE status IN ('copying', 'copied', 'verifying') ORDER BY created_at, id"),
      read_finalize);
}

Result<std::int64_t> store_finalize(Session& session, const Finalize& f) {
  return session.run(
      "UPDATE ingester_finalizes SET status = $1, attempts = $2, verified = $3, error = $4, "
      "completed_at = $5, cleanup_at = $6, base = $7 "
      "WHERE id = $8 AND status NOT IN ('completed', 'failed')",
      to_string(f.state.status), f.state.attempts, f.state.checksum_verified, f.state.error,
      f.completed_at, f.cleanup_at, base_of(f), f.id);
}

Result<void> store_base(Session& session, const Finalize& f) {
  ARTCACHE_CHECK(
      session.run("UPDATE ingester_finalizes SET base = $1 WHERE id = $2", base_of(f), f.id));
  return {};
}

Result<std::int64_t> remove_finalizes_before(Session& session, Timestamp time, std::int64_t most) {
  return session.run(
      "DELETE FROM ingester_finalizes WHERE id IN ("
      "SELECT id FROM ingester_finalizes WHERE completed_at < $1 "
      "AND status IN ('completed', 'failed') AND NOT EXISTS (SELECT 1 FROM ingester_cleanups "
      "WHERE ingester_cleanups.file_id = ingester_finalizes.file_id) "
      "ORDER BY completed_at LIMIT $2)",
      time, most);
}

Result<void> add_cleanup(Session& session, const Cleanup& c) {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO ingester_cleanups(file_id, element, keeper, reason, attempts, due_at) "
      "VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT(file_id, element) DO UPDATE SET "
      "keeper = excluded.keeper, reason = excluded.reason, attempts = excluded.attempts, "
      "due_at = excluded.due_at",
      to_string(c.file), c.element, c.keeper, c.reason, c.attempts, c.due_at));
  return {};
}

Result<std::optional<Cleanup>> find_cleanup(Session& session, const FileId& file,
                                            std::string_view element) {
  return session.one(cleanups("WHERE file_id = $1 AND element = $2"), read_cleanup, to_string(file),
                     element);
}

Result<std::vector<Cleanup>> due_cleanups(Session& session, Timestamp now, std::int64_t most) {
  return session.all(cleanups("WHERE due_at <= $1 ORDER BY due_at, file_id LIMIT $2"), read_cleanup,
                     now, most);
}

Result<std::vector<std::string>> cleaned_elements(Session& session, const FileId& file) {
  return session.all(
      "SELECT element FROM ingester_cleanups WHERE file_id = $1",
      [](Row row) { return row.text(); }, to_string(file));
}

Result<void> remove_cleanup(Session& session, const Cleanup& cleanup) {
  ARTCACHE_CHECK(session.run(
      "DELETE FROM ingester_cleanups WHERE file_id = $1 AND element = $2 AND keeper = $3 "
      "AND reason = $4 AND attempts = $5 AND due_at = $6",
      to_string(cleanup.file), cleanup.element, cleanup.keeper, cleanup.reason, cleanup.attempts,
      cleanup.due_at));
  return {};
}

Result<void> postpone_cleanup(Session& session, const Cleanup& cleanup, const Cleanup& later) {
  ARTCACHE_CHECK(session.run(
      "UPDATE ingester_cleanups SET reason = $1, attempts = $2, due_at = $3 "
      "WHERE file_id = $4 AND element = $5 AND keeper = $6 AND reason = $7 AND attempts = $8 "
      "AND due_at = $9",
      later.reason, later.attempts, later.due_at, to_string(cleanup.file), cleanup.element,
      cleanup.keeper, cleanup.reason, cleanup.attempts, cleanup.due_at));
  return {};
}

Result<std::int64_t> count_cleanups_tried(Session& session, std::uint32_t attempts_least) {
  return session.count("SELECT count(*) FROM ingester_cleanups WHERE attempts >= $1",
                       attempts_least);
}

Result<std::int64_t> count_cleanups(Session& session) {
  return session.count("SELECT count(*) FROM ingester_cleanups");
}

}  // namespace artcache::ingester
