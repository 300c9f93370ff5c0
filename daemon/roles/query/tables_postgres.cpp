// SPDX-License-Identifier: Apache-2.0
// Files in PostgreSQL: a statement for a whole batch, since each one costs a way there and back.
#include "roles/query/engines.hpp"

#if ARTCACHE_WITH_POSTGRES
#include <algorithm>
#include <array>

#include "sql/postgres/wire.hpp"

namespace artcache::query::postgres {
namespace {

using sql::PostgresArray;
using sql::PostgresType;

// In the order of Columns.
constexpr std::string_view kPut =
    "INSERT INTO file_metadata_cache(id, filename, storage_filename, file_size, mime_type, "
    "sha256_hash, username, tags, description, created_at, updated_at, retention_policy, content, "
    "content_hash, search_vector, storage_element_id, storage_element_url, cache_updated_at) "
    "SELECT n.id, n.filename, n.storage_filename, n.file_size, n.mime_type, n.sha256_hash, "
    "n.username, n.tags::text[], n.description, n.created_at, n.updated_at, n.retention_policy, "
    "n.content, n.content_hash, n.words::tsvector, $16, $17, $18 "
    "FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], "
    "$7::text[], $8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[], "
    "$13::bytea[], $14::bytea[], $15::text[]) AS n(id, filename, storage_filename, file_size, "
    "mime_type, sha256_hash, username, tags, description, created_at, updated_at, "
    "retention_policy, content, content_hash, words) "
    "ON CONFLICT (storage_element_id, id) DO UPDATE SET filename = excluded.filename, "
    "storage_filename = excluded.storage_filename, file_size = excluded.file_size, "
    "mime_type = excluded.mime_type, sha256_hash = excluded.sha256_hash, "
    "username = excluded.username, tags = excluded.tags, description = excluded.description, "
    "created_at = excluded.created_at, updated_at = excluded.updated_at, "
    "retention_policy = excluded.retention_policy, content = excluded.content, "
    "content_hash = excluded.content_hash, search_vector = excluded.search_vector, "
    "storage_element_url = excluded.storage_element_url, "
    "cache_updated_at = excluded.cache_updated_at";

void add_lexemes(std::string& out, std::string_view tokens, std::string_view weight) {
  while (!tokens.empty()) {
    const std::string_view token = tokens.substr(0, tokens.find(' '));
    tokens.remove_prefix(std::min(tokens.size(), token.size() + 1));
    if (token.empty()) continue;
    if (!out.empty()) out.push_back(' ');
    out.append("'").append(token).append("':").append(weight);
  }
}

/// Names weigh A, tags B, the rest D. The positions mean nothing, the weights need one.
std::string words_text(const SearchTokens& tokens) {
  std::string out;
  add_lexemes(out, tokens.name, "1A");
  add_lexemes(out, tokens.tags, "2B");
  add_lexemes(out, tokens.rest, "3");
  return out;
}

std::optional<std::string> tags_text(const std::vector<std::string>& tags) {
  if (tags.empty()) return std::nullopt;
  std::string out = "{";
  for (const std::string& tag : tags) {
    out.append(out.size() > 1 ? ",\"" : "\"");
    for (const char c : tag) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    out.push_back('"');
  }
  return out + "}";
}

PostgresArray array_of(std::span<const std::string> texts) {
  PostgresArray out(PostgresType::text);
  for (const std::string& text : texts) out.add().bytes(std::string_view(text));
  return out;
}

/// The parameters of kPut, an array for each column.
class Columns {
 public:
  void add(const PreparedEntry& file) {
    const FileEntry& e = file.entry;
    text(0, to_string(e.id));
    text(1, e.original_filename);
    text(2, e.storage_filename);
    arrays_[3].add().number(static_cast<std::int64_t>(e.file_size));
    text(4, e.content_type);
    text(5, to_string(e.checksum));
    text(6, e.created_by_username);
    arrays_[7].add().maybe(tags_text(e.tags));
    arrays_[8].add().maybe(e.description);
    arrays_[9].add().time(e.created_at.micros());
    arrays_[10].add().time(e.updated_at.micros());
    arrays_[11].add().maybe(e.retention_policy);
    text(12, file.content);
    arrays_[13].add().bytes(sql::Bytes(file.hash.bytes));
    text(14, words_text(file.tokens));
  }
  /// Returns the number of the next parameter.
  int bind(sql::Statement& statement) const {
    int at = 0;
    for (const PostgresArray& array : arrays_) array.bind(statement, at++);
    return at;
  }

 private:
  void text(std::size_t column, std::string_view value) { arrays_[column].add().bytes(value); }

  static constexpr PostgresType kText = PostgresType::text, kTime = PostgresType::timestamptz,
                                kBytes = PostgresType::bytea;
  std::array<PostgresArray, 15> arrays_{PostgresArray(kText),  PostgresArray(kText),
                                        PostgresArray(kText),  PostgresArray(PostgresType::int8),
                                        PostgresArray(kText),  PostgresArray(kText),
                                        PostgresArray(kText),  PostgresArray(kText),
                                        PostgresArray(kText),  PostgresArray(kTime),
                                        PostgresArray(kTime),  PostgresArray(kText),
                                        PostgresArray(kBytes), PostgresArray(kBytes),
                                        PostgresArray(kText)};
};

}  // namespace

Result<std::vector<Held>> find_held(Session& session, std::string_view element,
                                    std::span<const std::string> keys) {
  ARTCACHE_TRY(sql::Statement * s,
               session.connection().prepare(
                   "SELECT id, content_hash FROM file_metadata_cache "
                   "WHERE storage_element_id = $1 AND id = ANY($2::text[]) ORDER BY id"));
  s->bind(0, element);
  array_of(keys).bind(*s, 1);
  std::vector<Held> out;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) return out;
    Held& held = out.emplace_back(Held{.key = std::string(s->text(0)), .hash = {}});
    if (!s->is_null(1)) held.hash = replica::hash_of(s->blob(1));
  }
}

Result<void> put_files(Session& session, const Owner& owner, std::span<const PreparedEntry> files,
                       Timestamp now) {
  Columns columns;
  for (const PreparedEntry& file : files) columns.add(file);
  ARTCACHE_TRY(sql::Statement * s, session.connection().prepare(kPut));
  const int next = columns.bind(*s);
  s->bind(next, std::string_view(owner.element)).bind(next + 1, std::string_view(owner.url));
  session.bind(*s, next + 2, now);
  ARTCACHE_CHECK(s->run());
  return {};
}

Result<void> remove_files(Session& session, std::string_view element,
                          std::span<const std::string> keys) {
  ARTCACHE_TRY(sql::Statement * s, session.connection().prepare(
                                       "DELETE FROM file_metadata_cache "
                                       "WHERE storage_element_id = $1 AND id = ANY($2::text[])"));
  s->bind(0, element);
  array_of(keys).bind(*s, 1);
  ARTCACHE_CHECK(s->run());
  return {};
}

}  // namespace artcache::query::postgres
#endif
