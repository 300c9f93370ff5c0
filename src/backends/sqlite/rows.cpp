// SPDX-License-Identifier: Apache-2.0
// RowWriter: one entry's row and its words.
#include "backends/sqlite/edit.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

std::string insert_text() {
  std::string text = "INSERT INTO {p}entry_{g}(" + std::string(kEntryColumns) + ", row) VALUES(?";
  for (int i = 0; i < kEntryColumnCount; ++i) text.append(",?");
  return text.append(")");
}

std::string update_text() {
  return "UPDATE {p}entry_{g} SET (" + std::string(kEntryColumns) + ") = (?" + [] {
    std::string marks;
    for (int i = 1; i < kEntryColumnCount; ++i) marks.append(",?");
    return marks;
  }() + ") WHERE row = ?";
}

std::string find_text() {
  return "SELECT row, " + std::string(kEntryColumns) + " FROM {p}entry_{g} WHERE file_id = ?";
}

}  // namespace

Result<std::vector<RowWriter::Current>> RowWriter::find_all(const FileId& id) {
  static const std::string text = find_text();
  ARTCACHE_TRY(sql::Statement * s, tables_.statement(statements_.find, text));
  s->bind(0, bytes_of(id));
  std::vector<Current> all;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) return all;
    Current& current = all.emplace_back();
    current.row = s->integer(0);
    ARTCACHE_TRY(current.entry, read_entry_as_it_is(*s, 1));
    current.sidecar_path = s->text(kEntryColumnCount);
  }
}

Result<std::optional<RowWriter::Current>> RowWriter::find(const FileId& id) {
  ARTCACHE_TRY(auto all, find_all(id));
  if (all.empty()) return std::optional<Current>();
  return std::optional(std::move(all.front()));
}

Result<std::optional<RowWriter::Glance>> RowWriter::glance(const FileId& id) {
  ARTCACHE_TRY(
      sql::Statement * s,
      tables_.statement(statements_.glance,
                        "SELECT row, hash, revision, refreshed_at, ttl_hours, sidecar_path "
                        "FROM {p}entry_{g} WHERE file_id = ?"));
  s->bind(0, bytes_of(id));
  ARTCACHE_TRY(const bool found, s->step());
  if (!found) return std::optional<Glance>();
  std::optional<Glance> glance(std::in_place);
  glance->row = s->integer(0);
  ARTCACHE_TRY(glance->hash, read_hash(*s, 1));
  glance->revision = static_cast<std::uint64_t>(s->integer(2));
  glance->freshness = read_freshness(*s, 3);
  glance->sidecar_path = s->text(5);
  s->reset();
  return glance;
}

Result<std::int64_t> RowWriter::insert(const EntryRow& row) {
  static const std::string text = insert_text();
  ARTCACHE_TRY(sql::Statement * s, tables_.statement(statements_.insert, text));
  bind_entry(*s, 0, row, buffers_);
  if (next_row_ > 0)
    s->bind(kEntryColumnCount, next_row_++);
  else
    s->bind_null(kEntryColumnCount);
  ARTCACHE_CHECK(s->run());
  if (next_row_ > 0) return next_row_ - 1;
  // The first insert lets the engine choose and asks for its choice; the rest count on.
  ARTCACHE_TRY(sql::Statement * last,
               tables_.statement(statements_.last, "SELECT last_insert_rowid()"));
  ARTCACHE_CHECK(last->step());
  const std::int64_t chosen = last->integer(0);
  last->reset();
  next_row_ = chosen + 1;
  return chosen;
}

Result<void> RowWriter::update(const Current& old, const EntryRow& row) {
  static const std::string text = update_text();
  ARTCACHE_TRY(sql::Statement * s, tables_.statement(statements_.update, text));
  bind_entry(*s, 0, row, buffers_);
  s->bind(kEntryColumnCount, old.row);
  ARTCACHE_CHECK(s->run());
  return {};
}

