// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/columns.hpp"

#include <algorithm>
#include <artcache/json_writer.hpp>

#include "util/json_scan.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

/// Binds one parameter after the other.
class Binder {
 public:
  Binder(sql::Statement& statement, int first) : statement_(statement), next_(first) {}
  Binder& number(std::int64_t n) {
    statement_.bind(next_++, n);
    return *this;
  }
  Binder& text(std::string_view t) {
    statement_.bind(next_++, t);
    return *this;
  }
  Binder& bytes(sql::Bytes b) {
    statement_.bind(next_++, b);
    return *this;
  }
  Binder& text_or_null(std::string_view t) {
    if (t.empty()) statement_.bind_null(next_++);
    return t.empty() ? *this : text(t);
  }
  Binder& maybe(const std::optional<std::string>& t) {
    if (!t) statement_.bind_null(next_++);
    return t ? text(*t) : *this;
  }
  Binder& maybe(std::optional<std::int64_t> n) {
    if (!n) statement_.bind_null(next_++);
    return n ? number(*n) : *this;
  }

 private:
  sql::Statement& statement_;
  int next_;
};

std::string tags_as_json(const std::vector<std::string>& tags) {
  if (tags.empty()) return {};
  JsonWriter json;
  json.begin_array();
  for (const std::string& tag : tags) json.value(tag);
  return std::move(json.end_array()).str();
}

Error damaged(std::string_view what) {
  return Error{Errc::corrupt, "sqlite index: a row with a bad " + std::string(what) +
                                  ": move the file away and run 'artcache rebuild'"};
}

Result<std::vector<std::string>> read_tags(std::string_view json) {
  std::vector<std::string> tags;
  if (json.empty()) return tags;
  util::JsonScanner scanner(json);
  util::JsonValue value;
  if (!scanner.enter_array()) return damaged("list of tags");
  while (scanner.next_element(value)) {
    if (value.kind != util::JsonKind::string) return damaged("list of tags");
    util::append_decoded(tags.emplace_back(), value);
  }
  if (scanner.failed()) return damaged("list of tags");
  return tags;
}

std::optional<std::string> maybe_text(const sql::Statement& s, int column) {
  if (s.is_null(column)) return std::nullopt;
  return std::string(s.text(column));
}

Timestamp time_at(const sql::Statement& s, int column) {
  return Timestamp(std::chrono::microseconds(s.integer(column)));
}

template <std::size_t N>
bool copy_exactly(sql::Bytes from, std::array<std::uint8_t, N>& to) {
  if (from.size() != N) return false;
  std::ranges::copy(from, to.begin());
  return true;
}

}  // namespace

std::string expected_sidecar_path(const FileEntry& entry) {
  return entry.data_path().append(kSidecarSuffix);
}

std::string_view path_to_keep(std::string_view path, const FileEntry& entry) {
  std::string_view rest = path;
  for (const std::string_view part : {std::string_view(entry.storage_path),
                                      std::string_view(entry.storage_filename), kSidecarSuffix}) {
    if (!rest.starts_with(part)) return path;
    rest.remove_prefix(part.size());
  }
  return rest.empty() ? rest : path;
}

void bind_entry(sql::Statement& statement, int first, const EntryRow& row, BindBuffers& buffers) {
  const FileEntry& e = row.put->entry;
  buffers.tags = tags_as_json(e.tags);
  Binder bind(statement, first);
  bind.bytes(e.id.bytes())
      .bytes(row.put->hash.bytes)
      .number(static_cast<std::int64_t>(row.revision))
      .number(row.freshness.refreshed_at.micros())
      .number(row.freshness.ttl_hours)
      .number(e.created_at.micros())
      .number(e.updated_at.micros())
      .number(static_cast<std::int64_t>(e.file_size))
      .text(e.original_filename)
      .text(e.storage_filename)
      .text(e.storage_path)
      .text(e.content_type)
      .text(e.created_by_id)
      .text(e.created_by_username)
      .maybe(e.created_by_fullname)
      .maybe(e.description)
      .maybe(e.version)
      .bytes(e.checksum.bytes)
      .text_or_null(buffers.tags)
      .maybe(e.retention_policy)
      .maybe(e.ttl_days)
      .maybe(e.retention_expires_at ? std::optional(e.retention_expires_at->micros())
                                    : std::nullopt)
      .text_or_null(e.metadata == "{}" ? std::string_view() : e.metadata)
      .text_or_null(e.custom_attributes)
      .text_or_null(e.unknown_members)
      .text_or_null(row.sidecar_path);
}

Result<FileId> read_id(const sql::Statement& statement, int column) {
  FileId::Bytes bytes{};
  if (!copy_exactly(statement.blob(column), bytes)) return damaged("id");
  return FileId(bytes);
}

Result<ContentHash> read_hash(const sql::Statement& statement, int column) {
  ContentHash hash;
  if (!copy_exactly(statement.blob(column), hash.bytes)) return damaged("hash");
  return hash;
}

Freshness read_freshness(const sql::Statement& s, int column) {
  return {time_at(s, column), static_cast<std::int32_t>(s.integer(column + 1))};
}

Result<IndexedEntry> read_entry(const sql::Statement& statement, int first) {
  ARTCACHE_TRY(IndexedEntry out, read_entry_as_it_is(statement, first));
  if (content_hash(out.entry) != out.hash) return falsified(out.entry.id);
  return out;
}

Error falsified(const FileId& id) {
  return Error{Errc::corrupt, "sqlite index: entry " + to_string(id) +
                                  ": its content does not fit its hash, so the file is damaged: "
                                  "move it away and run 'artcache rebuild'"};
}

Result<IndexedEntry> read_entry_as_it_is(const sql::Statement& s, int first) {
  IndexedEntry out;
  FileEntry& e = out.entry;
  int c = first;
  ARTCACHE_TRY(e.id, read_id(s, c++));
  ARTCACHE_TRY(out.hash, read_hash(s, c++));
  out.revision = static_cast<std::uint64_t>(s.integer(c++));
  out.freshness = read_freshness(s, c);
  c += 2;
  e.created_at = time_at(s, c++);
  e.updated_at = time_at(s, c++);
  e.file_size = static_cast<std::uint64_t>(s.integer(c++));
  for (std::string* text : {&e.original_filename, &e.storage_filename, &e.storage_path,
                            &e.content_type, &e.created_by_id, &e.created_by_username})
    text->assign(s.text(c++));
  for (auto* text : {&e.created_by_fullname, &e.description, &e.version})
    *text = maybe_text(s, c++);
  if (!copy_exactly(s.blob(c++), e.checksum.bytes)) return damaged("checksum");
  ARTCACHE_TRY(e.tags, read_tags(s.text(c++)));
  e.retention_policy = maybe_text(s, c++);
  if (!s.is_null(c)) e.ttl_days = s.integer(c);
  ++c;
  if (!s.is_null(c)) e.retention_expires_at = time_at(s, c);
  ++c;
  if (!s.is_null(c)) e.metadata = s.text(c);
  ++c;
  e.custom_attributes = s.text(c++);
  e.unknown_members = s.text(c++);
  return out;
}

}  // namespace artcache::sqlite
