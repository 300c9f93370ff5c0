// SPDX-License-Identifier: Apache-2.0
// How far the role is with each element, and what it could not apply.
#include <algorithm>

#include "roles/query/tables.hpp"

namespace artcache::query {
namespace {

std::optional<ContentHash> hash_at(Row& row) {
  const bool none = row.is_null();
  const sql::Bytes bytes = row.bytes();
  if (none) return std::nullopt;
  ContentHash hash;
  std::copy_n(bytes.begin(), std::min(bytes.size(), hash.bytes.size()), hash.bytes.begin());
  return hash;
}

BuriedLetter read_dead(Row row) {
  BuriedLetter out;
  out.element = row.text();
  out.letter.key = row.text();
  out.letter.seq = static_cast<std::uint64_t>(row.number());
  out.letter.hash = hash_at(row);
  out.letter.kept = hash_at(row);
  out.letter.reason = row.text();
  out.failed_at = row.time();
  out.dropped_at = row.maybe_time();
  return out;
}

std::optional<sql::Bytes> bytes_of(const std::optional<ContentHash>& hash) {
  return hash ? std::optional(sql::Bytes(hash->bytes)) : std::nullopt;
}

}  // namespace

Result<Standing> find_standing(Session& session, std::string_view element) {
  struct Texts {
    std::string position, digest;
    std::uint64_t files = 0;
  };
  const auto read = [](Row row) {
    return Texts{row.text(), row.text(), static_cast<std::uint64_t>(row.number())};
  };
  ARTCACHE_TRY(const auto texts,
               session.one("SELECT position, digest, files FROM file_metadata_sync "
                           "WHERE storage_element_id = $1",
                           read, element));
  Standing out;
  if (!texts) return out;
  ARTCACHE_TRY(out.source, parse_position(texts->position));
  ARTCACHE_TRY(out.digest, Digest::parse(texts->digest));
  out.count = texts->files;
  return out;
}

Result<Standing> lock_standing(Session& session, std::string_view element, Timestamp now) {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO file_metadata_sync(storage_element_id, position, digest, files, updated_at) "
      "VALUES($1, $2, $3, $4, $5) ON CONFLICT (storage_element_id) DO UPDATE SET "
      "updated_at = excluded.updated_at",
      element, to_string(Position()), to_string(Digest()), 0, now));
  return find_standing(session, element);
}

Result<void> store_standing(Session& session, std::string_view element, const Standing& standing,
                            Timestamp now) {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO file_metadata_sync(storage_element_id, position, digest, files, updated_at) "
      "VALUES($1, $2, $3, $4, $5) ON CONFLICT (storage_element_id) DO UPDATE SET "
      "position = excluded.position, digest = excluded.digest, files = excluded.files, "
      "updated_at = excluded.updated_at",
      element, to_string(standing.source), to_string(standing.digest), standing.count, now));
  return {};
}

Result<std::vector<BuriedLetter>> list_dead(Session& session, std::string_view element) {
  constexpr std::string_view kColumns =
      "SELECT storage_element_id, id, seq, content_hash, kept_hash, reason, failed_at, dropped_at "
      "FROM file_metadata_dead_letters ";
  if (element.empty())
    return session.all(std::string(kColumns) + "ORDER BY storage_element_id, id", read_dead);
  return session.all(std::string(kColumns) + "WHERE storage_element_id = $1 ORDER BY id", read_dead,
                     element);
}

Result<void> bury(Session& session, std::string_view element, const DeadLetter& letter,
                  Timestamp now) {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO file_metadata_dead_letters(storage_element_id, id, seq, content_hash, "
      "kept_hash, reason, failed_at) VALUES($1, $2, $3, $4, $5, $6, $7) "
      "ON CONFLICT (storage_element_id, id) DO UPDATE SET seq = excluded.seq, "
      "content_hash = excluded.content_hash, kept_hash = excluded.kept_hash, "
      "reason = excluded.reason, failed_at = excluded.failed_at, dropped_at = NULL",
      element, letter.key, letter.seq, bytes_of(letter.hash), bytes_of(letter.kept), letter.reason,
      now));
  return {};
}

Result<void> forget_dead(Session& session, std::string_view element,
                         std::span<const std::string> keys) {
  for (const std::string& key : keys)
    ARTCACHE_CHECK(
        session.run("DELETE FROM file_metadata_dead_letters "
                    "WHERE storage_element_id = $1 AND id = $2",
                    element, key));
  return {};
}

Result<bool> drop_dead(Session& session, std::string_view element, std::string_view key,
                       Timestamp now) {
  ARTCACHE_TRY(const std::int64_t changed,
               session.run("UPDATE file_metadata_dead_letters SET dropped_at = $1 "
                           "WHERE storage_element_id = $2 AND id = $3 AND dropped_at IS NULL",
                           now, element, key));
  return changed > 0;
}

}  // namespace artcache::query
