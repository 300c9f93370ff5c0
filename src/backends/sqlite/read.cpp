// SPDX-License-Identifier: Apache-2.0
// Index as EntryReader, but for search.
#include <algorithm>
#include <charconv>

#include "backends/sqlite/columns.hpp"
#include "backends/sqlite/filter.hpp"
#include "backends/sqlite/index.hpp"
#include "backends/sqlite/reading.hpp"

namespace artcache::sqlite {
namespace {

constexpr std::size_t kScanBatch = 1000;
/// Totals of filtered pages are counted up to here; beyond it they are lower bounds.
constexpr std::int64_t kCountMost = 10'000;

struct Cursor {
  std::int64_t created_at = 0;
  FileId id;
};

std::string to_text(const Cursor& cursor) {
  return "1." + std::to_string(cursor.created_at) + "." + to_string(cursor.id);
}

Result<Cursor> parse_cursor(std::string_view text) {
  const Error bad{Errc::invalid_argument, "page: the cursor is none that this index gave out"};
  if (!text.starts_with("1.")) return bad;
  text.remove_prefix(2);
  Cursor cursor;
  const auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), cursor.created_at);
  const auto used = static_cast<std::size_t>(end - text.data());
  if (code != std::errc() || used >= text.size() || *end != '.') return bad;
  const auto id = FileId::parse(text.substr(used + 1));
  if (!id) return bad;
  cursor.id = *id;
  return cursor;
}

std::string id_bytes(const FileId& id) {
  return {reinterpret_cast<const char*>(id.bytes().data()), id.bytes().size()};
}

std::string_view column_of(SortBy sort) {
  switch (sort) {
    case SortBy::updated_at:
      return "updated_at";
    case SortBy::file_size:
      return "file_size";
    case SortBy::filename:
      return "original_filename";
    case SortBy::created_at:
    case SortBy::relevance:
      break;
  }
  return "created_at";
}

Result<void> check_request(const PageRequest& request) {
  if (request.limit > kPageMost)
    return Error{Errc::invalid_argument, "page: limit is above " + std::to_string(kPageMost)};
  if (!request.cursor.empty() && (request.offset > 0 || request.sort != SortBy::created_at))
    return Error{Errc::invalid_argument,
                 "page: a cursor goes with created_at order and without an offset"};
  return {};
}

}  // namespace

Result<Index::Reading> Index::begin_reading(const Call& call) {
  ARTCACHE_TRY(sql::Lease lease, readers_.acquire(call));
  ARTCACHE_TRY(auto transaction, sql::Transaction::begin(*lease, sql::TransactionKind::read));
  ARTCACHE_TRY(HeadRow row, read_head(*lease, names_, sql::Need::read));
  return Reading{std::move(lease), std::move(transaction), std::move(row)};
}

Result<std::optional<IndexedEntry>> Index::find(const FileId& id, const Call& call) {
  // One statement over the view is one moment by itself, and half the cost of a transaction.
  ARTCACHE_TRY(const sql::Lease connection, readers_.acquire(call));
  ARTCACHE_TRY(sql::Statement * s, connection->prepare(find_text_));
  s->bind(0, bytes_of(id));
  ARTCACHE_TRY(const bool made, s->step());
  if (!made || s->integer(0) > std::int64_t{kSchemaVersion}) {
    s->reset();
    ARTCACHE_CHECK(check_schema(*connection, names_, sql::Need::read));
    return Error{Errc::unavailable, "index: find: its schema was changing; ask again"};
  }
  if (s->is_null(1)) {
    s->reset();
    return std::optional<IndexedEntry>();
  }
  auto entry = read_entry(*s, 1);
  s->reset();
  if (!entry) return std::move(entry).error();
  return std::optional(std::move(*entry));
}

Result<std::vector<std::optional<RowBrief>>> Index::briefs(std::span<const FileId> ids,
                                                           const Call& call) {
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  ARTCACHE_TRY(sql::Statement * s,
               reading.statement(names_,
                                 "SELECT hash, revision, updated_at, file_size, refreshed_at, "
                                 "ttl_hours, sidecar_path, storage_path, storage_filename "
                                 "FROM {p}entry_{g} WHERE file_id = ?"));
  std::vector<std::optional<RowBrief>> briefs;
  briefs.reserve(ids.size());
  for (const FileId& id : ids) {
    std::optional<RowBrief>& brief = briefs.emplace_back();
    s->bind(0, bytes_of(id));
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) continue;
    brief.emplace();
    ARTCACHE_TRY(brief->hash, read_hash(*s, 0));
    brief->revision = from_sql(s->integer(1));
    brief->updated_at = Timestamp(std::chrono::microseconds(s->integer(2)));
    brief->file_size = from_sql(s->integer(3));
    brief->freshness = read_freshness(*s, 4);
    if (s->is_null(6))
      brief->sidecar_path.append(s->text(7)).append(s->text(8)).append(kSidecarSuffix);
    else
      brief->sidecar_path = s->text(6);
    s->reset();
  }
  return briefs;
}

