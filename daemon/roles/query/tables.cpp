// SPDX-License-Identifier: Apache-2.0
#include "roles/query/tables.hpp"

#include <algorithm>

#include "roles/query/engines.hpp"

namespace artcache::query {
namespace {

constexpr char kBetweenTags = '\x1f';

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(kBetweenTags), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

/// What the original knew of a file.
Result<FileEntry> read_columns(Row& row) {
  FileEntry e;
  ARTCACHE_TRY(e.id, FileId::parse(row.text()));
  e.original_filename = row.text();
  e.storage_filename = row.text();
  e.file_size = static_cast<std::uint64_t>(std::max<std::int64_t>(0, row.number()));
  e.content_type = row.maybe_text().value_or("application/octet-stream");
  if (const auto sum = Sha256Sum::parse(row.text())) e.checksum = *sum;
  e.created_by_username = row.text();
  e.tags = split(row.text());
  e.description = row.maybe_text();
  e.created_at = row.time();
  e.updated_at = row.time();
  e.retention_policy = row.maybe_text();
  return e;
}

}  // namespace

const Held* held_of(std::span<const Held> held, std::string_view key) {
  const auto at = std::ranges::lower_bound(held, key, {}, &Held::key);
  return at != held.end() && at->key == key ? &*at : nullptr;
}

std::string_view file_columns(Engine engine) {
  constexpr std::string_view kPostgres =
      "f.content, f.storage_element_id, f.cache_updated_at, f.id, f.filename, f.storage_filename, "
      "f.file_size, f.mime_type, f.sha256_hash, f.username, array_to_string(f.tags, E'\\x1f'), "
      "f.description, f.created_at, f.updated_at, f.retention_policy";
  // Without rows of the original the content is all there is to know.
  constexpr std::string_view kSqlite = "f.content, f.storage_element_id, f.cache_updated_at";
  return engine == Engine::postgres ? kPostgres : kSqlite;
}

Result<FoundFile> read_file(Row& row) {
  FoundFile out;
  const bool adopted = row.is_null();
  const sql::Bytes content = row.bytes();
  if (!adopted) {
    ARTCACHE_TRY(out.entry,
                 parse_content({reinterpret_cast<const char*>(content.data()), content.size()}));
  }
  out.element = row.text();
  out.cached_at = row.time();
  if (adopted) {
    ARTCACHE_TRY(out.entry, read_columns(row));
  }
  return out;
}

Result<std::vector<FoundFile>> find_files(Session& session, const FileId& id) {
  std::vector<FoundFile> out;
  const std::string text =
      "SELECT " + std::string(file_columns(session.engine())) +
      " FROM file_metadata_cache f WHERE f.id = $1 ORDER BY CASE f.retention_policy "
      "WHEN 'permanent' THEN 0 WHEN 'temporary' THEN 2 ELSE 1 END, f.updated_at DESC, "
      "f.storage_element_id";
  const auto add = [&](Row row) -> Result<void> {
    ARTCACHE_TRY(auto file, read_file(row));
    out.push_back(std::move(file));
    return {};
  };
  ARTCACHE_CHECK(session.each(text, add, to_string(id)));
  return out;
}

// --- As a replica -------------------------------------------------------------------------------

namespace {

class QueryTables final : public replica::Tables {
 public:
  [[nodiscard]] const replica::Standings& standings() const override { return standings_; }
  Result<std::vector<Held>> find_held(Session& session, std::string_view element,
                                      std::span<const std::string> keys) const override;
  Result<void> put_files(Session& session, const Owner& owner, std::span<const PreparedEntry> files,
                         std::span<const Held> held, Timestamp now) const override;
  Result<void> remove_files(Session& session, std::string_view element,
                            std::span<const std::string> keys,
                            std::span<const Held> held) const override;
  Result<std::vector<std::string>> first_keys(Session& session, std::string_view element,
                                              std::size_t most) const override;
  Result<void> scan_files(
      Session& session, std::string_view element,
      const std::function<void(std::string_view, const ContentHash&)>& visit) const override;

 private:
  replica::Standings standings_{"file_metadata_sync", "file_metadata_dead_letters"};
};

Result<std::vector<Held>> QueryTables::find_held(Session& session, std::string_view element,
                                                 std::span<const std::string> keys) const {
#if ARTCACHE_WITH_POSTGRES
  auto held = session.engine() == Engine::postgres ? postgres::find_held(session, element, keys)
                                                   : sqlite::find_held(session, element, keys);
#else
  auto held = sqlite::find_held(session, element, keys);
#endif
  if (held) std::ranges::sort(*held, {}, &Held::key);
  return held;
}

Result<void> QueryTables::put_files(Session& session, const Owner& owner,
                                    std::span<const PreparedEntry> files,
                                    std::span<const Held> held, Timestamp now) const {
  if (files.empty()) return {};
#if ARTCACHE_WITH_POSTGRES
  if (session.engine() == Engine::postgres) return postgres::put_files(session, owner, files, now);
#endif
  return sqlite::put_files(session, owner, files, held, now);
}

Result<void> QueryTables::remove_files(Session& session, std::string_view element,
                                       std::span<const std::string> keys,
                                       std::span<const Held> held) const {
  if (keys.empty()) return {};
#if ARTCACHE_WITH_POSTGRES
  if (session.engine() == Engine::postgres) return postgres::remove_files(session, element, keys);
#endif
  for (const std::string& key : keys)
    if (const Held* one = held_of(held, key))
      ARTCACHE_CHECK(sqlite::remove_files(session, {one, 1}));
  return {};
}

Result<std::vector<std::string>> QueryTables::first_keys(Session& session, std::string_view element,
                                                         std::size_t most) const {
  return session.all(
      "SELECT id FROM file_metadata_cache WHERE storage_element_id = $1 ORDER BY id LIMIT $2",
      [](Row row) { return row.text(); }, element, most);
}

Result<void> QueryTables::scan_files(
    Session& session, std::string_view element,
    const std::function<void(std::string_view, const ContentHash&)>& visit) const {
  return replica::scan_by_key(
      session,
      "SELECT id, content_hash FROM file_metadata_cache WHERE storage_element_id = $1 "
      "AND id > $2 ORDER BY id LIMIT $3",
      element, visit);
}

}  // namespace

const replica::Tables& replica_tables() {
  static const QueryTables tables;
  return tables;
}

}  // namespace artcache::query
