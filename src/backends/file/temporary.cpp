// SPDX-License-Identifier: Apache-2.0
#include "backends/file/temporary.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <span>

#include "util/hash.hpp"
#include "util/random.hpp"

namespace artcache::file {
namespace {

/// Names that follow from the target. Who finds them all in use takes any other one.
constexpr int kSlots = 2;
constexpr int kTries = kSlots + 8;

std::string name_of(std::string_view target, int slot) {
  std::string name = ".tmp_";
  if (slot < kSlots) {
    const util::Sha256Bytes sum = util::sha256(target);
    util::append_hex(name, std::span(sum).first(8));
    return name.append("_").append(std::to_string(slot));
  }
  std::array<std::uint8_t, 8> random{};
  util::fill_random(random);
  util::append_hex(name, random);
  return name;
}

bool lock(int fd) {
  return util::retried([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) == 0;
}

/// Between being made and being locked it may have been taken for a leftover.
bool hold(int fd) {
  if (!lock(fd)) return errno != EWOULDBLOCK;
  struct stat found {};
  return ::fstat(fd, &found) != 0 || found.st_nlink > 0;
}

Errno create(int folder, const std::string& name, util::Fd& out) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  out = util::Fd(util::retried([&] { return ::openat(folder, name.c_str(), kFlags, 0644); }));
  return out ? 0 : errno;
}

/// True when the name is free, for now.
bool sweep(int folder, const std::string& name) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const util::Fd file(util::retried([&] { return ::openat(folder, name.c_str(), kFlags); }));
  if (!file) return errno == ENOENT;
  if (!lock(file.get())) return false;
  // Its writer may just have given it its own name, and another one have come.
  struct stat held {
  }, named{};
  if (::fstat(file.get(), &held) != 0 || !S_ISREG(held.st_mode)) return false;
  if (::fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT;
  if (held.st_dev != named.st_dev || held.st_ino != named.st_ino) return false;
  return ::unlinkat(folder, name.c_str(), 0) == 0;
}

}  // namespace

Errno make_temporary(int folder, std::string_view target, Temporary& out) {
  for (int slot = 0; slot < kTries; ++slot) {
    std::string name = name_of(target, slot);
    util::Fd file;
    Errno code = create(folder, name, file);
    if (code == EEXIST && sweep(folder, name)) code = create(folder, name, file);
    if (code != 0 && code != EEXIST) return code;
    if (!file || !hold(file.get())) continue;
    out = {std::move(file), std::move(name)};
    return 0;
  }
  return EEXIST;
}

void sweep_temporaries(int folder, std::string_view target) {
  for (int slot = 0; slot < kSlots; ++slot) (void)sweep(folder, name_of(target, slot));
}

}  // namespace artcache::file
