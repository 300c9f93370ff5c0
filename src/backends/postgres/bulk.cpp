// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/bulk.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include "backends/postgres/columns.hpp"
#include "backends/postgres/stage.hpp"
#include "sql/postgres/wire.hpp"
#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

/// Bytes of rows gathered before they are sent.
constexpr std::size_t kChunk = std::size_t{512} * 1024;

constexpr std::uint64_t kScanColumns = 7;
constexpr std::string_view kLockNotAvailable = "55P03";
constexpr std::string_view kStillNeeded = "2BP01";
constexpr std::string_view kNoRight = "42501";

void put_row(std::string& out, const BulkLoad::Row& row) {
  sql::PostgresFields fields;
  const ScannedFile& file = row.scanned;
  fields.bytes(file.id.bytes()).number(to_sql(file.stamp.size)).time(file.updated_at.micros());
  fields.bytes(sql::Bytes(file.hash.bytes)).bytes(sql::Bytes(file.stamp.mark));
  fields.number(to_sql(file.text_hash));
  if (file.path.empty())
    fields.null();
  else
    fields.bytes(std::string_view(file.path));
  put_columns(row.put, row.freshness, file.path, Form::stored,
              [&](std::size_t) -> sql::PostgresFields& { return fields; });
  sql::put_big_endian(out, kColumnCount + kScanColumns, 2);
  out.append(fields.data());
}

// Words go into their indexes in large sorted lots instead of every 4 MB, and the rows that the
// triggers look at stay in memory.
constexpr std::string_view kRoomText =
    "SELECT set_config(name, '65536', true) FROM pg_settings "
    "WHERE name IN ('work_mem', 'gin_pending_list_limit') AND setting::bigint < 65536";
constexpr std::string_view kSettleText =
    "SELECT gin_clean_pending_list(i.indexrelid) FROM pg_index i "
    "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam "
    "WHERE i.indrelid = '{p}files'::regclass AND a.amname = 'gin'";

// What others changed or noted since the load began stays as they left it.
constexpr std::string_view kTouchedTableText =
    "CREATE TEMP TABLE artcache_touched(file_id uuid, path bytea) ON COMMIT DROP";
constexpr std::string_view kTouchedText = R"(
INSERT INTO artcache_touched
  SELECT c.file_id, NULL FROM {p}log l JOIN {p}change c ON c.id = l.change
  WHERE l.seq > {begun} AND c.file_id IS NOT NULL
  UNION SELECT file_id, path FROM {p}touched
)";

// Rows that nobody touched make way, as of the same moment, unless they change just now; whoever
// inserts the same id from now on waits for this commit and changes its row.
constexpr std::string_view kMakeWayText = R"(
WITH touched AS ({touched} RETURNING file_id, path)
DELETE FROM {p}files f USING {p}files before
  WHERE f.file_id = before.file_id AND f.artcache_hash = before.artcache_hash
    AND NOT EXISTS (SELECT 1 FROM touched t WHERE t.file_id = f.file_id)
)";

// In the order of its key, which costs less than the way to a page for each row.
constexpr std::string_view kScanText = R"(
DELETE FROM {p}scan s WHERE NOT EXISTS (
  SELECT 1 FROM artcache_touched t WHERE t.file_id = s.file_id) AND NOT EXISTS (
  SELECT 1 FROM artcache_touched t WHERE t.path = s.path);
INSERT INTO {p}scan(path, size, mark, file_id, hash, updated_at, text_hash)
  SELECT scan_path, scan_size, scan_mark, scan_id, scan_hash, scan_updated, scan_text_hash
  FROM {p}stage s
  WHERE scan_path IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM artcache_touched t WHERE t.file_id = s.scan_id) AND NOT EXISTS (
    SELECT 1 FROM artcache_touched t WHERE t.path = s.scan_path)
  ORDER BY scan_path
)";

