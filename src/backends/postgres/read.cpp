// SPDX-License-Identifier: Apache-2.0
// Index as EntryReader, but for search.
#include <algorithm>
#include <array>
#include <charconv>

#include "backends/postgres/columns.hpp"
#include "backends/postgres/filter.hpp"
#include "backends/postgres/index.hpp"
#include "sql/postgres/wire.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

constexpr std::size_t kScanBatch = 1000;
/// Totals of filtered pages are counted up to here; beyond it they are lower bounds.
constexpr std::int64_t kCountMost = 10'000;

constexpr std::string_view kHoldText = "LOCK TABLE {p}files, {p}scan IN ACCESS SHARE MODE";

struct Cursor {
  Timestamp created_at;
  FileId id;
};

std::string to_text(const Cursor& cursor) {
  return "1." + std::to_string(cursor.created_at.micros()) + "." + to_string(cursor.id);
}

Result<Cursor> parse_cursor(std::string_view text) {
  const Error bad{Errc::invalid_argument, "page: the cursor is none that this index gave out"};
  if (!text.starts_with("1.")) return bad;
  text.remove_prefix(2);
  std::int64_t micros = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), micros);
  const auto used = static_cast<std::size_t>(end - text.data());
  if (code != std::errc() || used >= text.size() || *end != '.') return bad;
  const auto id = FileId::parse(text.substr(used + 1));
  const Timestamp created_at{std::chrono::microseconds(micros)};
  if (!id || created_at < Timestamp::min() || created_at > Timestamp::max()) return bad;
  return Cursor{created_at, *id};
}

std::string_view column_of(SortBy sort) {
  switch (sort) {
    case SortBy::updated_at:
      return "f.updated_at";
    case SortBy::file_size:
      return "f.file_size";
    case SortBy::filename:
      return "f.original_filename COLLATE \"C\"";
    case SortBy::created_at:
    case SortBy::relevance:
      break;
  }
  return "f.created_at";
}

Result<void> check_request(const PageRequest& request) {
  if (request.limit > kPageMost)
    return Error{Errc::invalid_argument, "page: limit is above " + std::to_string(kPageMost)};
  if (!request.cursor.empty() && (request.offset > 0 || request.sort != SortBy::created_at))
    return Error{Errc::invalid_argument,
                 "page: a cursor goes with created_at order and without an offset"};
  return {};
}

std::string page_text(const PageRequest& request, const Where& where) {
  const std::string direction = request.order == SortOrder::descending ? " DESC" : " ASC";
  return "SELECT " + entry_columns() + std::string(kEntryTables) + where.text() + " ORDER BY " +
         std::string(column_of(request.sort)) + direction + ", f.file_id" + direction + " LIMIT " +
         where.next() + " OFFSET " + where.next(1);
}

}  // namespace

Result<void> Index::reading(const Read& read, const Call& call) {
  for (int attempt = 1;; ++attempt) {
    ARTCACHE_TRY(Link link, links_.acquire(call));
    ARTCACHE_TRY(auto transaction, sql::Transaction::begin(*link, sql::TransactionKind::read));
    // Before its moment is chosen: tables that a bulk load puts in their places later would seem
    // empty as of then.
    ARTCACHE_TRY(sql::Statement * hold, link->prepare(names_.text(kHoldText)));
    ARTCACHE_TRY(sql::Statement * head, link->prepare(names_.text(kHeadText)));
    const std::array both{hold, head};
    Result<HeadRow> row = Error{Errc::internal, ""};
    if (auto ran = link->run_all(both); !ran)
      row = std::move(ran).error();
    else
      row = read_head(*head, names_, sql::Need::read);
    if (row) return read(*link, *row);
    const bool dead = row.error().code == Errc::unavailable && !link->healthy();
    if (!dead || attempt == 2) return std::move(row).error();
  }
}

Result<void> Index::stream(sql::PostgresConnection& connection, const std::string& select,
                           const std::function<Result<void>(const sql::Statement&)>& row,
                           const std::function<Result<void>()>& batch, const Call& call) {
  ARTCACHE_CHECK(connection.execute("DECLARE reading NO SCROLL CURSOR FOR " + names_.text(select)));
  ARTCACHE_TRY(sql::Statement * fetch,
               connection.prepare("FETCH " + std::to_string(kScanBatch) + " FROM reading"));
  while (true) {
    std::size_t rows = 0;
    while (true) {
      ARTCACHE_TRY(const bool found, fetch->step());
      if (!found) break;
      ++rows;
      ARTCACHE_CHECK(row(*fetch));
    }
    if (rows == 0) return {};
    ARTCACHE_CHECK(call.check("index: scan", *deps_.clock));
    ARTCACHE_CHECK(batch());
    if (rows < kScanBatch) return {};
  }
}

Result<std::optional<IndexedEntry>> Index::find(const FileId& id, const Call& call) {
  for (int attempt = 1;; ++attempt) {
    // One statement is one moment by itself, and one round trip.
    ARTCACHE_TRY(const Link link, links_.acquire(call));
    ARTCACHE_TRY(sql::Statement * s, link->prepare(find_text_));
    s->bind(0, bytes_of(id));
    auto made = s->step();
    if (!made && made.error().code == Errc::unavailable && !link->healthy() && attempt == 1)
      continue;
    if (!made) return std::move(made).error();
    const auto number = [&](int column) { return static_cast<std::uint32_t>(s->integer(column)); };
    ARTCACHE_CHECK(check_versions(
        *made ? sql::SchemaVersions{number(0), number(1), number(2)} : sql::SchemaVersions(),
        names_, sql::Need::read));
    std::optional<IndexedEntry> found;
    if (!s->is_null(3)) {
      ARTCACHE_TRY(found, read_entry(*s, 3));
    }
    s->reset();
    return found;
  }
}

