// SPDX-License-Identifier: Apache-2.0
// Uploads a file, finds it by a word, tags it, reads it back verified, and removes it.
#include <array>
#include <artcache/backends.hpp>
#include <artcache/file_service.hpp>
#include <artcache/lock_manager.hpp>
#include <cstdio>

using namespace artcache;

namespace {

Result<void> read_back(FileService& files, const FileId& id, const Call& call) {
  auto download = files.download(id, {.verify = Verify::yes}, call);
  if (!download) return download.error();
  std::array<std::byte, 4096> buffer{};
  std::size_t total = 0;
  while (true) {
    const auto bytes = (*download)->read(buffer, call);
    if (!bytes) return bytes.error();  // corrupt, when these are not the bytes that were uploaded
    if (*bytes == 0) break;
    total += *bytes;
  }
  std::printf("read %zu bytes, and they are right\n", total);
  return {};
}

Result<void> use(FileService& files, const Call& call) {
  UploadRequest request;
  request.original_filename = "quarterly_report-2024.final.pdf";
  request.content_type = "application/pdf";
  request.created_by_id = request.created_by_username = "a.smith";
  MemorySource source("%PDF-1.7 and so on");
  const auto uploaded = files.upload(request, source, call);
  if (!uploaded) return uploaded.error();
  const FileId id = uploaded->entry.id;

  const auto found = files.search({.query = "reports"}, call);
  if (!found) return found.error();
  for (const IndexedEntry& hit : found->entries)
    std::printf("found %s\n", hit.entry.data_path().c_str());

  UpdateRequest update;
  update.changes.tags = {"finance"};
  update.base = uploaded->revision;  // a conflict if somebody else was quicker
  if (const auto updated = files.update(id, update, call); !updated) return updated.error();
  if (const auto read = read_back(files, id, call); !read) return read;
  return files.remove(id, call);
}

Result<void> run(const char* storage_address, const char* index_address) {
  const Call call = Call{}.within(std::chrono::seconds(30));
  const Backends backends = Backends::builtin();
  const auto storage_url = Url::parse(storage_address), index_url = Url::parse(index_address);
  if (!storage_url) return storage_url.error();
  if (!index_url) return index_url.error();
  const auto storage = backends.open_storage(*storage_url, {}, call);
  if (!storage) return storage.error();
  const auto index = backends.open_index(*index_url, {}, call);
  if (!index) return index.error();
  const auto locks = make_lock_manager(*(*index)->locks(), {});
  if (!locks) return locks.error();

  FileService files(**storage, **index, **locks, {.element = "se-01"}, {});
  const auto recovered = files.recover(call);
  if (!recovered) return recovered.error();
  return use(files, call);
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = run(argc > 1 ? argv[1] : "mem:", argc > 2 ? argv[2] : "mem:");
  if (done) return 0;
  std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  return exit_code(done.error().code);
}
