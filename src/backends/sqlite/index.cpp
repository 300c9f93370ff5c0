// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/index.hpp"

#include <unistd.h>

#include "backends/sqlite/bulk.hpp"
#include "backends/sqlite/columns.hpp"
#include "backends/sqlite/reading.hpp"
#include "backends/sqlite/scan_leaf.hpp"

namespace artcache::sqlite {

namespace {

/// How long closing an index may wait for whoever writes to it.
constexpr std::chrono::seconds kCloseMost{2};
constexpr std::string_view kUncleanStop =
    "the machine stopped while the index was open for writing";

}  // namespace

Index::Index(IndexOptions options, Names names, const Deps& deps, Connections connections,
             Peers peers)
    : options_(std::move(options)),
      names_(std::move(names)),
      deps_(deps),
      readers_({.open = std::move(connections.reading),
                .connections_most = options_.readers_most,
                .limit_name = "readers",
                .clock = deps.clock}),
      peers_(std::move(peers)),
      writer_(std::move(connections.first), peers_, names_,
              {std::move(connections.writing), options_.retention, options_.durable, options_.boot},
              deps, [this](const IndexHead& head) { watch_.moved(head.position.seq); }),
      find_text_(names_.text("SELECT s.reader, " + std::string(kEntryColumns) +
                             " FROM (SELECT reader FROM {p}schema WHERE name = 'index') s "
                             "LEFT JOIN {p}entry ON file_id = ?")) {}

Index::~Index() {
  if (!options_.delete_on_close) {
    peers_.leave([this] { note_clean_close(); });
    return;
  }
  ::unlink(owners_path().c_str());
  for (const std::string_view suffix : {"", "-wal", "-shm"})
    ::unlink((options_.path + std::string(suffix)).c_str());
}

Result<void> Index::open(const Call& call) {
  peers_.enter(key_hash(names_.prefix()));
  std::string boot;
  {
    ARTCACHE_TRY(const Reading reading, begin_reading(call));
    boot = reading.row.boot;
  }
  opened_ = boot.empty() || boot == options_.boot;
  if (opened_) return {};
  const auto mark = [&](sql::Connection&, HeadRow& row) -> Result<void> {
    if (row.head.suspect_reason.empty()) row.head.suspect_reason = kUncleanStop;
    return {};
  };
  ARTCACHE_CHECK(writer_.exclusively(mark, call));
  opened_ = true;
  return {};
}

/// Best effort: what could not be noted makes the index suspect at worst.
void Index::note_clean_close() {
  if (!opened_) return;
  const Call call = Call().within(kCloseMost, *deps_.clock);
  {
    const auto reading = begin_reading(call);
    if (!reading || reading->row.boot.empty()) return;
  }
  const auto close = [](sql::Connection&, HeadRow& row) -> Result<void> {
    row.boot.clear();
    return {};
  };
  (void)writer_.exclusively(close, call);
}

std::string Index::describe() const {
  return options_.delete_on_close ? "mem:" : "sqlite://" + options_.path;
}

Result<ApplyResult> Index::apply(const ApplyRequest& request, const Call& call) {
  return writer_.apply(request, call);
}

Result<std::unique_ptr<BulkLoad>> Index::bulk_load(std::uint64_t expected_rows, std::uint64_t fence,
                                                   const Call& call) {
  ARTCACHE_TRY(auto bulk,
               Bulk::begin(writer_, readers_, names_, deps_, expected_rows, fence, call));
  return std::unique_ptr<BulkLoad>(std::move(bulk));
}

Result<std::vector<std::optional<ScannedFile>>> Index::find_scanned(
    std::span<const std::string_view> paths, const Call& call) {
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  return sqlite::find_scanned(reading.connection(), names_, reading.head().generation, paths);
}

Result<std::vector<ScannedFile>> Index::scanned_paths_of(const FileId& id, const Call& call) {
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  std::vector<std::string> paths;
  RowWriter rows(reading.connection(), names_, reading.head().generation);
  ARTCACHE_TRY(const auto entry, rows.find(id));
  if (entry) paths.push_back(entry->path());
  ARTCACHE_TRY(sql::Statement * twins,
               reading.statement(names_, "SELECT path FROM {p}twin_{g} WHERE file_id = ?"));
  twins->bind(0, bytes_of(id));
  while (true) {
    ARTCACHE_TRY(const bool found, twins->step());
    if (!found) break;
    if (entry && twins->text(0) == paths.front()) continue;
    paths.emplace_back(twins->text(0));
  }
  const std::vector<std::string_view> views(paths.begin(), paths.end());
  ARTCACHE_TRY(auto scanned, sqlite::find_scanned(reading.connection(), names_,
                                                  reading.head().generation, views));
  std::vector<ScannedFile> files;
  for (auto& file : scanned)
    if (file && file->id == id) files.push_back(std::move(*file));
  return files;
}

Result<void> Index::scan_table(
    const ScanRange& range, const std::function<Result<void>(std::span<const ScannedFile>)>& sink,
    const Call& call) {
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  // Folders end with a slash, so '0', the character behind it, ends the range below one.
  std::string begin(range.folder), end(range.folder);
  while (begin.ends_with('/')) begin.pop_back();
  end = begin.empty() ? std::string("\xff") : begin + "0";
  if (!begin.empty()) begin.push_back('/');
  // From the leaf on that holds the path, or would.
  const SplitPath after =
      range.after.empty() ? SplitPath{begin, std::string_view()} : split_path(range.after);
  ARTCACHE_TRY(sql::Statement * s,
               reading.statement(names_,
                                 "SELECT folder, files FROM {p}scan_{g} WHERE (folder, low) >= "
                                 "(?1, coalesce((SELECT max(low) FROM {p}scan_{g} WHERE folder = "
                                 "?1 AND low <= ?2), ?2)) AND folder < ?3 ORDER BY folder, low"));
  s->bind(0, after.folder).bind(1, after.name).bind(2, std::string_view(end));
  std::vector<ScannedFile> files;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) return {};
    ARTCACHE_CHECK(call.check("index: scan table", *deps_.clock));
    ARTCACHE_TRY(ScanLeaf leaf, ScanLeaf::parse(s->blob(1), std::move(files)));
    files = std::move(leaf).take();
    const std::string_view under = s->text(0);
    if (!range.after.empty() && under == after.folder)
      std::erase_if(files, [&](const ScannedFile& file) { return file.path <= after.name; });
    for (ScannedFile& file : files) file.path.insert(0, under);
    if (!files.empty()) ARTCACHE_CHECK(sink(files));
  }
}

