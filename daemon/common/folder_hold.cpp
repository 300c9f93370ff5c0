// SPDX-License-Identifier: Apache-2.0
#include "common/folder_hold.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "util/host_name.hpp"

namespace artcache {
namespace {

/// Who wrote it: "process 4242 on host-1". Not yet written: nobody that could be named.
std::string holder_in(int file) {
  char text[256];
  const auto size = util::retried([&] { return ::pread(file, text, sizeof text, 0); });
  std::string holder(text, size > 0 ? static_cast<std::size_t>(size) : 0);
  holder.erase(std::min(holder.find('\n'), holder.size()));
  return holder.empty() ? "another process" : holder;
}

/// For whoever is refused. The lock counts without it, so a full disk keeps nobody from starting.
void write_down(int file) {
  const std::string holder =
      "process " + std::to_string(::getpid()) + " on " + util::host_name() + "\n";
  if (::ftruncate(file, 0) != 0) return;
  const auto written =
      util::retried([&] { return ::pwrite(file, holder.data(), holder.size(), 0); });
  if (written != static_cast<ssize_t>(holder.size())) (void)::ftruncate(file, 0);
}

}  // namespace

Result<FolderHold> FolderHold::take(const std::filesystem::path& folder) {
  const std::string path = (folder / "artcached.lock").string();
  util::Fd file(util::retried(
      [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640); }));
  if (!file) return Error{Errc::unavailable, "'" + path + "': " + std::strerror(errno)};
  if (util::retried([&] { return ::flock(file.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK)
      return Error{Errc::unavailable, "'" + path + "' cannot be locked: " + std::strerror(errno)};
    return Error{Errc::busy, "the folder '" + folder.string() + "' is held by " +
                                 holder_in(file.get()) +
                                 "; stop that one, or name another folder with --data"};
  }
  write_down(file.get());
  return FolderHold(std::move(file));
}

}  // namespace artcache
