// SPDX-License-Identifier: Apache-2.0
// Files in SQLite: a row and its words, one after the other. A statement costs microseconds there.
#include <algorithm>
#include <artcache/json_writer.hpp>

#include "roles/query/engines.hpp"

namespace artcache::query::sqlite {
namespace {

constexpr std::string_view kInsert =
    "INSERT INTO file_metadata_cache(id, filename, storage_filename, file_size, mime_type, "
    "sha256_hash, username, tags, description, storage_element_id, storage_element_url, "
    "created_at, updated_at, cache_updated_at, retention_policy, content, content_hash) "
    "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) "
    "RETURNING entry";
constexpr std::string_view kUpdate =
    "UPDATE file_metadata_cache SET id = $1, filename = $2, storage_filename = $3, "
    "file_size = $4, mime_type = $5, sha256_hash = $6, username = $7, tags = $8, "
    "description = $9, storage_element_id = $10, storage_element_url = $11, created_at = $12, "
    "updated_at = $13, cache_updated_at = $14, retention_policy = $15, content = $16, "
    "content_hash = $17 WHERE entry = $18 RETURNING entry";
constexpr std::string_view kAddWords =
    "INSERT INTO file_metadata_words(rowid, name, tags, rest) VALUES($1, $2, $3, $4)";
constexpr std::string_view kForgetWords =
    "INSERT INTO file_metadata_words(file_metadata_words, rowid, name, tags, rest) "
    "VALUES('delete', $1, $2, $3, $4)";

sql::Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// A JSON array, as json_each() takes it.
std::optional<std::string> tags_text(const FileEntry& entry) {
  if (entry.tags.empty()) return std::nullopt;
  JsonWriter json;
  json.begin_array();
  for (const std::string& tag : entry.tags) json.value(tag);
  json.end_array();
  return std::move(json).str();
}

/// Words are taken away by being named once more.
Result<void> forget_words(Session& session, const Held& held) {
  ARTCACHE_TRY(const FileEntry old, parse_content(held.content));
  const SearchTokens tokens = search_tokens(old);
  ARTCACHE_CHECK(session.run(kForgetWords, held.entry, tokens.name, tokens.tags, tokens.rest));
  return {};
}

Result<std::int64_t> put_row(Session& session, const Owner& owner, const PreparedEntry& file,
                             const Held* held, Timestamp now) {
  const FileEntry& e = file.entry;
  const auto write = [&](std::string_view text, const auto&... more) {
    return session.one(
        text, [](Row row) { return row.number(); }, to_string(e.id), e.original_filename,
        e.storage_filename, e.file_size, e.content_type, to_string(e.checksum),
        e.created_by_username, tags_text(e), e.description, owner.element, owner.url, e.created_at,
        e.updated_at, now, e.retention_policy, bytes_of(file.content), sql::Bytes(file.hash.bytes),
        more...);
  };
  ARTCACHE_TRY(const auto entry, held == nullptr ? write(kInsert) : write(kUpdate, held->entry));
  return entry.value_or(0);
}

}  // namespace

Result<std::vector<Held>> find_held(Session& session, std::string_view element,
                                    std::span<const std::string> keys) {
  std::vector<Held> out;
  for (const std::string& key : keys) {
    const auto read = [&](Row row) {
      Held held{.key = key, .hash = {}, .entry = row.number()};
      held.hash = replica::hash_of(row.bytes());
      const sql::Bytes content = row.bytes();
      held.content.assign(content.begin(), content.end());
      return held;
    };
    ARTCACHE_TRY(auto held,
                 session.one("SELECT entry, content_hash, content FROM file_metadata_cache "
                             "WHERE storage_element_id = $1 AND id = $2",
                             read, element, key));
    if (held) out.push_back(*std::move(held));
  }
  return out;
}

Result<void> put_files(Session& session, const Owner& owner, std::span<const PreparedEntry> files,
                       std::span<const Held> held, Timestamp now) {
  for (const PreparedEntry& file : files) {
    const Held* const old = held_of(held, to_string(file.entry.id));
    ARTCACHE_TRY(const std::int64_t entry, put_row(session, owner, file, old, now));
    if (old != nullptr) ARTCACHE_CHECK(forget_words(session, *old));
    ARTCACHE_CHECK(
        session.run(kAddWords, entry, file.tokens.name, file.tokens.tags, file.tokens.rest));
  }
  return {};
}

Result<void> remove_files(Session& session, std::span<const Held> held) {
  for (const Held& one : held) {
    ARTCACHE_CHECK(session.run("DELETE FROM file_metadata_cache WHERE entry = $1", one.entry));
    ARTCACHE_CHECK(forget_words(session, one));
  }
  return {};
}

}  // namespace artcache::query::sqlite
