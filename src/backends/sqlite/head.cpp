// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/head.hpp"

#include <algorithm>

#include "backends/sqlite/columns.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

/// What a log row weighs beside its payload, for the limit in bytes.
constexpr std::uint64_t kLogRowBytes = 80;

}  // namespace

Result<HeadRow> read_head(sql::Connection& connection, const Names& names, sql::Need need) {
  const auto prepared = connection.prepare(
      names.text("SELECT h.epoch, h.seq, h.digest_high, h.digest_low, h.count, h.bytes, h.fence, "
                 "h.generation, h.oldest_seq, h.log_bytes, h.suspect, h.boot, s.reader, s.writer, "
                 "s.version, EXISTS(SELECT 1 FROM {p}load WHERE generation > 0) "
                 "FROM {p}head h, {p}schema s WHERE h.one = 1 AND s.name = 'index'"));
  // A newer program may have made the columns others.
  if (!prepared) ARTCACHE_CHECK(check_schema(connection, names, need));
  ARTCACHE_TRY(sql::Statement * s, prepared);
  ARTCACHE_TRY(const bool found, s->step());
  if (!found)
    return Error{Errc::corrupt, "sqlite index: the head row is missing; rebuild into a new file"};
  HeadRow row;
  IndexHead& head = row.head;
  head.position = {from_sql(s->integer(0)), from_sql(s->integer(1)),
                   Digest(from_sql(s->integer(2)), from_sql(s->integer(3)))};
  head.count = from_sql(s->integer(4));
  head.bytes = from_sql(s->integer(5));
  head.fence = from_sql(s->integer(6));
  head.generation = from_sql(s->integer(7));
  head.oldest_seq = from_sql(s->integer(8));
  row.log_bytes = from_sql(s->integer(9));
  head.suspect_reason = s->text(10);
  row.boot = s->text(11);
  head.schema_reader = static_cast<std::uint32_t>(s->integer(12));
  head.schema_writer = static_cast<std::uint32_t>(s->integer(13));
  const auto version = static_cast<std::uint32_t>(s->integer(14));
  row.loading = s->integer(15) != 0;
  s->reset();
  ARTCACHE_CHECK(check_versions({version, head.schema_reader, head.schema_writer}, names, need));
  return row;
}

Result<void> write_head(sql::Connection& connection, const Names& names, const HeadRow& row) {
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text(
                   "UPDATE {p}head SET epoch = ?, seq = ?, digest_high = ?, digest_low = ?, "
                   "count = ?, bytes = ?, fence = ?, generation = ?, oldest_seq = ?, "
                   "log_bytes = ?, suspect = ?, boot = ? WHERE one = 1")));
  const IndexHead& head = row.head;
  int i = 0;
  for (const std::uint64_t number :
       {head.position.epoch, head.position.seq, head.position.digest.high(),
        head.position.digest.low(), head.count, head.bytes, head.fence, head.generation,
        head.oldest_seq, row.log_bytes})
    s->bind(i++, to_sql(number));
  for (const std::string* text : {&head.suspect_reason, &row.boot})
    text->empty() ? s->bind_null(i++) : s->bind(i++, std::string_view(*text));
  ARTCACHE_TRY(const std::int64_t changed, s->run());
  if (changed != 1)
    return Error{Errc::corrupt, "sqlite index: the head row is missing; rebuild into a new file"};
  return {};
}

Result<void> LogWriter::append(const LogEntry& entry, HeadRow& row) {
  ARTCACHE_TRY(sql::Statement * s,
               tables_.statement(append_, "INSERT INTO {p}log VALUES(?,?,?,?,?,?,?,?)"));
  s->bind(0, to_sql(entry.position.seq)).bind(1, std::int64_t{static_cast<int>(entry.kind)});
  entry.id != nullptr ? s->bind(2, bytes_of(*entry.id)) : s->bind_null(2);
  entry.hash != nullptr ? s->bind(3, bytes_of(*entry.hash)) : s->bind_null(3);
  s->bind(4, to_sql(entry.position.digest.high()))
      .bind(5, to_sql(entry.position.digest.low()))
      .bind(6, entry.committed_at.micros());
  const auto* payload = reinterpret_cast<const std::uint8_t*>(entry.payload.data());
  entry.payload.empty() ? s->bind_null(7) : s->bind(7, sql::Bytes(payload, entry.payload.size()));
  ARTCACHE_CHECK(s->run());
  row.log_bytes += kLogRowBytes + entry.payload.size();
  return {};
}

Result<void> trim_log(sql::Connection& connection, const Names& names, const LogRetention& keep,
                      Timestamp now, std::uint64_t rows_at_once, HeadRow& row) {
  IndexHead& head = row.head;
  ARTCACHE_TRY(sql::Statement * oldest,
               connection.prepare(names.text(
                   "SELECT seq, committed_at, length(payload) FROM {p}log ORDER BY seq LIMIT ?")));
  oldest->bind(0, to_sql(rows_at_once));
  std::uint64_t cut = head.oldest_seq, bytes = row.log_bytes;
  while (true) {
    ARTCACHE_TRY(const bool found, oldest->step());
    if (!found) break;
    const std::uint64_t seq = from_sql(oldest->integer(0));
    const bool too_old =
        now - Timestamp(std::chrono::microseconds(oldest->integer(1))) > keep.age_most;
    if (head.position.seq - seq < keep.rows_most && bytes <= keep.bytes_most && !too_old) break;
    cut = seq + 1;
    bytes -= std::min(bytes, kLogRowBytes + from_sql(oldest->integer(2)));
  }
  oldest->reset();
  if (cut == head.oldest_seq) return {};
  ARTCACHE_TRY(sql::Statement * trim,
               connection.prepare(names.text("DELETE FROM {p}log WHERE seq < ?")));
  trim->bind(0, to_sql(cut));
  ARTCACHE_CHECK(trim->run());
  head.oldest_seq = cut;
  row.log_bytes = bytes;
  return {};
}

}  // namespace artcache::sqlite