Result<void> RowWriter::remove(const Current& old) {
  ARTCACHE_CHECK(remove_words(old.row, search_tokens(old.entry.entry)));
  ARTCACHE_TRY(sql::Statement * s,
               tables_.statement(statements_.remove, "DELETE FROM {p}entry_{g} WHERE row = ?"));
  s->bind(0, old.row);
  ARTCACHE_CHECK(s->run());
  return {};
}

Result<void> RowWriter::freshen(std::int64_t row, const Freshness& freshness) {
  ARTCACHE_TRY(
      sql::Statement * s,
      tables_.statement(statements_.freshen,
                        "UPDATE {p}entry_{g} SET refreshed_at = ?, ttl_hours = ? WHERE row = ?"));
  s->bind(0, freshness.refreshed_at.micros()).bind(1, std::int64_t{freshness.ttl_hours});
  s->bind(2, row);
  ARTCACHE_CHECK(s->run());
  return {};
}

Result<void> RowWriter::set_written(std::int64_t row, std::uint64_t revision,
                                    const Freshness& freshness) {
  ARTCACHE_TRY(sql::Statement * s,
               tables_.statement(statements_.set_written,
                                 "UPDATE {p}entry_{g} SET revision = ?, refreshed_at = ?, "
                                 "ttl_hours = ? WHERE row = ?"));
  s->bind(0, to_sql(revision)).bind(1, freshness.refreshed_at.micros());
  s->bind(2, std::int64_t{freshness.ttl_hours}).bind(3, row);
  ARTCACHE_CHECK(s->run());
  return {};
}

Result<bool> RowWriter::freshen(const FileId& id, std::uint64_t newest,
                                const Freshness& freshness) {
  ARTCACHE_TRY(sql::Statement * s,
               tables_.statement(statements_.freshen_id,
                                 "UPDATE {p}entry_{g} SET refreshed_at = ?, ttl_hours = ? "
                                 "WHERE file_id = ? AND revision <= ?"));
  s->bind(0, freshness.refreshed_at.micros()).bind(1, std::int64_t{freshness.ttl_hours});
  s->bind(2, bytes_of(id)).bind(3, to_sql(newest));
  ARTCACHE_TRY(const std::int64_t changed, s->run());
  return changed == 1;
}

Result<void> RowWriter::set_sidecar_path(std::int64_t row, std::string_view path) {
  ARTCACHE_TRY(sql::Statement * s,
               tables_.statement(statements_.set_path,
                                 "UPDATE {p}entry_{g} SET sidecar_path = ? WHERE row = ?"));
  path.empty() ? s->bind_null(0) : s->bind(0, path);
  s->bind(1, row);
  ARTCACHE_CHECK(s->run());
  return {};
}

Result<void> RowWriter::add_words(std::int64_t row, std::string_view name, std::string_view tags,
                                  std::string_view rest) {
  ARTCACHE_TRY(
      sql::Statement * s,
      tables_.statement(statements_.add_words,
                        "INSERT INTO {p}words_{g}(rowid, name, tags, rest) VALUES(?, ?, ?, ?)"));
  s->bind(0, row).bind(1, name).bind(2, tags).bind(3, rest);
  ARTCACHE_CHECK(s->run());
  return {};
}

Result<void> RowWriter::remove_words(std::int64_t row, const SearchTokens& tokens) {
  // The words table holds no texts: what is taken out must be told to it.
  ARTCACHE_TRY(sql::Statement * s,
               tables_.statement(statements_.remove_words,
                                 "INSERT INTO {p}words_{g}({p}words_{g}, rowid, name, tags, rest) "
                                 "VALUES('delete', ?, ?, ?, ?)"));
  s->bind(0, row).bind(1, std::string_view(tokens.name)).bind(2, std::string_view(tokens.tags));
  s->bind(3, std::string_view(tokens.rest));
  ARTCACHE_CHECK(s->run());
  return {};
}

}  // namespace artcache::sqlite
