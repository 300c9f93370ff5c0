// SPDX-License-Identifier: Apache-2.0
// Index as ChangeLog.
#include <algorithm>

#include "backends/sqlite/columns.hpp"
#include "backends/sqlite/index.hpp"
#include "backends/sqlite/reading.hpp"

namespace artcache::sqlite {
namespace {

constexpr std::uint32_t kLogReadMost = 10'000;
constexpr std::size_t kSnapshotBatch = 500;
constexpr unsigned kBucketBitsMost = 16;
/// How soon a commit of another process is seen by those who wait.
constexpr std::chrono::milliseconds kOtherProcesses{8};

Error gone(const Position& asked, const IndexHead& head, std::string_view why) {
  return Error{Errc::gone, "log: position " + to_string(asked) + ": " + std::string(why) +
                               "; the log has " + std::to_string(head.oldest_seq) + " to " +
                               to_string(head.position)};
}

std::string text_of(sql::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Digest digest_at(const sql::Statement& s, int column) {
  return {from_sql(s.integer(column)), from_sql(s.integer(column + 1))};
}

Result<LogRow> read_row(const sql::Statement& s, std::uint64_t epoch) {
  LogRow row;
  row.position = {epoch, from_sql(s.integer(0)), digest_at(s, 4)};
  row.kind = static_cast<LogRow::Kind>(s.integer(1));
  row.committed_at = Timestamp(std::chrono::microseconds(s.integer(6)));
  if (row.kind == LogRow::Kind::reset) return row;
  ARTCACHE_TRY(const FileId id, read_id(s, 2));
  row.record.key = to_string(id);
  ARTCACHE_TRY(row.record.hash, read_hash(s, 3));
  row.record.payload = text_of(s.blob(7));
  return row;
}

}  // namespace

void HeadWatch::moved(std::uint64_t seq) {
  const std::scoped_lock guard(mutex_);
  seq_ = std::max(seq_, seq);
  changed_.notify_all();
}

void HeadWatch::wait(std::uint64_t seq, std::chrono::nanoseconds pause,
                     const std::stop_token& stop) {
  std::unique_lock guard(mutex_);
  changed_.wait_for(guard, stop, pause, [&] { return seq_ > seq; });
}

Result<IndexHead> Index::head(const Call& call) {
  // One statement is one moment by itself, as in find().
  ARTCACHE_TRY(const sql::Lease connection, readers_.acquire(call));
  ARTCACHE_TRY(HeadRow row, read_head(*connection, names_, sql::Need::read));
  return std::move(row.head);
}

Result<LogSlice> Index::read_after(const Position& position, std::uint32_t limit,
                                   const Call& call) {
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  const IndexHead& head = reading.head();
  if (position.epoch != head.position.epoch) return gone(position, head, "another epoch");
  if (position.seq > head.position.seq) return gone(position, head, "ahead of the head");
  // The row of the position itself must be there to vouch for its digest; the head and the start
  // vouch for theirs.
  if (position.seq < head.oldest_seq && position.seq > 0 && position.seq != head.position.seq)
    return gone(position, head, "trimmed away");
  if (position.seq == 0 && head.oldest_seq > 1) return gone(position, head, "trimmed away");
  if (position.seq == 0 && position.digest != Digest())
    return gone(position, head, "the digest before the first change is 0");
  ARTCACHE_TRY(sql::Statement * s,
               reading.statement(names_,
                                 "SELECT seq, kind, file_id, hash, digest_high, "
                                 "digest_low, committed_at, payload FROM {p}log "
                                 "WHERE seq >= ? ORDER BY seq LIMIT ?"));
  // The row of the position itself tells whether this log is the one that it was taken from.
  s->bind(0, to_sql(position.seq)).bind(1, std::int64_t{std::min(limit, kLogReadMost)} + 1);
  LogSlice slice;
  slice.head = head;
  std::uint64_t expected = position.seq + 1;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) break;
    if (from_sql(s->integer(0)) == position.seq) {
      if (digest_at(*s, 4) == position.digest) continue;
      s->reset();
      return gone(position, head, "the digest after that change is another");
    }
    if (slice.rows.size() == std::min(limit, kLogReadMost)) break;
    ARTCACHE_TRY(auto row, read_row(*s, head.position.epoch));
    if (row.position.seq != expected++)
      return Error{Errc::corrupt, "log: a change is missing before " + to_string(row.position)};
    slice.rows.push_back(std::move(row));
  }
  s->reset();
  if (position.seq == head.position.seq && position.digest != head.position.digest)
    return gone(position, head, "the digest after that change is another");
  return slice;
}

Result<IndexHead> Index::wait_for(std::uint64_t seq, const Call& call) {
  while (true) {
    ARTCACHE_TRY(IndexHead now, head(call));
    if (now.position.seq > seq) return now;
    ARTCACHE_CHECK(call.check("log: wait", *deps_.clock));
    watch_.wait(seq,
                std::min<std::chrono::nanoseconds>(kOtherProcesses, call.remaining(*deps_.clock)),
                call.stop);
  }
}

Result<Position> Index::snapshot(const std::function<Result<void>(std::span<const Record>)>& sink,
                                 const Call& call) {
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  ARTCACHE_TRY(
      sql::Statement * s,
      reading.statement(names_, "SELECT " + std::string(kEntryColumns) + " FROM {p}entry_{g}"));
  std::vector<Record> batch;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (found) {
      ARTCACHE_TRY(const IndexedEntry row, read_entry(*s, 0));
      Record& record = batch.emplace_back();
      record.key = to_string(row.entry.id);
      record.hash = row.hash;
      append_content(record.payload, row.entry);
    }
    if (batch.size() == kSnapshotBatch || (!found && !batch.empty())) {
      ARTCACHE_CHECK(call.check("index: snapshot", *deps_.clock));
      ARTCACHE_CHECK(sink(batch));
      batch.clear();
    }
    if (!found) return reading.head().position;
  }
}

Result<std::vector<BucketDigest>> Index::bucket_digests(unsigned bits, Position* position,
                                                        const Call& call) {
  if (bits > kBucketBitsMost) return Error{Errc::invalid_argument, "digests: bits is above 16"};
  std::vector<BucketDigest> buckets(std::size_t{1} << bits);
  const auto add = [&](std::span<const KeyAndHash> rows) -> Result<void> {
    for (const KeyAndHash& row : rows) {
      const std::string key = to_string(row.id);
      const std::uint64_t hash = key_hash(key);
      BucketDigest& bucket = buckets[bits == 0 ? 0 : hash >> (64 - bits)];
      bucket.digest += Digest::of(key, row.hash);
      ++bucket.count;
    }
    return {};
  };
  ARTCACHE_TRY(const Position at, scan(add, call));
  if (position != nullptr) *position = at;
  return buckets;
}

}  // namespace artcache::sqlite
