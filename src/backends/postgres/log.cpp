// SPDX-License-Identifier: Apache-2.0
// Index as ChangeLog.
#include <algorithm>

#include "backends/postgres/columns.hpp"
#include "backends/postgres/index.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

constexpr std::uint32_t kLogReadMost = 10'000;
constexpr unsigned kBucketBitsMost = 16;
/// How long a waiter relies on being woken before it looks by itself.
constexpr std::chrono::milliseconds kLookAgain{500};
/// The same where no connection can listen.
constexpr std::chrono::milliseconds kDeaf{20};
/// How late a set stop token may be noticed, and how soon another waiter takes the ear over.
constexpr std::chrono::milliseconds kSlice{20};

Error gone(const Position& asked, const IndexHead& head, std::string_view why) {
  return Error{Errc::gone, "log: position " + to_string(asked) + ": " + std::string(why) +
                               "; the log has " + std::to_string(head.oldest_seq) + " to " +
                               to_string(head.position)};
}

Result<LogRow> read_row(const sql::Statement& s, std::uint64_t epoch) {
  LogRow row;
  ARTCACHE_TRY(const Digest digest, read_digest(s, 4));
  row.position = {epoch, from_sql(s.integer(0)), digest};
  row.kind = static_cast<LogRow::Kind>(s.integer(1));
  row.committed_at = Timestamp(std::chrono::microseconds(s.integer(5)));
  if (row.kind == LogRow::Kind::reset) return row;
  ARTCACHE_TRY(const FileId id, read_id(s, 2));
  row.record.key = to_string(id);
  ARTCACHE_TRY(row.record.hash, read_hash(s, 3));
  row.record.payload = text_of(s.blob(6));
  return row;
}

/// Why the log cannot be read from there, as far as the head tells.
Result<void> check_position(const Position& position, const IndexHead& head) {
  if (position.epoch != head.position.epoch) return gone(position, head, "another epoch");
  if (position.seq > head.position.seq) return gone(position, head, "ahead of the head");
  // The row of the position itself must be there to vouch for its digest; the head and the start
  // vouch for theirs.
  if (position.seq < head.oldest_seq && position.seq > 0 && position.seq != head.position.seq)
    return gone(position, head, "trimmed away");
  if (position.seq == 0 && head.oldest_seq > 1) return gone(position, head, "trimmed away");
  if (position.seq == 0 && position.digest != Digest())
    return gone(position, head, "the digest before the first change is 0");
  if (position.seq == head.position.seq && position.digest != head.position.digest)
    return gone(position, head, "the digest after that change is another");
  return {};
}

}  // namespace

// --- Waiting --------------------------------------------------------------------------------

void HeadWatch::moved(std::uint64_t seq) {
  const std::scoped_lock guard(mutex_);
  seq_ = std::max(seq_, seq);
  changed_.notify_all();
}

void HeadWatch::wait(std::uint64_t seq, const Call& call, const Clock& clock) {
  /// Whoever listens stops with this, also by an exception: another one begins then.
  struct Listening {
    HeadWatch& watch;
    ~Listening() {
      const std::scoped_lock guard(watch.mutex_);
      watch.listening_ = false;
      watch.changed_.notify_all();
    }
  };
  std::unique_lock guard(mutex_);
  const std::uint64_t heard = heard_;
  const auto until = clock.steady() + kLookAgain;
  while (seq_ <= seq && heard_ == heard && clock.steady() < until && call.check("wait", clock)) {
    if (!listening_) {
      listening_ = true;
      guard.unlock();
      const Listening listening{*this};
      listen(seq, call, clock);
      return;
    }
    changed_.wait_for(guard, kSlice, [&] { return seq_ > seq || heard_ != heard || !listening_; });
  }
}

