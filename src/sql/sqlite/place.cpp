// SPDX-License-Identifier: Apache-2.0
#include "sql/sqlite/place.hpp"

#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "util/try.hpp"

namespace artcache::sql {
namespace {

struct RemoteFileSystem {
  std::uint64_t type;
  std::string_view name;
};

/// Where locks and shared memory of two machines do not meet, so that two writers would destroy the
/// file. FUSE (0x65735546) is not among them: its number does not tell sshfs from a local disk.
constexpr std::array kRemote = {
    RemoteFileSystem{0x6969, "NFS"},
    RemoteFileSystem{0x517b, "SMB"},
    RemoteFileSystem{0xff534d42, "CIFS"},
    RemoteFileSystem{0xfe534d42, "SMB2"},
    RemoteFileSystem{0x01021997, "9P"},
    RemoteFileSystem{0x5346414f, "AFS"},
    RemoteFileSystem{0x6b414653, "AFS"},
    RemoteFileSystem{0x73757245, "Coda"},
    RemoteFileSystem{0x564c, "NCP"},
    RemoteFileSystem{0x00c36400, "Ceph"},
    RemoteFileSystem{0x0bd00bd0, "Lustre"},
    RemoteFileSystem{0x47504653, "GPFS"},
    RemoteFileSystem{0x19830326, "BeeGFS"},
    RemoteFileSystem{0x20030528, "OrangeFS"},
    RemoteFileSystem{0xaad7aaea, "PanFS"},
    RemoteFileSystem{0x01161970, "GFS2"},
    RemoteFileSystem{0x7461636f, "OCFS2"},
    RemoteFileSystem{0x786f4256, "VirtualBox shared folder"},
    RemoteFileSystem{0xbacbacbc, "VMware shared folder"},
};

Error failed(Errc code, const std::string& path, std::string cause) {
  return Error{code, "sqlite: open '" + path + "': " + std::move(cause)};
}

Error failed_with_errno(const std::string& path, const std::string& subject) {
  const int code = errno;
  const std::string cause = subject + ": " + std::generic_category().message(code);
  if (code == ENOENT) return failed(Errc::not_found, path, cause + ": create it first");
  const bool wrong = code == ENOTDIR || code == ENAMETOOLONG || code == ELOOP;
  return failed(wrong ? Errc::invalid_argument : Errc::unavailable, path, cause);
}

Result<void> check_folder(const SqliteOptions& options, const std::string& folder) {
  struct stat found {};
  if (::stat(folder.c_str(), &found) != 0)
    return failed_with_errno(options.path, "folder '" + folder + "'");
  if (!S_ISDIR(found.st_mode))
    return failed(Errc::invalid_argument, options.path, "'" + folder + "' is no folder");

  const std::uint64_t type = options.probe(folder);
  const auto* remote = std::find_if(kRemote.begin(), kRemote.end(),
                                    [&](const auto& known) { return known.type == type; });
  if (remote != kRemote.end())
    return failed(Errc::unsupported, options.path,
                  "'" + folder + "' is on a network file system (" + std::string(remote->name) +
                      "), where SQLite's locks do not protect: use a local disk, or postgresql://");

  if (options.mode != SqliteMode::read_only && ::access(folder.c_str(), W_OK | X_OK) != 0)
    return failed(Errc::unavailable, options.path,
                  "folder '" + folder + "' cannot be written (" +
                      std::generic_category().message(errno) +
                      "): SQLite keeps its log beside the database; give write access");
  return {};
}

Result<void> check_file(const SqliteOptions& options) {
  struct stat found {};
  if (::stat(options.path.c_str(), &found) != 0) {
    if (errno == ENOENT && options.mode == SqliteMode::read_write_create) return {};
    if (errno == ENOENT) return failed(Errc::not_found, options.path, "there is no such file");
    return failed_with_errno(options.path, "the file");
  }
  if (S_ISDIR(found.st_mode))
    return failed(Errc::invalid_argument, options.path, "is a folder; name a file in it");
  if (!S_ISREG(found.st_mode))
    return failed(Errc::invalid_argument, options.path, "is no regular file");
  if (::access(options.path.c_str(), R_OK) != 0)
    return failed(Errc::unavailable, options.path, "the file cannot be read: give read access");
  if (options.mode != SqliteMode::read_only && ::access(options.path.c_str(), W_OK) != 0)
    return failed(Errc::unavailable, options.path, "the file cannot be written: give write access");
  return {};
}

bool same(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

std::uint64_t file_system_type(const std::string& folder) {
  struct statfs found {};
  if (::statfs(folder.c_str(), &found) != 0) return 0;
  // Some machines have a signed 32-bit f_type, which must not be extended.
  return static_cast<std::uint32_t>(found.f_type);
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> check_place(const SqliteOptions& options) {
  if (options.path.empty()) return Error{Errc::invalid_argument, "sqlite: open: the path is empty"};
  if (options.path.find('\0') != std::string::npos)
    return Error{Errc::invalid_argument, "sqlite: open: the path has a NUL in it"};
  if (!options.vfs.empty()) return {};
  ARTCACHE_CHECK(check_folder(options, folder_of(options.path)));
  return check_file(options);
}

bool FrozenFile::is_frozen(const std::string& path) {
  return ::access(folder_of(path).c_str(), W_OK) != 0 &&
         ::access((path + "-wal").c_str(), F_OK) != 0;
}

FrozenFile::FrozenFile(std::string path) : path_(std::move(path)) {
  if (::stat(path_.c_str(), &seen_) != 0) seen_ = {};
}

Result<void> FrozenFile::check() const {
  struct stat now {};
  if (::stat(path_.c_str(), &now) == 0 && same(now, seen_) &&
      ::access((path_ + "-wal").c_str(), F_OK) != 0)
    return {};
  return Error{Errc::unavailable, "sqlite: read '" + path_ +
                                      "': somebody writes to it, and its folder does not let us "
                                      "take part: open it again"};
}

}  // namespace artcache::sql