Result<std::vector<std::optional<RowBrief>>> Index::briefs(std::span<const FileId> ids,
                                                           const Call& call) {
  std::vector<std::optional<RowBrief>> briefs(ids.size());
  sql::PostgresArray wanted(sql::PostgresType::uuid);
  for (const FileId& id : ids) wanted.add().bytes(id.bytes());
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow&) -> Result<void> {
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names_.text(
                     "SELECT wanted.place, f.artcache_hash, coalesce(r.seq, h.base), f.updated_at, "
                     "f.file_size, f.cache_updated_at, f.cache_ttl_hours, f.artcache_path, "
                     "f.storage_path, f.storage_filename "
                     "FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted(id, place) "
                     "CROSS JOIN {p}head h JOIN {p}files f ON f.file_id = wanted.id "
                     "LEFT JOIN {p}revision r ON r.file_id = f.file_id")));
    wanted.bind(*s, 0);
    while (true) {
      ARTCACHE_TRY(const bool found, s->step());
      if (!found) return {};
      RowBrief& brief = briefs.at(static_cast<std::size_t>(s->integer(0)) - 1).emplace();
      ARTCACHE_TRY(brief.hash, read_hash(*s, 1));
      brief.revision = from_sql(s->integer(2));
      brief.updated_at = Timestamp(std::chrono::microseconds(s->integer(3)));
      brief.file_size = from_sql(s->integer(4));
      brief.freshness = read_freshness(*s, 5);
      brief.sidecar_path =
          s->is_null(7) ? expected_path(s->text(8), s->text(9)) : std::string(text_of(s->blob(7)));
    }
  };
  ARTCACHE_CHECK(reading(read, call));
  return briefs;
}

Result<std::string> Index::note(std::string_view name, const Call& call) {
  std::string text;
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow&) -> Result<void> {
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names_.text("SELECT text FROM {p}note WHERE name = $1")));
    s->bind(0, bytes_of(name));
    ARTCACHE_TRY(const bool found, s->step());
    if (found) text = text_of(s->blob(0));
    s->reset();
    return {};
  };
  ARTCACHE_CHECK(reading(read, call));
  return text;
}

Result<EntryPage> Index::page(const PageRequest& request, const Call& call) {
  ARTCACHE_CHECK(check_request(request));
  const bool down = request.order == SortOrder::descending;
  const Where filter(request.filter);
  Where where = filter;
  if (!request.cursor.empty()) {
    ARTCACHE_TRY(const Cursor cursor, parse_cursor(request.cursor));
    where.add(down ? "(f.created_at, f.file_id) < (?, ?)" : "(f.created_at, f.file_id) > (?, ?)",
              {cursor.created_at, cursor.id});
  }
  EntryPage page;
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow& row) -> Result<void> {
    ARTCACHE_TRY(sql::Statement * s, connection.prepare(names_.text(page_text(request, where))));
    const int next = where.bind(*s);
    // Behind every entry there can be, and no negative number.
    const std::uint64_t offset = std::min(request.offset, std::uint64_t{INT64_MAX});
    s->bind(next, std::int64_t{request.limit} + 1).bind(next + 1, to_sql(offset));
    while (true) {
      ARTCACHE_TRY(const bool found, s->step());
      if (!found) break;
      if (page.entries.size() == request.limit) {
        if (request.sort == SortBy::created_at && request.limit > 0) {
          const FileEntry& last = page.entries.back().entry;
          page.next_cursor = to_text({last.created_at, last.id});
        }
        s->reset();
        break;
      }
      ARTCACHE_TRY(auto entry, read_entry(*s, 0));
      page.entries.push_back(std::move(entry));
    }
    page.total = row.head.count;
    if (filter.empty()) return {};
    ARTCACHE_TRY(
        sql::Statement * count,
        connection.prepare(names_.text("SELECT count(*) FROM (SELECT 1 FROM {p}files f" +
                                       filter.text() + " LIMIT " + filter.next() + ") AS few")));
    count->bind(filter.bind(*count), kCountMost + 1);
    ARTCACHE_CHECK(count->step());
    page.total = from_sql(count->integer(0));
    count->reset();
    if (page.total > static_cast<std::uint64_t>(kCountMost)) {
      page.total = static_cast<std::uint64_t>(kCountMost);
      page.total_kind = TotalKind::lower_bound;
    }
    return {};
  };
  ARTCACHE_CHECK(reading(read, call));
  return page;
}

Result<Position> Index::scan(const std::function<Result<void>(std::span<const KeyAndHash>)>& sink,
                             const Call& call) {
  Position position;
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow& row) -> Result<void> {
    position = row.head.position;
    std::vector<KeyAndHash> batch;
    batch.reserve(kScanBatch);
    return stream(
        connection,
        "SELECT f.file_id, f.artcache_hash, coalesce(r.seq, h.base), f.file_size, "
        "f.cache_updated_at, f.cache_ttl_hours" +
            std::string(kEntryTables),
        [&](const sql::Statement& s) -> Result<void> {
          KeyAndHash& one = batch.emplace_back();
          ARTCACHE_TRY(one.id, read_id(s, 0));
          ARTCACHE_TRY(one.hash, read_hash(s, 1));
          one.revision = from_sql(s.integer(2));
          one.file_size = from_sql(s.integer(3));
          one.freshness = read_freshness(s, 4);
          return {};
        },
        [&]() -> Result<void> {
          ARTCACHE_CHECK(sink(batch));
          batch.clear();
          return {};
        },
        call);
  };
  ARTCACHE_CHECK(reading(read, call));
  return position;
}

}  // namespace artcache::postgres
