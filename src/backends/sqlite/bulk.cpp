// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/bulk.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/sqlite/scan_leaf.hpp"
#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {
namespace {

/// Rows in one transaction while nobody else wants to write: the fewer commits the better.
constexpr std::size_t kBatchMost = 10'000;
/// So many rows pass before a look whether somebody does.
constexpr std::size_t kBetweenLooks = 200;
/// Words of so many rows, or so many bytes of them, become one segment.
constexpr std::size_t kWordsMost = 10'000, kWordsBytesMost = 4 * 1024 * 1024;
/// So many rows between two checkpoints: the last one before the log begins anew is waited for, and
/// should have little to do.
constexpr std::size_t kBetweenCheckpoints = 3'000;
/// The engine gathers as many before it makes a segment by itself, and merges seldom: what a search
/// loses by it, later writes make good. But it leaves fewer segments than make a later write merge
/// them all at once (16, below), which with a million rows took it a second.
constexpr std::string_view kLoadWords = R"(
INSERT INTO {p}words_{g}({p}words_{g}, rank) VALUES('hashsize', 4194304);
INSERT INTO {p}words_{g}({p}words_{g}, rank) VALUES('crisismerge', 15);
INSERT INTO {p}words_{g}({p}words_{g}, rank) VALUES('automerge', 16);)";
/// Ids with more than one row that one transaction sees to.
constexpr std::int64_t kDoublesAtOnce = 500;
/// To find the rows of one id by, where the index of all loads cannot be built: it is unique.
constexpr std::string_view kDoublesIndex =
    "CREATE INDEX {p}entry_{g}_doubles ON {p}entry_{g}(file_id);";
constexpr std::string_view kNoDoublesIndex = "DROP INDEX IF EXISTS {p}entry_{g}_doubles;";
constexpr std::string_view kNoLoad = "DELETE FROM {p}load; DELETE FROM {p}touched;";
constexpr std::string_view kUsualWords = R"(
INSERT INTO {p}words_{g}({p}words_{g}, rank) VALUES('hashsize', 1048576);
INSERT INTO {p}words_{g}({p}words_{g}, rank) VALUES('crisismerge', 16);
INSERT INTO {p}words_{g}({p}words_{g}, rank) VALUES('automerge', 4);)";

}  // namespace

Result<std::unique_ptr<Bulk>> Bulk::begin(Writer& writer, sql::Pool& readers, const Names& names,
                                          const Deps& deps, std::uint64_t expected_rows,
                                          std::uint64_t fence, const Call& call) {
  std::unique_ptr<Bulk> bulk(new Bulk(writer, readers, names, deps, fence));
  std::array<std::uint8_t, 8> random{};
  util::fill_random(random);
  std::memcpy(&bulk->token_, random.data(), sizeof bulk->token_);
  const auto open = [&](sql::Connection& connection, HeadRow& row) -> Result<void> {
    ARTCACHE_CHECK(check_fence(connection, names, fence));
    if (row.head.count > expected_rows / 10)
      return Error{Errc::conflict, "index: bulk load: it holds " + std::to_string(row.head.count) +
                                       " rows already, too many for " +
                                       std::to_string(expected_rows) + " new ones"};
    return bulk->open(connection, row);
  };
  ARTCACHE_CHECK(writer.exclusively(open, call));
  return bulk;
}

/// A load that still runs elsewhere finds another token, and stops.
Result<void> Bulk::open(sql::Connection& connection, const HeadRow& row) {
  generation_ = row.head.generation + 1;
  ARTCACHE_TRY(const bool resumed, resume(connection));
  if (resumed) {
    ARTCACHE_CHECK(drop_indexes(connection, names_, generation_));
    ARTCACHE_CHECK(connection.execute(names_.text(kNoDoublesIndex, generation_)));
  } else {
    begun_seq_ = row.head.position.seq;
    ARTCACHE_CHECK(connection.execute(names_.text(kNoLoad)));
    ARTCACHE_CHECK(drop_generation(connection, names_, generation_));
    ARTCACHE_CHECK(create_generation(connection, names_, generation_));
    ARTCACHE_CHECK(connection.execute(names_.text(kLoadWords, generation_)));
  }
  return store(connection);
}

