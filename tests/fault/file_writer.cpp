// SPDX-License-Identifier: Apache-2.0
// Writes, changes and removes files, and is killed before one of its steps.
//
// usage: file_writer STORAGE INDEX STEP upload|update|remove ID
//   kills itself before the STEP-th step of that operation; with STEP 0 it only recovers.
//   Prints "acknowledged" when the operation was answered.
#include <signal.h>
#include <unistd.h>

#include <artcache/backends.hpp>
#include <artcache/file_service.hpp>
#include <artcache/lock_manager.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "support/faulty_index.hpp"
#include "support/faulty_storage.hpp"

using namespace artcache;

namespace {

template <class T>
T open_or_exit(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", to_string(result.error()).c_str());
  std::exit(1);
}

/// Kills the process before the n-th step, counted over storage and index together.
class Killer {
 public:
  void arm(long step) { left_ = step; }
  void step() {
    if (left_ > 0 && --left_ == 0) ::kill(::getpid(), SIGKILL);
  }

 private:
  long left_ = 0;
};

Result<void> work(FileService& files, std::string_view operation, const FileId& id) {
  if (operation == "upload") {
    const std::string bytes(10'000, 'x');
    MemorySource source(bytes);
    const UploadRequest request{
        .id = id, .original_filename = "plan.txt", .created_by_username = "a.smith"};
    const auto done = files.upload(request, source, {});
    return done ? Result<void>() : done.error();
  }
  if (operation == "update") {
    UpdateRequest request;
    request.changes.tags = {"changed"};
    const auto done = files.update(id, request, {});
    return done ? Result<void>() : done.error();
  }
  return files.remove(id, {});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 64;
  const Backends backends = Backends::builtin();
  const auto storage =
      open_or_exit(backends.open_storage(open_or_exit(Url::parse(argv[1])), {}, {}));
  const auto index = open_or_exit(backends.open_index(open_or_exit(Url::parse(argv[2])), {}, {}));
  const auto locks = open_or_exit(make_lock_manager(*index->locks(), {}));
  test::FaultyStorage steps_of_storage(*storage);
  test::FaultyIndex steps_of_index(*index);
  Killer killer;
  steps_of_storage.before_each([&](test::StorageOp, std::string_view) { killer.step(); });
  steps_of_index.before_each([&] { killer.step(); });
  FileService files(steps_of_storage, steps_of_index, *locks, {}, {});
  open_or_exit(files.recover({}));
  const long step = std::strtol(argv[3], nullptr, 10);
  if (step == 0) return 0;
  killer.arm(step);
  const auto done = work(files, argv[4], open_or_exit(FileId::parse(argv[5])));
  if (!done) {
    std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
    return 1;
  }
  std::puts("acknowledged");
  return 0;
}