std::string insert_text() {
  return "INSERT INTO {p}files(" + column_names() + ") SELECT " + column_names() +
         " FROM {p}stage s WHERE NOT EXISTS (SELECT 1 FROM artcache_touched t "
         "WHERE t.file_id = s.scan_id)";
}

// A path that was noted for an entry that nobody has must not look as if its file had been read.
constexpr std::string_view kOrphanText =
    "DELETE FROM {p}scan s USING artcache_touched t WHERE s.path = t.path "
    "AND NOT EXISTS (SELECT 1 FROM {p}files f WHERE f.file_id = s.file_id)";

// With the head taken nothing moves any more. What was removed since the first look stays removed:
// of rows that this transaction made, since nobody else can hold one of those.
constexpr std::string_view kLateText = R"(
DELETE FROM {p}files f USING (
  SELECT file_id FROM {p}touched WHERE gone
  UNION SELECT file_id FROM (
    SELECT DISTINCT ON (c.file_id) c.file_id, c.kind
    FROM {p}log l JOIN {p}change c ON c.id = l.change
    WHERE l.seq > $1 AND c.file_id IS NOT NULL ORDER BY c.file_id, l.seq DESC) AS last
  WHERE last.kind = 1) AS late
WHERE f.file_id = late.file_id AND f.xmin = pg_current_xact_id()::xid
)";
constexpr std::string_view kLatePathsText =
    "DELETE FROM {p}scan s USING {p}touched t "
    "WHERE s.path = t.path AND s.xmin = pg_current_xact_id()::xid";

/// Of a load that is over.
constexpr std::string_view kEndText =
    "DELETE FROM {p}load; DELETE FROM {p}touched; DROP TABLE IF EXISTS {p}stage, {p}rescan";

std::string copy_text() {
  return "COPY {p}stage(scan_id, scan_size, scan_updated, scan_hash, scan_mark, scan_text_hash, "
         "scan_path, " +
         column_names() + ") FROM STDIN (FORMAT binary)";
}

Error overtaken() {
  return {Errc::lease_lost,
          "index: bulk load: it has ended, or another one has begun; nothing is lost"};
}

}  // namespace

Result<std::unique_ptr<Bulk>> Bulk::begin(Links& links, const Names& names,
                                          const LogRetention& retention, const Deps& deps,
                                          std::uint64_t expected_rows, std::uint64_t fence,
                                          const Call& call) {
  ARTCACHE_TRY(auto connection, links.open(call));
  std::unique_ptr<Bulk> bulk(new Bulk(links, names, retention, deps, fence, std::move(connection)));
  std::array<std::uint8_t, 8> random{};
  util::fill_random(random);
  std::memcpy(&bulk->token_, random.data(), sizeof bulk->token_);
  bulk->connection_->set_call(&call);
  auto opened = bulk->open(expected_rows);
  bulk->connection_->set_call(nullptr);
  if (!opened) return std::move(opened).error();
  return bulk;
}

Result<void> Bulk::open(std::uint64_t expected_rows) {
  sql::PostgresConnection& connection = *connection_;
  ARTCACHE_TRY(auto transaction, sql::Transaction::begin(connection, sql::TransactionKind::write));
  ARTCACHE_CHECK(check_fence(connection, names_, fence_));
  ARTCACHE_TRY(sql::Statement * s, connection.prepare(names_.text(kHeadText)));
  ARTCACHE_TRY(const HeadRow row, read_head(*s, names_, sql::Need::write));
  if (row.head.count > expected_rows / 10)
    return Error{Errc::conflict, "index: bulk load: it holds " + std::to_string(row.head.count) +
                                     " rows already, too many for " +
                                     std::to_string(expected_rows) + " new ones"};
  ARTCACHE_TRY(const bool whole, resume(row));
  if (!whole) {
    begun_at_ = row.head.position.seq;
    ARTCACHE_CHECK(
        connection.execute(names_.text(std::string(kMakeStageText) + "DELETE FROM {p}touched")));
  } else if (resumed_ > 0) {
    // Only one that goes on with another's rows is asked for them by path.
    ARTCACHE_CHECK(connection.execute(
        names_.text("CREATE INDEX IF NOT EXISTS {p}stage_path ON {p}stage(scan_path)")));
  }
  ARTCACHE_TRY(sql::Statement * mine,
               connection.prepare(names_.text(
                   "INSERT INTO {p}load(one, token, generation, begun) VALUES(1, $1, $2, $3) "
                   "ON CONFLICT (one) DO UPDATE SET token = excluded.token, "
                   "generation = excluded.generation, begun = excluded.begun")));
  mine->bind(0, token_).bind(1, to_sql(row.head.generation)).bind(2, to_sql(begun_at_));
  ARTCACHE_CHECK(mine->run());
  return transaction.commit();
}

