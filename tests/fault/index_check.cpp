// SPDX-License-Identifier: Apache-2.0
#include "fault/index_check.hpp"

#include "support/sample_entry.hpp"
#include "util/try.hpp"

namespace artcache::test {
namespace {

std::string rows_differ(MetadataStore& index, std::vector<FileEntry>* entries) {
  const auto head = index.head({});
  if (!head) return "head: " + to_string(head.error());
  Digest digest;
  std::uint64_t count = 0;
  const auto add = [&](std::span<const KeyAndHash> rows) -> Result<void> {
    for (const KeyAndHash& row : rows) digest += Digest::of(to_string(row.id), row.hash);
    count += rows.size();
    return {};
  };
  const auto at = index.scan(add, {});
  if (!at) return "scan: " + to_string(at.error());
  if (*at != head->position) return "scan: at another position than the head";
  if (digest != head->position.digest) return "the digest is not the sum over the rows";
  if (count != head->count) return "the head counts other rows than a scan";

  const auto page = index.page({.limit = kPageMost}, {});
  if (!page) return "page: " + to_string(page.error());
  std::uint64_t bytes = 0;
  for (const IndexedEntry& row : page->entries) {
    bytes += row.entry.file_size;
    if (content_hash(row.entry) != row.hash) return "a row has another hash than its content";
    const auto found = index.find(row.entry.id, {});
    if (!found) return "find: " + to_string(found.error());
    if (!*found || (*found)->entry != row.entry) return "find gives another row than a page";
    entries->push_back(row.entry);
  }
  if (page->entries.size() != count || bytes != head->bytes) return "count or bytes are wrong";
  return {};
}

std::string log_is_broken(MetadataStore& index, const Position* known) {
  const auto head = index.head({});
  if (!head) return "head: " + to_string(head.error());
  Position at{head->position.epoch, 0, Digest()};
  if (head->oldest_seq > 1) at = head->position;
  if (known != nullptr) at = *known;
  for (;;) {
    const auto slice = index.read_after(at, 50, {});
    if (!slice) return "log: " + to_string(slice.error());
    for (const LogRow& row : slice->rows) {
      if (row.position.seq != at.seq + 1) return "log: a hole before " + to_string(row.position);
      at = row.position;
    }
    if (slice->rows.empty()) break;
  }
  return at == head->position ? "" : "the log ends at another position than the head";
}

std::string search_misses(MetadataStore& index, const std::vector<FileEntry>& entries) {
  for (const char* text : {"plan", "final", "договор", "номер", "finance", "changed"}) {
    const auto query = search_query(text, MatchMode::words);
    if (!query) return "query: " + to_string(query.error());
    std::set<FileId> expected, seen;
    for (const FileEntry& entry : entries)
      if (search_rank(*query, entry) > 0) expected.insert(entry.id);
    const auto page = index.search({.query = text, .limit = kPageMost}, {});
    if (!page) return "search: " + to_string(page.error());
    for (const IndexedEntry& row : page->entries) seen.insert(row.entry.id);
    if (seen != expected || page->total != expected.size())
      return std::string("search finds other entries than a scan: ") + text;
  }
  return {};
}

std::string scan_table_lies(MetadataStore& index) {
  std::string problem;
  const auto look = [&](std::span<const ScannedFile> files) -> Result<void> {
    for (const ScannedFile& file : files) {
      const std::string_view path = file.path;
      ARTCACHE_TRY(const auto found, index.find_scanned({{path}}, {}));
      if (!found.front() || found.front()->id != file.id) problem = "scan table: lost " + file.path;
    }
    return {};
  };
  const auto read = index.scan_table({}, look, {});
  return read ? problem : "scan table: " + to_string(read.error());
}

}  // namespace

std::string contradiction(MetadataStore& index, const Position* known) {
  std::vector<FileEntry> entries;
  if (auto problem = rows_differ(index, &entries); !problem.empty()) return problem;
  if (auto problem = log_is_broken(index, known); !problem.empty()) return problem;
  if (auto problem = search_misses(index, entries); !problem.empty()) return problem;
  return scan_table_lies(index);
}

Result<Moment> moment_of(MetadataStore& index) {
  Moment moment;
  ARTCACHE_TRY(const IndexHead head, index.head({}));
  moment.seq = head.position.seq;
  moment.count = head.count;
  moment.bytes = head.bytes;
  moment.digest = head.position.digest;
  moment.suspect_reason = head.suspect_reason;
  ARTCACHE_TRY(const EntryPage page, index.page({.limit = kPageMost}, {}));
  for (const IndexedEntry& row : page.entries)
    moment.entries[to_string(row.entry.id)] = to_string(row.hash) + " " +
                                              std::to_string(row.revision) + " " +
                                              std::to_string(row.freshness.refreshed_at.micros());
  const auto note = [&](std::span<const ScannedFile> files) -> Result<void> {
    for (const ScannedFile& file : files)
      moment.scanned[file.path] = to_string(file.id) + " " + to_string(file.hash);
    return {};
  };
  ARTCACHE_CHECK(index.scan_table({}, note, {}));
  ARTCACHE_TRY(const auto intents, index.intents({}));
  for (const Intent& intent : intents) moment.intents.insert(to_string(intent.id) + intent.path);
  return moment;
}

std::vector<BulkLoad::Row> bulk_rows(std::uint64_t from, std::uint64_t to) {
  std::vector<BulkLoad::Row> rows;
  for (std::uint64_t n = from; n < to; ++n) {
    PreparedEntry put = prepare(sample_entry(n));
    ScannedFile scanned = scanned_of(put);
    rows.push_back({std::move(put), sample_freshness(), std::move(scanned)});
  }
  return rows;
}

std::string does_not_go_on(MetadataStore& index) {
  const EntryChange change = put_of(sample_entry(7000));
  const ScannedFile file = scanned_of(change.put);
  const auto applied = index.apply({.changes = {{change}}, .scanned = {{file}}}, {});
  if (!applied) return "apply afterwards: " + to_string(applied.error());
  auto bulk = index.bulk_load(100'000, 0, {});
  if (!bulk) return "bulk load afterwards: " + to_string(bulk.error());
  const auto added = (*bulk)->add(bulk_rows(7000, 7010), {});
  if (!added) return "bulk load afterwards: " + to_string(added.error());
  const auto finished = (*bulk)->finish({});
  if (!finished) return "bulk load afterwards: " + to_string(finished.error());
  // Beside them stands what a load that was cut short has left: this one has gone on with it.
  for (std::uint64_t n = 7000; n < 7010; ++n) {
    const auto found = index.find(sample_id(n), {});
    if (!found || !*found) return "bulk load afterwards: a row that was loaded is missing";
  }
  return contradiction(index);
}

}  // namespace artcache::test
