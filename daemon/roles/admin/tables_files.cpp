// SPDX-License-Identifier: Apache-2.0
// The registry of files. Row by row, in both engines: the admin follows uploads, not a search.
#include "roles/admin/tables_files.hpp"

#include <algorithm>
#include <artcache/content.hpp>
#include <utility>

namespace artcache::admin {
namespace {

using replica::Held;
using replica::Owner;

constexpr std::string_view kColumns =
    "f.content, f.content_hash, f.storage_element_id, f.deleted_at, f.deletion_reason, "
    "f.deleted_by";

std::int64_t rank_of(const FileEntry& entry) {
  if (entry.retention_policy == "permanent") return 0;
  return entry.retention_policy == "temporary" ? 2 : 1;
}

Result<RegisteredFile> read_file(Row& row) {
  RegisteredFile out;
  const sql::Bytes content = row.bytes();
  ARTCACHE_TRY(out.entry,
               parse_content({reinterpret_cast<const char*>(content.data()), content.size()}));
  out.gone = row.is_null();
  row.bytes();
  out.element = row.text();
  out.deleted_at = row.maybe_time();
  out.deletion_reason = row.maybe_text();
  out.deleted_by = row.maybe_text();
  return out;
}

/// The mark of a file that was gone stays with it: its element may merely have been emptied and
/// rebuilt. Another file with its id has none.
Result<void> put_row(Session& session, const Owner& owner, const PreparedEntry& file) {
  const FileEntry& e = file.entry;
  const sql::Bytes content(reinterpret_cast<const std::uint8_t*>(file.content.data()),
                           file.content.size());
  static const std::string another =
      "files.content_hash IS NULL AND (files.created_at <> excluded.created_at "
      "OR files.checksum_sha256 <> excluded.checksum_sha256)";
  ARTCACHE_CHECK(session.run(
      "INSERT INTO files(file_id, storage_element_id, original_filename, storage_filename, "
      "storage_path, file_size, checksum_sha256, content_type, description, retention_policy, "
      "ttl_days, ttl_expires_at, uploaded_by, created_at, updated_at, rank, content, content_hash) "
      "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) "
      "ON CONFLICT (storage_element_id, file_id) DO UPDATE SET "
      "original_filename = excluded.original_filename, "
      "storage_filename = excluded.storage_filename, storage_path = excluded.storage_path, "
      "file_size = excluded.file_size, checksum_sha256 = excluded.checksum_sha256, "
      "content_type = excluded.content_type, description = excluded.description, "
      "retention_policy = excluded.retention_policy, ttl_days = excluded.ttl_days, "
      "ttl_expires_at = excluded.ttl_expires_at, uploaded_by = excluded.uploaded_by, "
      "created_at = excluded.created_at, updated_at = excluded.updated_at, rank = excluded.rank, "
      "deleted_at = CASE WHEN " +
          another + " THEN NULL ELSE files.deleted_at END, deletion_reason = CASE WHEN " + another +
          " THEN NULL ELSE files.deletion_reason END, deleted_by = CASE WHEN " + another +
          " THEN NULL ELSE files.deleted_by END, "
          "content = excluded.content, content_hash = excluded.content_hash",
      to_string(e.id), owner.element, e.original_filename, e.storage_filename, e.storage_path,
      e.file_size, to_string(e.checksum), e.content_type, e.description, e.retention_policy,
      e.ttl_days, e.retention_expires_at, e.created_by_id, e.created_at, e.updated_at, rank_of(e),
      content, sql::Bytes(file.hash.bytes)));
  return {};
}

Result<void> queue_cleanup(Session& session, const std::string& file, const std::string& element,
                           const std::string& path, const Deletion& deletion, Timestamp due) {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO file_cleanup_queue(file_id, storage_element_id, storage_path, scheduled_at, "
      "priority, cleanup_reason, next_attempt_at, retry_count) "
      "VALUES($1, $2, $3, $4, $5, $6, $7, $8)",
      file, element, path, deletion.at, 100, deletion.reason, due, 0));
  return {};
}

Deletion read_deletion(Row row) {
  Deletion out{.at = row.time(), .reason = row.text(), .by = row.text()};
  return out;
}

Result<std::optional<Deletion>> mark_here(Session& session, const std::string& file,
                                          const std::string& element) {
  return session.one(
      "SELECT deleted_at, deletion_reason, deleted_by FROM files WHERE storage_element_id = $1 "
      "AND file_id = $2 AND deleted_at IS NOT NULL",
      read_deletion, element, file);
}

Result<std::optional<Deletion>> mark_elsewhere(Session& session, const std::string& file,
                                               const std::string& element) {
  return session.one(
      "SELECT deleted_at, deletion_reason, deleted_by FROM files WHERE file_id = $1 "
      "AND storage_element_id <> $2 AND deleted_at IS NOT NULL LIMIT 1",
      read_deletion, file, element);
}

/// False when somebody else has marked it.
Result<bool> mark(Session& session, const std::string& file, const std::string& element,
                  const Deletion& deletion) {
  ARTCACHE_TRY(const auto marked,
               session.run("UPDATE files SET deleted_at = $1, deletion_reason = $2, "
                           "deleted_by = $3 WHERE storage_element_id = $4 AND file_id = $5 "
                           "AND deleted_at IS NULL",
                           deletion.at, deletion.reason, deletion.by, element, file));
  return marked > 0;
}

}  // namespace

