// SPDX-License-Identifier: Apache-2.0
// Index as IndexWriter: apply, the scan table, intents, suspicion.
#include <algorithm>

#include "backends/postgres/bulk.hpp"
#include "backends/postgres/columns.hpp"
#include "backends/postgres/index.hpp"
#include "sql/postgres/wire.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

constexpr std::string_view kScanColumns =
    "s.path, s.size, s.mark, s.file_id, s.hash, s.updated_at, s.text_hash";

Result<ScannedFile> read_scanned(const sql::Statement& s, int first) {
  ScannedFile file;
  file.path = text_of(s.blob(first));
  file.stamp.size = from_sql(s.integer(first + 1));
  const sql::Bytes mark = s.blob(first + 2);
  if (mark.size() == file.stamp.mark.size())
    std::copy(mark.begin(), mark.end(), file.stamp.mark.begin());
  ARTCACHE_TRY(file.id, read_id(s, first + 3));
  ARTCACHE_TRY(file.hash, read_hash(s, first + 4));
  file.updated_at = Timestamp(std::chrono::microseconds(s.integer(first + 5)));
  file.text_hash = from_sql(s.integer(first + 6));
  return file;
}

}  // namespace

Result<ApplyResult> Index::apply(const ApplyRequest& request, const Call& call) {
  return writer_.apply(request, call);
}

Result<std::unique_ptr<BulkLoad>> Index::bulk_load(std::uint64_t expected_rows, std::uint64_t fence,
                                                   const Call& call) {
  ARTCACHE_TRY(auto bulk,
               Bulk::begin(links_, names_, options_.retention, deps_, expected_rows, fence, call));
  return std::unique_ptr<BulkLoad>(std::move(bulk));
}

Result<std::vector<std::optional<ScannedFile>>> find_scanned(
    sql::Connection& connection, const Names& names, std::string_view from,
    std::span<const std::string_view> paths) {
  std::vector<std::optional<ScannedFile>> files(paths.size());
  sql::PostgresArray wanted(sql::PostgresType::bytea);
  for (const std::string_view path : paths) wanted.add().bytes(path);
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text(
                   "SELECT wanted.place, " + std::string(kScanColumns) +
                   " FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted(path, place) JOIN " +
                   std::string(from) + " s ON s.path = wanted.path")));
  wanted.bind(*s, 0);
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) return files;
    ARTCACHE_TRY(auto file, read_scanned(*s, 1));
    files.at(static_cast<std::size_t>(s->integer(0)) - 1) = std::move(file);
  }
}

Result<std::vector<std::optional<ScannedFile>>> Index::find_scanned(
    std::span<const std::string_view> paths, const Call& call) {
  std::vector<std::optional<ScannedFile>> files;
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow&) -> Result<void> {
    ARTCACHE_TRY(files, postgres::find_scanned(connection, names_, "{p}scan", paths));
    return {};
  };
  ARTCACHE_CHECK(reading(read, call));
  return files;
}

Result<std::vector<ScannedFile>> Index::scanned_paths_of(const FileId& id, const Call& call) {
  std::vector<ScannedFile> files;
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow&) -> Result<void> {
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names_.text("SELECT " + std::string(kScanColumns) +
                                                " FROM {p}scan s WHERE s.file_id = $1 "
                                                "ORDER BY s.path")));
    s->bind(0, bytes_of(id));
    while (true) {
      ARTCACHE_TRY(const bool found, s->step());
      if (!found) return {};
      ARTCACHE_TRY(auto file, read_scanned(*s, 0));
      files.push_back(std::move(file));
    }
  };
  ARTCACHE_CHECK(reading(read, call));
  return files;
}

Result<void> Index::scan_table(
    const ScanRange& range, const std::function<Result<void>(std::span<const ScannedFile>)>& sink,
    const Call& call) {
  // Folders end with a slash, so '0', the character behind it, ends the range below one.
  std::string begin(range.folder);
  while (begin.ends_with('/')) begin.pop_back();
  const auto hex = [](std::string_view text) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (const char c : text) {
      out.push_back(kDigits[static_cast<std::uint8_t>(c) >> 4]);
      out.push_back(kDigits[static_cast<std::uint8_t>(c) & 15]);
    }
    return "'\\x" + out + "'::bytea";
  };
  std::string where = " WHERE s.path > " + hex(range.after);
  if (!begin.empty())
    where += " AND s.path >= " + hex(begin + "/") + " AND s.path < " + hex(begin + "0");
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow&) -> Result<void> {
    std::vector<ScannedFile> files;
    return stream(
        connection,
        "SELECT " + std::string(kScanColumns) + " FROM {p}scan s" + where + " ORDER BY s.path",
        [&](const sql::Statement& s) -> Result<void> {
          ARTCACHE_TRY(auto file, read_scanned(s, 0));
          files.push_back(std::move(file));
          return {};
        },
        [&]() -> Result<void> {
          ARTCACHE_CHECK(sink(files));
          files.clear();
          return {};
        },
        call);
  };
  return reading(read, call);
}