Result<void> Index::add_intent(const Intent& intent, const Call& call) {
  return writer_.add_intent(intent, call);
}

Result<std::vector<Intent>> Index::intents(const Call& call) {
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  ARTCACHE_TRY(sql::Statement * s,
               reading.statement(names_,
                                 "SELECT file_id, path, operation, begun_at FROM {p}intent "
                                 "ORDER BY begun_at, file_id"));
  std::vector<Intent> all;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) return all;
    Intent& intent = all.emplace_back();
    ARTCACHE_TRY(intent.id, read_id(*s, 0));
    intent.path = s->text(1);
    intent.operation = static_cast<Intent::Operation>(s->integer(2));
    intent.begun_at = Timestamp(std::chrono::microseconds(s->integer(3)));
  }
}

Result<void> Index::set_note(std::string_view name, std::string_view text, std::uint64_t fence,
                             const Call& call) {
  if (name.empty() || std::max(name.size(), text.size()) > kNoteMost)
    return Error{Errc::invalid_argument, "index: note: its name or its text is too long"};
  const auto work = [&](sql::Connection& connection, HeadRow&) -> Result<void> {
    ARTCACHE_CHECK(check_fence(connection, names_, fence));
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(
                     names_.text(text.empty() ? "DELETE FROM {p}note WHERE name = ?"
                                              : "INSERT OR REPLACE INTO {p}note VALUES(?, ?)")));
    s->bind(0, name);
    if (!text.empty()) s->bind(1, text);
    ARTCACHE_CHECK(s->run());
    return {};
  };
  ARTCACHE_CHECK(writer_.exclusively(work, call, Writer::Durability::with_the_next));
  return {};
}

Result<void> Index::drop_notes(std::string_view prefix, std::uint64_t fence, const Call& call) {
  const auto work = [&](sql::Connection& connection, HeadRow&) -> Result<void> {
    ARTCACHE_CHECK(check_fence(connection, names_, fence));
    ARTCACHE_TRY(sql::Statement * s,
                 connection.prepare(
                     names_.text("DELETE FROM {p}note WHERE substr(name, 1, length(?)) = ?")));
    s->bind(0, prefix).bind(1, prefix);
    ARTCACHE_CHECK(s->run());
    return {};
  };
  ARTCACHE_CHECK(writer_.exclusively(work, call, Writer::Durability::with_the_next));
  return {};
}

Result<void> Index::set_suspect(std::string_view reason, std::uint64_t fence, const Call& call) {
  const auto work = [&](sql::Connection& connection, HeadRow& row) -> Result<void> {
    ARTCACHE_CHECK(check_fence(connection, names_, fence));
    row.head.suspect_reason = reason;
    return {};
  };
  ARTCACHE_CHECK(writer_.exclusively(work, call));
  return {};
}

Result<void> Index::trust(const IndexHead& seen, std::uint64_t fence, const Call& call) {
  const auto work = [&](sql::Connection& connection, HeadRow& row) -> Result<void> {
    ARTCACHE_CHECK(check_fence(connection, names_, fence));
    // A bulk load is the only reset here, and each moves the generation.
    if (row.head.suspect_reason == seen.suspect_reason &&
        row.head.position.epoch == seen.position.epoch && row.head.generation == seen.generation)
      row.head.suspect_reason.clear();
    return {};
  };
  ARTCACHE_CHECK(writer_.exclusively(work, call));
  return {};
}

}  // namespace artcache::sqlite