/// Alone, until something moves. Without a connection it only waits a little.
void HeadWatch::listen(std::uint64_t seq, const Call& call, const Clock& clock) {
  if (ear_ == nullptr || !ear_->healthy()) {
    ear_.reset();
    if (auto made = links_.open(call.within(std::chrono::seconds(2), clock))) {
      ear_ = std::move(*made);
      ear_->set_call(&call);
      if (!ear_->execute(names_.text("LISTEN {p}head"))) ear_.reset();
      if (ear_ != nullptr) ear_->set_call(nullptr);
    }
    if (ear_ != nullptr) return;  // what moved before LISTEN is not told: look first
  }
  const auto until = clock.steady() + (ear_ != nullptr ? kLookAgain : kDeaf);
  while (clock.steady() < until && call.check("wait", clock)) {
    bool told = false;
    if (ear_ != nullptr) {
      const auto came =
          ear_->wait_notified(std::min<std::chrono::nanoseconds>(kSlice, call.remaining(clock)));
      if (!came) ear_.reset();
      told = came && *came;
    }
    std::unique_lock guard(mutex_);
    if (told) ++heard_;
    if (told || seq_ > seq) return;
    if (ear_ == nullptr) changed_.wait_for(guard, kDeaf);
  }
}

Result<IndexHead> Index::wait_for(std::uint64_t seq, const Call& call) {
  while (true) {
    ARTCACHE_TRY(IndexHead now, head(call));
    if (now.position.seq > seq) return now;
    ARTCACHE_CHECK(call.check("log: wait", *deps_.clock));
    watch_.wait(seq, call, *deps_.clock);
  }
}

// --- Reading --------------------------------------------------------------------------------

Result<IndexHead> Index::head(const Call& call) {
  IndexHead head;
  const auto read = [&](sql::PostgresConnection&, const HeadRow& row) -> Result<void> {
    head = row.head;
    return {};
  };
  ARTCACHE_CHECK(reading(read, call));
  return head;
}

Result<LogSlice> Index::read_after(const Position& position, std::uint32_t limit,
                                   const Call& call) {
  LogSlice slice;
  const std::uint32_t most = std::min(limit, kLogReadMost);
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow& row) -> Result<void> {
    const IndexHead& head = row.head;
    ARTCACHE_CHECK(check_position(position, head));
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(names_.text(
                     "SELECT l.seq, c.kind, c.file_id, c.hash, l.digest::text, l.committed_at, "
                     "c.payload FROM {p}log l JOIN {p}change c ON c.id = l.change "
                     "WHERE l.seq >= $1 ORDER BY l.seq LIMIT $2")));
    // The row of the position itself tells whether this log is the one that it was taken from.
    s->bind(0, to_sql(position.seq)).bind(1, std::int64_t{most} + 1);
    slice.head = head;
    std::uint64_t expected = position.seq + 1;
    while (true) {
      ARTCACHE_TRY(const bool found, s->step());
      if (!found) return {};
      ARTCACHE_TRY(auto one, read_row(*s, head.position.epoch));
      if (one.position.seq == position.seq) {
        if (one.position.digest == position.digest) continue;
        return gone(position, head, "the digest after that change is another");
      }
      if (slice.rows.size() == most) return {};
      if (one.position.seq != expected++)
        return Error{Errc::corrupt, "log: a change is missing before " + to_string(one.position)};
      slice.rows.push_back(std::move(one));
    }
  };
  ARTCACHE_CHECK(reading(read, call));
  return slice;
}

Result<Position> Index::snapshot(const std::function<Result<void>(std::span<const Record>)>& sink,
                                 const Call& call) {
  Position position;
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow& row) -> Result<void> {
    position = row.head.position;
    std::vector<Record> batch;
    return stream(
        connection, "SELECT " + entry_columns() + std::string(kEntryTables),
        [&](const sql::Statement& s) -> Result<void> {
          ARTCACHE_TRY(const IndexedEntry entry, read_entry(s, 0));
          Record& record = batch.emplace_back();
          record.key = to_string(entry.entry.id);
          record.hash = entry.hash;
          append_content(record.payload, entry.entry);
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

}  // namespace artcache::postgres