Result<std::string> Index::note(std::string_view name, const Call& call) {
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  ARTCACHE_TRY(sql::Statement * s,
               reading.statement(names_, "SELECT text FROM {p}note WHERE name = ?"));
  s->bind(0, name);
  ARTCACHE_TRY(const bool found, s->step());
  std::string text(found ? s->text(0) : std::string_view());
  s->reset();
  return text;
}

Result<EntryPage> Index::page(const PageRequest& request, const Call& call) {
  ARTCACHE_CHECK(check_request(request));
  const bool down = request.order == SortOrder::descending;
  const Where filter(request.filter);
  Where where = filter;
  if (!request.cursor.empty()) {
    ARTCACHE_TRY(const Cursor cursor, parse_cursor(request.cursor));
    where.add(down ? "(created_at, file_id) < (?, CAST(? AS BLOB))"
                   : "(created_at, file_id) > (?, CAST(? AS BLOB))",
              cursor.created_at, id_bytes(cursor.id));
  }
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  const std::string direction = down ? " DESC" : " ASC";
  ARTCACHE_TRY(sql::Statement * s,
               reading.statement(names_, "SELECT " + std::string(kEntryColumns) +
                                             " FROM {p}entry_{g}" + where.text() + " ORDER BY " +
                                             std::string(column_of(request.sort)) + direction +
                                             ", file_id" + direction + " LIMIT ? OFFSET ?"));
  const int next = where.bind(*s, 0);
  // Behind every entry there can be, and no negative number.
  const std::uint64_t offset = std::min(request.offset, std::uint64_t{INT64_MAX});
  s->bind(next, std::int64_t{request.limit} + 1).bind(next + 1, to_sql(offset));
  EntryPage page;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) break;
    if (page.entries.size() == request.limit) {
      if (request.sort == SortBy::created_at && request.limit > 0) {
        const FileEntry& last = page.entries.back().entry;
        page.next_cursor = to_text({last.created_at.micros(), last.id});
      }
      s->reset();
      break;
    }
    ARTCACHE_TRY(auto entry, read_entry(*s, 0));
    page.entries.push_back(std::move(entry));
  }
  page.total = reading.head().count;
  if (filter.empty()) return page;
  ARTCACHE_TRY(sql::Statement * count,
               reading.statement(names_, "SELECT count(*) FROM (SELECT 1 FROM {p}entry_{g}" +
                                             filter.text() + " LIMIT ?)"));
  count->bind(filter.bind(*count, 0), kCountMost + 1);
  ARTCACHE_CHECK(count->step());
  page.total = from_sql(count->integer(0));
  count->reset();
  if (page.total > static_cast<std::uint64_t>(kCountMost)) {
    page.total = static_cast<std::uint64_t>(kCountMost);
    page.total_kind = TotalKind::lower_bound;
  }
  return page;
}

Result<Position> Index::scan(const std::function<Result<void>(std::span<const KeyAndHash>)>& sink,
                             const Call& call) {
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  ARTCACHE_TRY(
      sql::Statement * s,
      reading.statement(names_,
                        "SELECT file_id, hash, revision, file_size, refreshed_at, ttl_hours "
                        "FROM {p}entry_{g}"));
  std::vector<KeyAndHash> batch;
  batch.reserve(kScanBatch);
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (found) {
      KeyAndHash& row = batch.emplace_back();
      ARTCACHE_TRY(row.id, read_id(*s, 0));
      ARTCACHE_TRY(row.hash, read_hash(*s, 1));
      row.revision = from_sql(s->integer(2));
      row.file_size = from_sql(s->integer(3));
      row.freshness = read_freshness(*s, 4);
    }
    if (batch.size() == kScanBatch || (!found && !batch.empty())) {
      ARTCACHE_CHECK(call.check("index: scan", *deps_.clock));
      ARTCACHE_CHECK(sink(batch));
      batch.clear();
    }
    if (!found) break;
  }
  return reading.head().position;
}

}  // namespace artcache::sqlite
