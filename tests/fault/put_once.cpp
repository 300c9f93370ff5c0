// SPDX-License-Identifier: Apache-2.0
// One put between two marks that a tracer can see, for put_faults_test.py.
//   put_once URL PATH SIZE SEED replace|must_not_exist     puts SIZE bytes that follow from SEED
//   put_once URL --remove PATH                             removes it, or finds nothing there
//   put_once URL --list                                    prints what a listing shows
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <artcache/backends.hpp>
#include <artcache/storage_backend.hpp>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

// Takes the place of libc's in this program. With PUT_ONCE_SHORT=N no write takes more than N
// bytes, as on a file system that is nearly full or a network one.
extern "C" ssize_t write(int fd, const void* bytes, std::size_t size) {
  static const char* const most = std::getenv("PUT_ONCE_SHORT");
  if (most != nullptr)
    size = std::min(size, static_cast<std::size_t>(std::strtoul(most, nullptr, 10)));
  return ::syscall(SYS_write, fd, bytes, size);
}

namespace {

int failed(const artcache::Error& error) {
  std::fprintf(stderr, "%s [%s]\n", to_string(error).c_str(),
               error.outcome == artcache::Outcome::unknown ? "unknown" : "not_applied");
  return artcache::exit_code(error.code);
}

int list(artcache::StorageBackend& storage) {
  std::mutex mutex;
  const auto show = [&](const artcache::ListBatch& batch) {
    const std::scoped_lock guard(mutex);
    for (const auto& file : batch.files)
      std::printf("%.*s\n", static_cast<int>(file.path.size()), file.path.data());
    for (const auto& problem : batch.problems) std::printf("problem: %s\n", problem.path.c_str());
    return artcache::Result<void>();
  };
  const auto result = storage.list({"", artcache::ListWhat::all}, show, {});
  return result ? 0 : failed(result.error());
}

int put(artcache::StorageBackend& storage, char** arguments) {
  std::string bytes(std::strtoul(arguments[3], nullptr, 10), '\0');
  const auto seed = std::strtoul(arguments[4], nullptr, 10);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 + seed);
  const auto mode = std::string(arguments[5]) == "replace" ? artcache::PutMode::replace
                                                           : artcache::PutMode::must_not_exist;
  (void)::access("/put/begins", F_OK);
  const auto stamp = storage.put({arguments[2], mode}, bytes, {});
  (void)::access("/put/ends", F_OK);
  return stamp ? 0 : failed(stamp.error());
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3 && count != 4 && count != 6) return 64;
  const auto url = artcache::Url::parse(arguments[1]);
  if (!url) return failed(url.error());
  const auto storage = artcache::Backends::builtin().open_storage(*url, {}, {});
  if (!storage) return failed(storage.error());
  if (count == 4) {
    const auto removed = (*storage)->remove(arguments[3], {});
    return removed ? 0 : failed(removed.error());
  }
  return count == 3 ? list(**storage) : put(**storage, arguments);
}