Result<void> Index::write_one(std::string_view text, const Bind& bind, std::uint64_t fence,
                              LockStore::Durability durability, const Call& call) {
  const auto work =
      [&](sql::PostgresConnection& connection) -> Result<std::vector<sql::Statement*>> {
    ARTCACHE_TRY(sql::Statement * head, connection.prepare(names_.text(kHeadText)));
    ARTCACHE_CHECK(read_head(*head, names_, sql::Need::write));
    ARTCACHE_CHECK(check_fence(connection, names_, fence));
    ARTCACHE_TRY(sql::Statement * s, connection.prepare(names_.text(text)));
    bind(*s);
    if (durability == LockStore::Durability::now) return std::vector{s};
    ARTCACHE_TRY(sql::Statement * relaxed,
                 connection.prepare("SET LOCAL synchronous_commit = off"));
    return std::vector{relaxed, s};
  };
  return links_.write(
      work, [] { return Result<void>(); }, call);
}

Result<void> Index::add_intent(const Intent& intent, const Call& call) {
  return write_one(
      "INSERT INTO {p}intent(file_id, path, operation, begun_at) VALUES($1, $2, $3, $4) "
      "ON CONFLICT (file_id) DO UPDATE SET path = excluded.path, operation = excluded.operation, "
      "begun_at = excluded.begun_at",
      [&](sql::Statement& s) {
        s.bind(0, bytes_of(intent.id)).bind(1, bytes_of(std::string_view(intent.path)));
        s.bind(2, std::int64_t{static_cast<int>(intent.operation)});
        sql::bind_time(s, 3, intent.begun_at.micros());
      },
      0, LockStore::Durability::now, call);
}

Result<void> Index::set_note(std::string_view name, std::string_view text, std::uint64_t fence,
                             const Call& call) {
  if (name.empty() || std::max(name.size(), text.size()) > kNoteMost)
    return Error{Errc::invalid_argument, "index: note: its name or its text is too long"};
  return write_one(
      text.empty() ? "DELETE FROM {p}note WHERE name = $1"
                   : "INSERT INTO {p}note(name, text) VALUES($1, $2) "
                     "ON CONFLICT (name) DO UPDATE SET text = excluded.text",
      [&](sql::Statement& s) {
        s.bind(0, bytes_of(name));
        if (!text.empty()) s.bind(1, bytes_of(text));
      },
      fence, LockStore::Durability::relaxed, call);
}

Result<void> Index::drop_notes(std::string_view prefix, std::uint64_t fence, const Call& call) {
  return write_one(
      "DELETE FROM {p}note WHERE substr(name, 1, octet_length($1::bytea)) = $1::bytea",
      [&](sql::Statement& s) { s.bind(0, bytes_of(prefix)); }, fence,
      LockStore::Durability::relaxed, call);
}

Result<std::vector<Intent>> Index::intents(const Call& call) {
  std::vector<Intent> all;
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow&) -> Result<void> {
    ARTCACHE_TRY(sql::Statement * s, connection.prepare(names_.text(
                                         "SELECT file_id, path, operation, begun_at FROM {p}intent "
                                         "ORDER BY begun_at, file_id")));
    while (true) {
      ARTCACHE_TRY(const bool found, s->step());
      if (!found) return {};
      Intent& intent = all.emplace_back();
      ARTCACHE_TRY(intent.id, read_id(*s, 0));
      intent.path = text_of(s->blob(1));
      intent.operation = static_cast<Intent::Operation>(s->integer(2));
      intent.begun_at = Timestamp(std::chrono::microseconds(s->integer(3)));
    }
  };
  ARTCACHE_CHECK(reading(read, call));
  return all;
}

Result<void> Index::set_suspect(std::string_view reason, std::uint64_t fence, const Call& call) {
  return write_one(
      "UPDATE {p}head SET suspect = $1 WHERE one = 1",
      [&](sql::Statement& s) { reason.empty() ? s.bind_null(0) : s.bind(0, reason); }, fence,
      LockStore::Durability::now, call);
}

Result<void> Index::trust(const IndexHead& seen, std::uint64_t fence, const Call& call) {
  return write_one(
      "UPDATE {p}head SET suspect = NULL "
      "WHERE one = 1 AND suspect = $1 AND epoch = $2 AND base <= $3",
      [&](sql::Statement& s) {
        s.bind(0, seen.suspect_reason);
        s.bind(1, to_sql(seen.position.epoch)).bind(2, to_sql(seen.position.seq));
      },
      fence, LockStore::Durability::now, call);
}

}  // namespace artcache::postgres