/// What was begun can be gone on with as long as the writers have noted what they did since.
Result<bool> Bulk::resume(sql::Connection& connection) {
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names_.text(
                   "SELECT generation, begun_seq, next_row, words_row, count, bytes, digest_high, "
                   "digest_low FROM {p}load WHERE one = 1")));
  ARTCACHE_TRY(const bool found, s->step());
  const bool whole = found && from_sql(s->integer(0)) == generation_;
  std::int64_t words_row = 0;
  if (whole) {
    begun_seq_ = from_sql(s->integer(1));
    next_row_ = s->integer(2);
    words_row = s->integer(3);
    resumed_ = count_ = from_sql(s->integer(4));
    bytes_ = from_sql(s->integer(5));
    digest_ = Digest(from_sql(s->integer(6)), from_sql(s->integer(7)));
  }
  s->reset();
  if (whole) ARTCACHE_CHECK(remember_words_since(connection, words_row));
  return whole;
}

Result<void> Bulk::store(sql::Connection& connection) const {
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(
                   names_.text("INSERT OR REPLACE INTO {p}load VALUES(1, ?,?,?,?,?,?,?,?,?)")));
  s->bind(0, token_).bind(1, to_sql(generation_)).bind(2, to_sql(begun_seq_)).bind(3, next_row_);
  s->bind(4, words_.empty() ? next_row_ : words_.front().row);
  s->bind(5, to_sql(count_)).bind(6, to_sql(bytes_));
  s->bind(7, to_sql(digest_.high())).bind(8, to_sql(digest_.low()));
  ARTCACHE_CHECK(s->run());
  return {};
}

Result<void> Bulk::check_mine(sql::Connection& connection) const {
  ARTCACHE_CHECK(check_fence(connection, names_, fence_));
  ARTCACHE_TRY(
      sql::Statement * s,
      connection.prepare(names_.text("SELECT token, generation FROM {p}load WHERE one = 1")));
  ARTCACHE_TRY(const bool found, s->step());
  const bool mine = found && s->integer(0) == token_;
  const bool ended = mine && s->integer(1) == 0;
  s->reset();
  if (ended)
    return Error{
        Errc::conflict,
        "index: bulk load: more was written meanwhile than it can take over; run it again"};
  if (mine) return {};
  return Error{Errc::lease_lost,
               "index: bulk load: it has ended, or another one has begun; nothing is lost"};
}

Result<void> Bulk::discard(const Call& call) {
  const auto drop = [&](sql::Connection& connection, HeadRow&) -> Result<void> {
    ARTCACHE_CHECK(check_mine(connection));
    ARTCACHE_CHECK(connection.execute(names_.text(kNoLoad)));
    return drop_generation(connection, names_, generation_);
  };
  ARTCACHE_CHECK(writer_.exclusively(drop, call));
  return {};
}

Result<std::vector<std::optional<ScannedFile>>> Bulk::find_scanned(
    std::span<const std::string_view> paths, const Call& call) {
  if (resumed_ == 0) return std::vector<std::optional<ScannedFile>>(paths.size());
  ARTCACHE_TRY(const sql::Lease connection, readers_.acquire(call));
  return sqlite::find_scanned(*connection, names_, generation_, paths);
}

void Bulk::count_in(const IndexedEntry& row) {
  digest_ += Digest::of(to_string(row.entry.id), row.hash);
  bytes_ += row.entry.file_size;
  ++count_;
}

void Bulk::count_out(const IndexedEntry& row) {
  digest_ -= Digest::of(to_string(row.entry.id), row.hash);
  bytes_ -= row.entry.file_size;
  --count_;
}

Result<void> Bulk::add(std::span<const Row> rows, const Call& call) {
  for (const Row& row : rows) ARTCACHE_CHECK(check_name(row.scanned.path));
  while (!rows.empty()) {
    std::size_t added = 0;
    bool is_much = false;
    const auto work = [&](sql::Connection& connection, HeadRow&) -> Result<void> {
      ARTCACHE_CHECK(check_mine(connection));
      ARTCACHE_TRY(added, add_some(connection, rows.first(std::min(rows.size(), kBatchMost))));
      is_much = words_.size() >= kWordsMost || words_text_.size() >= kWordsBytesMost;
      if (is_much) ARTCACHE_CHECK(add_words(connection));
      return store(connection);
    };
    ARTCACHE_CHECK(writer_.exclusively(work, call, Writer::Durability::with_the_next));
    checkpoint(added, is_much);
    rows = rows.subspan(added);
  }
  return {};
}

