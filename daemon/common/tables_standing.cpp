// SPDX-License-Identifier: Apache-2.0
// How far a role is with each element, and what it could not apply.
#include <algorithm>

#include "common/replica_tables.hpp"

namespace artcache::replica {
namespace {

using db::Row;

constexpr std::int64_t kScanAtOnce = 10'000;

std::optional<ContentHash> hash_at(Row& row) {
  const bool none = row.is_null();
  const sql::Bytes bytes = row.bytes();
  if (none) return std::nullopt;
  return hash_of(bytes);
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
  out.letter.dropped = out.dropped_at.has_value();
  return out;
}

std::optional<sql::Bytes> bytes_of(const std::optional<ContentHash>& hash) {
  return hash ? std::optional(sql::Bytes(hash->bytes)) : std::nullopt;
}

}  // namespace

ContentHash hash_of(sql::Bytes bytes) {
  ContentHash hash;
  std::copy_n(bytes.begin(), std::min(bytes.size(), hash.bytes.size()), hash.bytes.begin());
  return hash;
}

Result<void> scan_by_key(Session& session, std::string_view text, std::string_view element,
                         const std::function<void(std::string_view, const ContentHash&)>& visit) {
  std::string last;
  std::int64_t read = kScanAtOnce;
  while (read == kScanAtOnce) {
    read = 0;
    std::string next;
    const auto see = [&](Row row) -> Result<void> {
      next = row.text();
      visit(next, hash_of(row.bytes()));
      ++read;
      return {};
    };
    ARTCACHE_CHECK(session.each(text, see, element, last, kScanAtOnce));
    last = std::move(next);
  }
  return {};
}

Result<Standing> Standings::find(Session& session, std::string_view element) const {
  struct Texts {
    std::string position, digest;
    std::uint64_t files = 0;
  };
  const auto read = [](Row row) {
    return Texts{row.text(), row.text(), static_cast<std::uint64_t>(row.number())};
  };
  ARTCACHE_TRY(const auto texts,
               session.one("SELECT position, digest, files FROM " + std::string(standing_) +
                               " WHERE storage_element_id = $1",
                           read, element));
  Standing out;
  if (!texts) return out;
  ARTCACHE_TRY(out.source, parse_position(texts->position));
  ARTCACHE_TRY(out.digest, Digest::parse(texts->digest));
  out.count = texts->files;
  return out;
}

Result<std::vector<Followed>> Standings::list(Session& session) const {
  const auto read = [](Row row) {
    Followed out{.element = row.text(), .position = {}};
    if (const auto position = parse_position(row.text())) out.position = *position;
    out.dead_letters = static_cast<std::size_t>(row.number());
    return out;
  };
  return session.all("SELECT storage_element_id, position, (SELECT count(*) FROM " +
                         std::string(dead_) +
                         " d WHERE d.storage_element_id = s.storage_element_id AND "
                         "d.dropped_at IS NULL) FROM " +
                         std::string(standing_) + " s ORDER BY storage_element_id",
                     read);
}

Result<Standing> Standings::lock(Session& session, std::string_view element, Timestamp now) const {
  ARTCACHE_CHECK(
      session.run("INSERT INTO " + std::string(standing_) +
                      "(storage_element_id, position, digest, files, updated_at) "
                      "VALUES($1, $2, $3, $4, $5) ON CONFLICT (storage_element_id) DO UPDATE SET "
                      "updated_at = excluded.updated_at",
                  element, to_string(Position()), to_string(Digest()), 0, now));
  return find(session, element);
}

Result<void> Standings::store(Session& session, std::string_view element, const Standing& standing,
                              Timestamp now) const {
  ARTCACHE_CHECK(session.run(
      "INSERT INTO " + std::string(standing_) +
          "(storage_element_id, position, digest, files, updated_at) "
          "VALUES($1, $2, $3, $4, $5) ON CONFLICT (storage_element_id) DO UPDATE SET "
          "position = excluded.position, digest = excluded.digest, files = excluded.files, "
          "updated_at = excluded.updated_at",
      element, to_string(standing.source), to_string(standing.digest), standing.count, now));
  return {};
}

Result<std::vector<BuriedLetter>> Standings::list_dead(Session& session,
                                                       std::string_view element) const {
  const std::string columns =
      "SELECT storage_element_id, id, seq, content_hash, kept_hash, reason, failed_at, dropped_at "
      "FROM " +
      std::string(dead_);
  if (element.empty()) return session.all(columns + " ORDER BY storage_element_id, id", read_dead);
  return session.all(columns + " WHERE storage_element_id = $1 ORDER BY id", read_dead, element);
}

Result<void> Standings::bury(Session& session, std::string_view element, const DeadLetter& letter,
                             Timestamp now) const {
  ARTCACHE_CHECK(
      session.run("INSERT INTO " + std::string(dead_) +
                      "(storage_element_id, id, seq, content_hash, "
                      "kept_hash, reason, failed_at) VALUES($1, $2, $3, $4, $5, $6, $7) "
                      "ON CONFLICT (storage_element_id, id) DO UPDATE SET seq = excluded.seq, "
                      "content_hash = excluded.content_hash, kept_hash = excluded.kept_hash, "
                      "reason = excluded.reason, failed_at = excluded.failed_at, dropped_at = NULL",
                  element, letter.key, letter.seq, bytes_of(letter.hash), bytes_of(letter.kept),
                  letter.reason, now));
  return {};
}

Result<void> Standings::keep_dead(Session& session, std::string_view element,
                                  const DeadLetter& letter) const {
  ARTCACHE_CHECK(session.run("UPDATE " + std::string(dead_) +
                                 " SET kept_hash = $1, reason = $2 "
                                 "WHERE storage_element_id = $3 AND id = $4",
                             bytes_of(letter.kept), letter.reason, element, letter.key));
  return {};
}

Result<void> Standings::forget_dead(Session& session, std::string_view element,
                                    std::span<const std::string> keys) const {
  for (const std::string& key : keys)
    ARTCACHE_CHECK(session.run(
        "DELETE FROM " + std::string(dead_) + " WHERE storage_element_id = $1 AND id = $2", element,
        key));
  return {};
}

Result<bool> Standings::drop_dead(Session& session, std::string_view element, std::string_view key,
                                  Timestamp now) const {
  ARTCACHE_TRY(const std::int64_t changed,
               session.run("UPDATE " + std::string(dead_) +
                               " SET dropped_at = $1 "
                               "WHERE storage_element_id = $2 AND id = $3 AND dropped_at IS NULL",
                           now, element, key));
  return changed > 0;
}

Result<void> Standings::forget(Session& session, std::string_view element) const {
  for (const std::string_view table : {dead_, standing_})
    ARTCACHE_CHECK(session.run(
        "DELETE FROM " + std::string(table) + " WHERE storage_element_id = $1", element));
  return {};
}

}  // namespace artcache::replica
