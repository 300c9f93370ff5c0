// SPDX-License-Identifier: Apache-2.0
// Puts an entry into an index, finds it by a word, and reads the change back from the log.
#include <artcache/backends.hpp>
#include <artcache/metadata_store.hpp>
#include <cstdio>

using namespace artcache;

namespace {

FileEntry make_entry() {
  FileEntry entry;
  entry.id = FileId::mint(system_clock());
  entry.original_filename = "quarterly_report-2024.final.pdf";
  entry.storage_filename = "report.pdf";
  entry.storage_path = "2026/03/02/10/";
  entry.content_type = "application/pdf";
  entry.created_at = entry.updated_at = system_clock().now();
  entry.created_by_id = entry.created_by_username = "a.smith";
  entry.tags = {"finance"};
  return entry;
}

Result<void> run(const char* address) {
  const Call call = Call{}.within(std::chrono::seconds(30));
  const auto url = Url::parse(address);
  if (!url) return url.error();
  const auto opened = Backends::builtin().open_index(*url, Deps{}, call);
  if (!opened) return opened.error();
  MetadataStore& index = **opened;
  const auto before = index.head(call);
  if (!before) return before.error();

  // Entry, log row and head are one transaction; what was prepared is hashed once.
  EntryChange change;
  change.put = prepare(make_entry());
  change.id = change.put.entry.id;
  change.freshness = {system_clock().now(), 24};
  change.base = 0;  // it must not be there yet
  const auto applied = index.apply({.changes = {&change, 1}}, call);
  if (!applied) return applied.error();

  const auto found = index.search({.query = "reports finance"}, call);
  if (!found) return found.error();
  for (const IndexedEntry& hit : found->entries)
    std::printf("found %s\n", hit.entry.original_filename.c_str());

  const auto log = index.read_after(before->position, 10, call);
  if (!log) return log.error();
  for (const LogRow& row : log->rows)
    std::printf("log %llu: %s\n", static_cast<unsigned long long>(row.position.seq),
                row.record.key == to_string(change.id) ? "this file" : "another");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = run(argc > 1 ? argv[1] : "mem:");
  if (done) return 0;
  std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return exit_code(done.error().code);
}