// --- As a replica -------------------------------------------------------------------------------

Result<std::vector<Held>> FileTables::find_held(Session& session, std::string_view element,
                                                std::span<const std::string> keys) const {
  std::vector<Held> out;
  for (const std::string& key : keys) {
    const auto read = [&](Row row) {
      return Held{.key = key, .hash = replica::hash_of(row.bytes())};
    };
    ARTCACHE_TRY(auto held,
                 session.one("SELECT content_hash FROM files WHERE storage_element_id = $1 "
                             "AND file_id = $2 AND content_hash IS NOT NULL",
                             read, element, key));
    if (held) out.push_back(*std::move(held));
  }
  std::ranges::sort(out, {}, &Held::key);
  return out;
}

Result<void> FileTables::put_files(Session& session, const Owner& owner,
                                   std::span<const PreparedEntry> files, std::span<const Held> held,
                                   Timestamp now) const {
  ARTCACHE_TRY(const auto marks, session.count("SELECT count(*) FROM (SELECT 1 FROM files "
                                               "WHERE deleted_at IS NOT NULL LIMIT 1) AS found"));
  std::int64_t back = 0;
  for (const PreparedEntry& file : files) {
    ARTCACHE_CHECK(put_row(session, owner, file));
    const std::string id = to_string(file.entry.id);
    if (marks == 0 || std::ranges::binary_search(held, id, {}, &Held::key)) continue;
    ARTCACHE_TRY(auto deletion, mark_here(session, id, owner.element));
    if (!deletion) {
      ARTCACHE_TRY(deletion, mark_elsewhere(session, id, owner.element));
      if (!deletion) continue;
      ARTCACHE_TRY(const bool marked, mark(session, id, owner.element, *deletion));
      if (!marked) continue;
    }
    ARTCACHE_CHECK(queue_cleanup(session, id, owner.element, file.entry.data_path(), *deletion,
                                 now + std::chrono::microseconds(delay_)));
    ++back;
  }
  if (back > 0) tell_back(owner.element, back);
  return {};
}

void FileTables::tell_back(std::string_view element, std::int64_t files) const {
  const LogField fields[]{
      {"storage_element_id", element},
      {"files", files},
      {"removed_in_seconds", std::chrono::duration_cast<std::chrono::seconds>(delay_).count()}};
  deps_.logger->log({.level = LogLevel::warning,
                     .logger = "file_registry",
                     .message = "Deleted files have turned up; they are removed unless restored",
                     .fields = fields,
                     .request_id = {}});
}

Result<void> FileTables::remove_files(Session& session, std::string_view element,
                                      std::span<const std::string> keys,
                                      std::span<const Held>) const {
  const Timestamp now = deps_.clock->now();
  for (const std::string& key : keys) {
    ARTCACHE_CHECK(
        session.run("DELETE FROM files WHERE storage_element_id = $1 AND file_id = $2 "
                    "AND deleted_at IS NULL",
                    element, key));
    ARTCACHE_CHECK(
        session.run("UPDATE files SET content_hash = NULL, rank = 3 "
                    "WHERE storage_element_id = $1 AND file_id = $2",
                    element, key));
    // However it went: nobody has to remove it any more.
    ARTCACHE_CHECK(
        session.run("UPDATE file_cleanup_queue SET processed_at = $1, error_message = NULL "
                    "WHERE file_id = $2 AND storage_element_id = $3 AND processed_at IS NULL",
                    now, key, element));
  }
  return {};
}

Result<std::vector<std::string>> FileTables::first_keys(Session& session, std::string_view element,
                                                        std::size_t most) const {
  return session.all(
      "SELECT file_id FROM files WHERE storage_element_id = $1 AND content_hash IS NOT NULL "
      "AND deleted_at IS NULL ORDER BY file_id LIMIT $2",
      [](Row row) { return row.text(); }, element, most);
}

Result<void> FileTables::scan_files(
    Session& session, std::string_view element,
    const std::function<void(std::string_view, const ContentHash&)>& visit) const {
  return replica::scan_by_key(
      session,
      "SELECT file_id, content_hash FROM files WHERE storage_element_id = $1 "
      "AND file_id > $2 AND content_hash IS NOT NULL ORDER BY file_id LIMIT $3",
      element, visit);
}

