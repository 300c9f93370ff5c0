// SPDX-License-Identifier: Apache-2.0
// Puts a file and its sidecar into each storage named, and lists what is there.
#include <artcache/backends.hpp>
#include <artcache/storage_backend.hpp>
#include <cinttypes>
#include <cstdio>

using namespace artcache;
using namespace std::chrono_literals;

namespace {

constexpr const char* kSidecar = R"({
  "file_id": "0195531c-a0e4-7c3d-9f21-0123456789ab",
  "original_filename": "hello.txt",
  "file_size": 6
})";

// Called with a batch at a time, from several threads; views in it live no longer than the call.
Result<void> print(const ListBatch& batch) {
  for (const ListedFile& file : batch.files)
    std::printf("%8" PRIu64 "  %s\n", file.stamp.size, std::string(file.path).c_str());
  for (const ListProblem& problem : batch.problems)
    std::printf("   skipped  %s: %s\n", problem.path.c_str(), to_string(problem.error).c_str());
  return {};
}

Result<void> store_and_list(const char* address, const Call& call) {
  const auto url = Url::parse(address);
  if (!url) return url.error();
  const auto opened = Backends::builtin().open_storage(*url, Deps{}, call);
  if (!opened) return opened.error();
  StorageBackend& storage = **opened;

  // A file appears whole or not at all. The data first: a sidecar vouches for what is there.
  const std::string path = "2026/03/02/10/hello.txt";
  if (const auto put = storage.put({.path = path}, "hello\n", call); !put) return put.error();
  const PutRequest sidecar{.path = path + std::string(kSidecarSuffix)};
  if (const auto put = storage.put(sidecar, kSidecar, call); !put) return put.error();

  std::printf("%s\n", storage.describe().c_str());
  return storage.list({.folder = "", .what = ListWhat::all}, print, call);
}

}  // namespace

int main(int argc, char** argv) {
  const Call call = Call{}.within(30s);
  int status = 0;
  for (int i = 1; i < argc; ++i) {
    const auto done = store_and_list(argv[i], call);
    if (done) continue;
    std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
    status = exit_code(done.error().code);
  }
  return status;
}