/// What was begun can be gone on with as long as the log still tells what was written since.
Result<bool> Bulk::resume(const HeadRow& row) {
  ARTCACHE_TRY(sql::Statement * s,
               connection_->prepare(
                   names_.text("SELECT generation, begun FROM {p}load WHERE one = 1 FOR UPDATE")));
  ARTCACHE_TRY(const bool found, s->step());
  if (!found) return false;
  begun_at_ = from_sql(s->integer(1));
  const bool whole =
      from_sql(s->integer(0)) == row.head.generation && row.head.oldest_seq <= begun_at_ + 1;
  s->reset();
  if (!whole) return false;
  ARTCACHE_TRY(sql::Statement * rows,
               connection_->prepare(names_.text("SELECT count(*) FROM {p}stage")));
  ARTCACHE_CHECK(rows->step());
  resumed_ = from_sql(rows->integer(0));
  rows->reset();
  return true;
}

Result<std::vector<std::optional<ScannedFile>>> Bulk::find_scanned(
    std::span<const std::string_view> paths, const Call& call) {
  if (resumed_ == 0) return std::vector<std::optional<ScannedFile>>(paths.size());
  ARTCACHE_TRY(const Link link, links_.acquire(call));
  return postgres::find_scanned(
      *link, names_,
      "(SELECT scan_path AS path, scan_size AS size, scan_mark AS mark, scan_id AS file_id, "
      "scan_hash AS hash, scan_updated AS updated_at, scan_text_hash AS text_hash FROM {p}stage)",
      paths);
}

Result<void> Bulk::discard(const Call& call) {
  connection_->set_call(&call);
  struct Unset {
    sql::PostgresConnection& connection;
    ~Unset() { connection.set_call(nullptr); }
  } const unset{*connection_};
  ARTCACHE_TRY(auto transaction,
               sql::Transaction::begin(*connection_, sql::TransactionKind::write));
  ARTCACHE_CHECK(check_mine());
  ARTCACHE_CHECK(connection_->execute(names_.text(kEndText)));
  return transaction.commit();
}

Result<void> Bulk::check_mine() {
  ARTCACHE_CHECK(check_fence(*connection_, names_, fence_));
  ARTCACHE_TRY(
      sql::Statement * s,
      connection_->prepare(names_.text("SELECT token FROM {p}load WHERE one = 1 FOR KEY SHARE")));
  ARTCACHE_TRY(const bool found, s->step());
  const bool mine = found && s->integer(0) == token_;
  s->reset();
  if (!mine) return overtaken();
  return {};
}