void Bulk::checkpoint(std::size_t rows, bool segment_ended) {
  unmoved_ += rows;
  if (!segment_ended && unmoved_ < kBetweenCheckpoints) return;
  unmoved_ = 0;
  checkpointer_.nudge();
  if (segment_ended) checkpointer_.settle();
}

Result<std::size_t> Bulk::add_some(sql::Connection& connection, std::span<const Row> rows) {
  RowWriter entries(connection, names_, generation_, next_row_);
  ScanWriter scan(connection, names_, generation_);
  // Older than every change that is made from now on, newer than every one before.
  const std::uint64_t revision = begun_seq_ + 1;
  std::size_t added = 0;
  for (const Row& row : rows) {
    const bool look = added > 0 && added % kBetweenLooks == 0;
    if (words_text_.size() >= kWordsBytesMost || (look && writer_.somebody_waits())) break;
    ARTCACHE_TRY(const std::int64_t number,
                 entries.insert({&row.put, revision, row.freshness,
                                 path_to_keep(row.scanned.path, row.put.entry)}));
    remember_words(number, row.put.tokens);
    if (!row.scanned.path.empty()) ARTCACHE_CHECK(scan.put(row.scanned));
    digest_ += row.put.part;
    bytes_ += row.put.entry.file_size;
    ++count_;
    next_row_ = number + 1;
    ++added;
  }
  ARTCACHE_CHECK(scan.flush());
  return added;
}

void Bulk::remember_words(std::int64_t row, const SearchTokens& tokens) {
  words_.push_back({row, tokens.name.size(), tokens.tags.size(), tokens.rest.size()});
  words_text_.append(tokens.name).append(tokens.tags).append(tokens.rest);
}

/// What a load that was cut short had not added yet.
Result<void> Bulk::remember_words_since(sql::Connection& connection, std::int64_t row) {
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names_.text("SELECT row, " + std::string(kEntryColumns) +
                                                  " FROM {p}entry_{g} WHERE row >= ? ORDER BY row",
                                              generation_)));
  s->bind(0, row);
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) return {};
    ARTCACHE_TRY(const IndexedEntry entry, read_entry_as_it_is(*s, 1));
    remember_words(s->integer(0), search_tokens(entry.entry));
  }
}

Result<void> Bulk::add_words(sql::Connection& connection) {
  RowWriter entries(connection, names_, generation_);
  std::string_view left = words_text_;
  const auto next = [&left](std::size_t size) {
    const std::string_view part = left.substr(0, size);
    left.remove_prefix(size);
    return part;
  };
  for (const Words& words : words_) {
    const std::string_view name = next(words.name), tags = next(words.tags);
    ARTCACHE_CHECK(entries.add_words(words.row, name, tags, next(words.rest)));
  }
  words_.clear();
  words_text_.clear();
  return {};
}

Result<Position> Bulk::finish(const Call& call) {
  const auto last_words = [&](sql::Connection& connection, HeadRow&) -> Result<void> {
    ARTCACHE_CHECK(check_mine(connection));
    ARTCACHE_CHECK(add_words(connection));
    return store(connection);
  };
  ARTCACHE_CHECK(writer_.exclusively(last_words, call, Writer::Durability::with_the_next));
  ARTCACHE_CHECK(index(call));
  bool done = false;
  const auto last = [&](sql::Connection& connection, HeadRow& head) -> Result<void> {
    ARTCACHE_CHECK(check_mine(connection));
    ARTCACHE_TRY(done, merge(connection, head));
    return done ? switch_over(connection, head) : store(connection);
  };
  IndexHead head;
  while (!done) {
    ARTCACHE_TRY(head, writer_.exclusively(last, call));
  }
  return head.position;
}

