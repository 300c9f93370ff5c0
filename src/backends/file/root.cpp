// SPDX-License-Identifier: Apache-2.0
#include "backends/file/root.hpp"

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "util/path.hpp"

namespace artcache::file {
namespace {

// RESOLVE_BENEATH can answer EAGAIN when somebody renames folders at that moment.
constexpr int kRaceRetries = 64;

Errno open_beneath(int root, const char* path, int flags, util::Fd& out) {
  // No O_NOFOLLOW: it would make ENOTDIR of a link where RESOLVE_NO_SYMLINKS says ELOOP.
  open_how how{};
  how.flags = static_cast<decltype(how.flags)>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0;; ++attempt) {
    const long fd =
        util::retried([&] { return ::syscall(SYS_openat2, root, path, &how, sizeof how); });
    if (fd >= 0) {
      out = util::Fd(static_cast<int>(fd));
      return 0;
    }
    if (errno != EAGAIN || attempt == kRaceRetries) return errno;
  }
}

// Makes the missing folders of an absolute path; each is durable when its parent is synced.
Errno make_root(const std::string& path) {
  for (std::size_t end = 1; end <= path.size(); ++end) {
    if (end < path.size() && path[end] != '/') continue;
    const std::string folder = path.substr(0, end);
    if (::mkdir(folder.c_str(), 0755) != 0) {
      if (errno == EEXIST) continue;
      return errno;
    }
    const std::string parent = folder.substr(0, std::max<std::size_t>(folder.rfind('/'), 1));
    const util::Fd fd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return errno;
  }
  return 0;
}

}  // namespace

Root::Root(util::Fd fd, std::string path, Resolve resolve)
    : fd_(std::move(fd)), path_(std::move(path)), resolve_(resolve) {}

Result<Root> Root::open(const std::string& path, MissingRoot missing, Resolve resolve) {
  const auto attempt = [&] {
    return util::Fd(util::retried([&] { return ::open(path.c_str(), kFolderFlags); }));
  };
  util::Fd fd = attempt();
  if (!fd && errno == ENOENT && missing == MissingRoot::made) {
    if (const Errno code = make_root(path)) return errno_error(code, "make the root", path);
    fd = attempt();
  }
  if (!fd) {
    Error error = errno_error(errno, "open the root", path);
    if (error.code == Errc::not_found) error.message += "; add create=on to the address to make it";
    return error;
  }
  // Old kernels and sandboxes know no openat2. Asked once, with what cannot fail otherwise, so
  // that no later EPERM has two meanings.
  if (util::Fd probe;
      resolve == Resolve::best && open_beneath(fd.get(), ".", kFolderFlags, probe) != 0)
    resolve = Resolve::components;
  return Root(std::move(fd), path, resolve);
}

Errno Root::open_below(std::string_view path, int flags, util::Fd& out) const {
  if (path.empty()) return open_entry(fd_.get(), ".", flags, out);
  if (resolve_ == Resolve::best)
    return open_beneath(fd_.get(), std::string(path).c_str(), flags, out);
  return open_by_parts(path, flags, out);
}

Errno Root::open_by_parts(std::string_view path, int flags, util::Fd& out) const {
  util::Fd folder;
  for (;;) {
    const std::size_t slash = path.find('/');
    const std::string part(path.substr(0, slash));
    const int from = folder ? folder.get() : fd_.get();
    if (slash == std::string_view::npos) return open_entry(from, part.c_str(), flags, out);
    util::Fd next;
    if (const Errno code = open_entry(from, part.c_str(), kFolderFlags, next)) return code;
    folder = std::move(next);
    path.remove_prefix(slash + 1);
  }
}

Errno open_entry(int folder, const char* name, int flags, util::Fd& out) {
  const int all = flags | O_NOFOLLOW | O_CLOEXEC;
  const int fd = util::retried([&] { return ::openat(folder, name, all); });
  if (fd >= 0) {
    out = util::Fd(fd);
    return 0;
  }
  const Errno code = errno;
  // O_DIRECTORY makes ENOTDIR of a link.
  struct stat found {};
  if (code == ENOTDIR && ::fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISLNK(found.st_mode))
    return ELOOP;
  return code;
}

SplitPath split(std::string_view path) {
  const std::size_t slash = util::last_slash(path);
  if (slash == std::string_view::npos) return {{}, path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace artcache::file