Result<void> Bulk::add(std::span<const Row> rows, const Call& call) {
  sql::PostgresConnection& connection = *connection_;
  connection.set_call(&call);
  struct Unset {
    sql::PostgresConnection& connection;
    ~Unset() { connection.set_call(nullptr); }
  } const unset{connection};
  ARTCACHE_TRY(auto transaction, sql::Transaction::begin(connection, sql::TransactionKind::write));
  // What a crash of the server takes is read again.
  ARTCACHE_CHECK(connection.execute("SET LOCAL synchronous_commit = off"));
  ARTCACHE_CHECK(check_mine());
  ARTCACHE_CHECK(connection.copy_begin(names_.text(copy_text())));
  std::string chunk(sql::copy_header());
  for (const Row& row : rows) {
    put_row(chunk, row);
    if (chunk.size() < kChunk) continue;
    ARTCACHE_CHECK(connection.copy_data(chunk));
    chunk.clear();
  }
  chunk.append(sql::copy_trailer());
  ARTCACHE_CHECK(connection.copy_data(chunk));
  ARTCACHE_CHECK(connection.copy_end());
  return transaction.commit();
}

Result<Position> Bulk::finish(const Call& call) {
  connection_->set_call(&call);
  auto position = bring_in(&Bulk::change_places, call);
  // Somebody may hold a table for long, or have hung something on it.
  const std::string_view state = connection_->last_state();
  const bool in_the_way =
      !position && (state == kLockNotAvailable || state == kStillNeeded || state == kNoRight);
  if (in_the_way || (position && !*position)) position = bring_in(&Bulk::move_over, call);
  connection_->set_call(nullptr);
  if (!position) return std::move(position).error();
  return **position;
}

Result<std::optional<Position>> Bulk::bring_in(Way way, const Call& call) {
  auto position = (this->*way)(Doubles::none_expected, call);
  if (!position && position.error().code == Errc::conflict)
    position = (this->*way)(Doubles::sorted_out, call);
  return position;
}

std::string Bulk::with_touched(std::string_view text) const {
  const auto put = [](std::string& all, std::string_view mark, std::string_view by) {
    if (const auto at = all.find(mark); at != std::string::npos) all.replace(at, mark.size(), by);
  };
  std::string all(text);
  put(all, "{touched}", kTouchedText);
  put(all, "{begun}", std::to_string(begun_at_));
  return names_.text(all);
}

Result<void> Bulk::check_log_reaches_back(const HeadRow& row) const {
  if (row.head.oldest_seq <= begun_at_ + 1) return {};
  return Error{Errc::conflict,
               "index: bulk load: more was written meanwhile than the log keeps; run it again"};
}

Result<void> Bulk::build(Doubles doubles, const Call& call) {
  if (doubles == Doubles::sorted_out) {
    // The scan table has every path of an id, files only one.
    ARTCACHE_CHECK(connection_->execute(names_.text(kDropDoublesText)));
    ARTCACHE_CHECK(build_scan(*connection_, names_));
    ARTCACHE_CHECK(connection_->execute(names_.text(kDropTwinsText)));
    return build_stage(*connection_, names_);
  }
  Result<void> scan;
  std::jthread beside([&] {
    try {
      scan = build_scan_beside(call);
    } catch (const std::exception& e) {
      scan = Error{Errc::internal, std::string("index: bulk load: ") + e.what()};
    }
  });
  auto stage = build_stage(*connection_, names_);
  beside.join();
  return stage ? scan : stage;
}

/// Nobody looks at that table before it takes its place; the next load drops one that is left.
Result<void> Bulk::build_scan_beside(const Call& call) {
  ARTCACHE_TRY(const Link link, links_.acquire(call));
  ARTCACHE_TRY(auto transaction, sql::Transaction::begin(*link, sql::TransactionKind::write));
  ARTCACHE_CHECK(link->execute("SET LOCAL synchronous_commit = off"));
  ARTCACHE_CHECK(build_scan(*link, names_));
  return transaction.commit();
}