/// Each index in a transaction of its own. Two rows of one id show when the unique one is built:
/// then, and only then, the rows are searched for doubles.
Result<void> Bulk::index(const Call& call) {
  const auto mine = [&](const Writer::Work& work) -> Result<void> {
    const auto checked = [&](sql::Connection& connection, HeadRow& head) -> Result<void> {
      ARTCACHE_CHECK(check_mine(connection));
      return work(connection, head);
    };
    ARTCACHE_CHECK(writer_.exclusively(checked, call, Writer::Durability::with_the_next));
    return {};
  };
  const auto build = [&](sql::Connection& connection, HeadRow&) {
    return create_id_index(connection, names_, generation_);
  };
  auto built = mine(build);
  if (!built && built.error().code == Errc::conflict) {
    ARTCACHE_CHECK(mine([&](sql::Connection& connection, HeadRow&) {
      return connection.execute(names_.text(kDoublesIndex, generation_));
    }));
    std::optional<FileId> after, next;
    do {
      ARTCACHE_CHECK(mine([&](sql::Connection& connection, HeadRow&) -> Result<void> {
        ARTCACHE_TRY(next, drop_doubles(connection, after));
        return store(connection);
      }));
      after = next;
    } while (after);
    built = mine([&](sql::Connection& connection, HeadRow& head) -> Result<void> {
      ARTCACHE_CHECK(connection.execute(names_.text(kNoDoublesIndex, generation_)));
      return build(connection, head);
    });
  }
  ARTCACHE_CHECK(built);
  checkpointer_.nudge();  // that the last commit, and the end, have less to wait for
  return mine([&](sql::Connection& connection, HeadRow&) {
    return create_other_indexes(connection, names_, generation_);
  });
}

/// Some of them, in the order of ids; returns the last one seen to, or nothing at the end.
Result<std::optional<FileId>> Bulk::drop_doubles(sql::Connection& connection,
                                                 const std::optional<FileId>& after) {
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names_.text(
                   "SELECT file_id FROM {p}entry_{g} WHERE file_id > ? GROUP BY file_id "
                   "HAVING count(*) > 1 LIMIT ?",
                   generation_)));
  s->bind(0, after ? bytes_of(*after) : sql::Bytes()).bind(1, kDoublesAtOnce);
  std::vector<FileId> ids;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) break;
    ARTCACHE_TRY(const FileId id, read_id(*s, 0));
    ids.push_back(id);
  }
  for (const FileId& id : ids) ARTCACHE_CHECK(drop_losers(connection, id));
  return ids.empty() ? std::optional<FileId>() : std::optional(ids.back());
}

/// Of the rows of one id the newest updated_at stays, then the first path; a file that was read
/// twice counts as it was read last. All paths are noted as twins, so that a loser takes over when
/// the winner goes.
Result<void> Bulk::drop_losers(sql::Connection& connection, const FileId& id) {
  RowWriter entries(connection, names_, generation_);
  ARTCACHE_TRY(auto rows, entries.find_all(id));
  const auto drop = [&](const RowWriter::Current& row) -> Result<void> {
    count_out(row.entry);
    return entries.remove(row);
  };
  std::ranges::sort(rows, std::ranges::greater(), &RowWriter::Current::row);
  std::vector<RowWriter::Current> last;
  for (RowWriter::Current& row : rows) {
    const auto same = [&](const RowWriter::Current& other) { return other.path() == row.path(); };
    if (!std::ranges::any_of(last, same)) {
      last.push_back(std::move(row));
    } else {
      ARTCACHE_CHECK(drop(row));
    }
  }
  std::ranges::sort(last, [](const auto& a, const auto& b) {
    const FileEntry &x = a.entry.entry, &y = b.entry.entry;
    return x.updated_at != y.updated_at ? x.updated_at > y.updated_at : a.path() < b.path();
  });
  for (std::size_t i = 0; i < last.size(); ++i) {
    if (last.size() == 1) break;
    ARTCACHE_CHECK(add_twin(connection, names_, generation_, id, last[i].path()));
    if (i > 0) ARTCACHE_CHECK(drop(last[i]));
  }
  return {};
}

Result<void> Bulk::switch_over(sql::Connection& connection, HeadRow& row) {
  const std::uint64_t old = row.head.generation;
  row.head.generation = generation_;
  row.head.count = count_;
  row.head.bytes = bytes_;
  ++row.head.position.seq;
  row.head.position.digest = digest_;
  LogWriter log(connection, names_);
  ARTCACHE_CHECK(log.append(
      {row.head.position, LogRow::Kind::reset, nullptr, nullptr, {}, deps_.clock->now()}, row));
  ARTCACHE_CHECK(point_view(connection, names_, generation_));
  ARTCACHE_CHECK(connection.execute(names_.text(kNoLoad)));
  ARTCACHE_CHECK(connection.execute(names_.text(kUsualWords, generation_)));
  // Hints of where else an id may be, at worst useless.
  ARTCACHE_CHECK(connection.execute(
      names_.text("INSERT OR IGNORE INTO {p}twin_{g} SELECT * FROM ", generation_) +
      names_.text("{p}twin_{g};", old)));
  return drop_generation(connection, names_, old);
}

}  // namespace artcache::sqlite
