// SPDX-License-Identifier: Apache-2.0
#include "backends/file/folders.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <string>

#include "util/try.hpp"

namespace artcache::file {
namespace {

constexpr int kSyncableFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

}  // namespace

Errno Folders::sync(int fd) const {
  if (sync_ == Sync::off) return 0;
  return util::retried([&] { return ::fsync(fd); }) == 0 ? 0 : errno;
}

Result<util::Fd> Folders::open_or_make(std::string_view folder) {
  util::Fd fd;
  Errno code = 0;
  {
    const std::shared_lock nobody_makes_folders(making_);
    code = root_.open_below(folder, kSyncableFlags, fd);
  }
  if (code == 0) return fd;
  if (code != ENOENT) return errno_error(code, "open folder", folder);
  const std::scoped_lock alone(making_);
  return make(folder);
}

Result<util::Fd> Folders::make(std::string_view folder) {
  util::Fd at;
  if (const Errno code = root_.open_below("", kSyncableFlags, at))
    return errno_error(code, "open folder", root_.path());
  for (std::size_t begin = 0; begin < folder.size();) {
    const std::size_t end = std::min(folder.find('/', begin), folder.size());
    ARTCACHE_TRY(at, enter_or_make(at, folder.substr(0, end), folder.substr(begin, end - begin)));
    begin = end + 1;
  }
  return at;
}

Result<util::Fd> Folders::enter_or_make(const util::Fd& parent, std::string_view path,
                                        std::string_view name_in_parent) const {
  const std::string name(name_in_parent);
  if (::mkdirat(parent.get(), name.c_str(), 0755) == 0) {
    if (const Errno code = sync(parent.get())) {
      // It must not stay: whoever finds it would take it for durable.
      (void)::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR);
      return errno_error(code, "sync the folder of", path);
    }
  } else if (errno != EEXIST) {
    return errno_error(errno, "make folder", path);
  }
  util::Fd fd;
  if (const Errno code = open_entry(parent.get(), name.c_str(), kSyncableFlags, fd))
    return errno_error(code, "open folder", path);
  return fd;
}

}  // namespace artcache::file