// --- Reading ------------------------------------------------------------------------------------

Result<std::vector<RegisteredFile>> find_copies(Session& session, const FileId& id) {
  std::vector<RegisteredFile> out;
  const auto add = [&](Row row) -> Result<void> {
    ARTCACHE_TRY(auto file, read_file(row));
    out.push_back(std::move(file));
    return {};
  };
  ARTCACHE_CHECK(session.each("SELECT " + std::string(kColumns) +
                                  " FROM files f WHERE f.file_id = $1 "
                                  "ORDER BY f.rank, f.updated_at DESC, f.storage_element_id",
                              add, to_string(id)));
  return out;
}

namespace {

std::string pattern_of(const std::optional<std::string>& part) {
  std::string out = "%";
  for (const char c : part.value_or("")) {
    if (c == '%' || c == '_' || c == '!') out.push_back('!');
    out.push_back(c);
  }
  return part && !part->empty() ? out + "%" : out;
}

std::string where_of(const FileFilter& filter) {
  std::string out =
      " FROM files f WHERE ($1 = '' OR f.retention_policy = $1) AND "
      "($2 = '' OR f.storage_element_id = $2) AND ($3 = '' OR f.uploaded_by = $3) AND "
      "lower(f.original_filename) LIKE lower($4) ESCAPE '!'";
  if (filter.deleted == Deleted::leave_out) out += " AND f.deleted_at IS NULL";
  if (!filter.element)
    out +=
        " AND NOT EXISTS (SELECT 1 FROM files g WHERE g.file_id = f.file_id AND (g.rank < f.rank "
        "OR (g.rank = f.rank AND (g.updated_at > f.updated_at OR (g.updated_at = f.updated_at "
        "AND g.storage_element_id < f.storage_element_id)))))";
  return out;
}

}  // namespace

Result<Listing<RegisteredFile>> list_files(Session& session, const FileFilter& filter,
                                           const Page& page) {
  Listing<RegisteredFile> out;
  const std::string policy = filter.retention_policy.value_or("");
  const std::string element = filter.element.value_or("");
  const std::string uploader = filter.uploaded_by.value_or(""), name = pattern_of(filter.name);
  const std::string where = where_of(filter);
  const auto add = [&](Row row) -> Result<void> {
    ARTCACHE_TRY(auto file, read_file(row));
    out.items.push_back(std::move(file));
    return {};
  };
  ARTCACHE_CHECK(session.each(
      "SELECT " + std::string(kColumns) + where +
          " ORDER BY f.created_at DESC, f.file_id DESC, f.storage_element_id LIMIT $5 OFFSET $6",
      add, policy, element, uploader, name, page.limit, page.skip));
  ARTCACHE_TRY(out.total,
               session.count("SELECT count(*) FROM (SELECT 1" + where + " LIMIT $5) AS counted",
                             policy, element, uploader, name, kFilesCounted));
  return out;
}

// --- Deletion -----------------------------------------------------------------------------------

Result<std::int64_t> delete_file(Session& session, const FileId& id, const Deletion& deletion,
                                 Timestamp due) {
  ARTCACHE_TRY(const auto copies, find_copies(session, id));
  const std::string file = to_string(id);
  std::int64_t marked = 0;
  for (const RegisteredFile& copy : copies) {
    if (copy.deleted_at) continue;
    // Only who marks it puts it into the queue: nobody may do so twice.
    ARTCACHE_TRY(const bool mine, mark(session, file, copy.element, deletion));
    if (!mine) continue;
    ARTCACHE_CHECK(
        queue_cleanup(session, file, copy.element, copy.entry.data_path(), deletion, due));
    ++marked;
  }
  return marked;
}

Result<void> restore_file(Session& session, const FileId& id) {
  const std::string file = to_string(id);
  // One statement, so that it and the beginning of a removal cannot both win.
  ARTCACHE_TRY(const auto spared, session.run("DELETE FROM file_cleanup_queue WHERE file_id = $1 "
                                              "AND processed_at IS NULL AND attempted_at IS NULL",
                                              file));
  ARTCACHE_TRY(const auto restored,
               session.run("UPDATE files SET deleted_at = NULL, deletion_reason = NULL, "
                           "deleted_by = NULL WHERE file_id = $1 AND deleted_at IS NOT NULL",
                           file));
  if (spared != restored || restored == 0)
    return Error{Errc::conflict, "the removal of the file has begun"};
  return {};
}

Result<void> forget_deleted(Session& session, Timestamp time) {
  ARTCACHE_CHECK(session.run("DELETE FROM file_cleanup_queue WHERE processed_at < $1", time));
  ARTCACHE_CHECK(
      session.run("DELETE FROM files WHERE deleted_at < $1 AND content_hash IS NULL", time));
  return {};
}

}  // namespace artcache::admin