/// While the tables are taken nothing moves, so that one look at what others did is the last one.
Result<std::optional<Position>> Bulk::change_places(Doubles doubles, const Call& call) {
  sql::PostgresConnection& connection = *connection_;
  ARTCACHE_TRY(auto transaction, sql::Transaction::begin(connection, sql::TransactionKind::write));
  ARTCACHE_CHECK(check_mine());
  ARTCACHE_TRY(const bool may, may_replace(connection, names_));
  if (!may) return std::optional<Position>();
  ARTCACHE_CHECK(build(doubles, call));
  ARTCACHE_CHECK(connection.execute(kTouchedTableText));
  ARTCACHE_CHECK(take_tables(connection, names_));
  ARTCACHE_TRY(const bool still_may, may_replace(connection, names_));
  if (!still_may) return std::optional<Position>();
  ARTCACHE_TRY(sql::Statement * head, connection.prepare(names_.text(kHeadText)));
  ARTCACHE_TRY(const HeadRow row, read_head(*head, names_, sql::Need::write));
  ARTCACHE_CHECK(check_log_reaches_back(row));
  ARTCACHE_CHECK(connection.execute(with_touched(kTouchedText)));
  ARTCACHE_CHECK(replace_tables(connection, names_));
  ARTCACHE_CHECK(connection.execute(names_.text(kOrphanText)));
  return end();
}

/// Of the transaction that has brought the rows in.
Result<std::optional<Position>> Bulk::end() {
  ARTCACHE_CHECK(connection_->execute(names_.text(
      std::string("UPDATE {p}head SET generation = generation + 1; ").append(kEndText))));
  ARTCACHE_TRY(const auto numbering, number_statements(*connection_, names_, retention_, 0));
  if (auto done = connection_->commit_with(numbering); !done) return std::move(done).error();
  ARTCACHE_TRY(const HeadRow row, read_head(*numbering.back(), names_, sql::Need::write));
  return std::optional(row.head.position);
}

Result<void> Bulk::fill(Doubles doubles) {
  ARTCACHE_CHECK(connection_->execute(kRoomText));
  ARTCACHE_CHECK(connection_->execute("SELECT set_config('artcache.reset', 'on', true)"));
  ARTCACHE_CHECK(connection_->execute(kTouchedTableText));
  ARTCACHE_CHECK(connection_->execute(with_touched(kMakeWayText)));
  const bool sort_out = doubles == Doubles::sorted_out;
  const auto run = [&](std::string_view text, std::string_view key = "") {
    std::string all(text);
    if (sort_out && !key.empty()) all.append(" ON CONFLICT (").append(key).append(") DO NOTHING");
    return connection_->execute(names_.text(all));
  };
  if (sort_out) ARTCACHE_CHECK(run(kDropDoublesText));
  ARTCACHE_CHECK(run(kScanText, "path"));
  if (sort_out) ARTCACHE_CHECK(run(kDropTwinsText));
  ARTCACHE_CHECK(run(insert_text(), "file_id"));
  ARTCACHE_CHECK(run(kOrphanText));
  return run(kSettleText);
}

Result<std::optional<Position>> Bulk::move_over(Doubles doubles, const Call& /*call*/) {
  sql::PostgresConnection& connection = *connection_;
  ARTCACHE_TRY(auto transaction, sql::Transaction::begin(connection, sql::TransactionKind::write));
  ARTCACHE_CHECK(check_mine());
  ARTCACHE_CHECK(fill(doubles));
  ARTCACHE_TRY(auto numbering, number_statements(connection, names_, retention_, 0));
  sql::Statement* const head = numbering.back();
  ARTCACHE_CHECK(connection.run_all(numbering));
  ARTCACHE_TRY(const HeadRow row, read_head(*head, names_, sql::Need::write));
  ARTCACHE_CHECK(check_log_reaches_back(row));
  ARTCACHE_CHECK(connection.execute("SELECT set_config('artcache.reset', '', true)"));
  ARTCACHE_TRY(sql::Statement * late, connection.prepare(names_.text(kLateText)));
  late->bind(0, to_sql(begun_at_));
  ARTCACHE_CHECK(late->run());
  ARTCACHE_CHECK(connection.execute(names_.text(kLatePathsText)));
  return end();
}

}  // namespace artcache::postgres
