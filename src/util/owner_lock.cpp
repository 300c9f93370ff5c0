// SPDX-License-Identifier: Apache-2.0
#include "util/owner_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "util/try.hpp"
#include "util/utf8.hpp"

namespace artcache::util {
namespace {

constexpr std::size_t kPathShown = 300;

Error failure(std::string_view operation, const std::string& path, std::string_view cause,
              Errc code) {
  std::string message = "owner lock: ";
  message.append(operation).append(" '").append(printable(path, kPathShown)).append("': ");
  return Error{code, message.append(cause)};
}

Error failure(std::string_view operation, const std::string& path, int code) {
  const std::string cause =
      code == ELOOP ? "is a symbolic link" : std::generic_category().message(code);
  if (code == ELOOP || code == EISDIR || code == ENXIO)
    return failure(operation, path, cause, Errc::invalid_argument);
  if (code == ENOSPC || code == EDQUOT) return failure(operation, path, cause, Errc::no_space);
  return failure(operation, path, cause, Errc::unavailable);
}

/// An open file of its own each time: that is what the kernel's locks belong to.
Fd open_file(const std::string& path, int create) {
  const int flags = create | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  return Fd(retried([&] { return ::open(path.c_str(), flags, S_IRUSR | S_IWUSR); }));
}

Result<std::string> place_of(const Fd& fd, const std::string& boot, const std::string& path) {
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return failure("stat", path, errno);
  if (!S_ISREG(info.st_mode))
    return failure("open", path, "is no regular file", Errc::invalid_argument);
  return boot + "/" + std::to_string(info.st_dev) + "/" + std::to_string(info.st_ino);
}

struct flock one_byte(std::uint64_t number, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(number);
  lock.l_len = 1;
  return lock;
}

Result<void> check_number(std::uint64_t number, const std::string& path) {
  if (number > 0 && number <= OwnerLocks::kNumberMost) return {};
  return failure("use", path, std::to_string(number) + " is no number to be held",
                 Errc::invalid_argument);
}

/// "boot/device/inode" without what follows the first slash.
std::string_view boot_of(std::string_view place) { return place.substr(0, place.find('/')); }

}  // namespace

std::string boot_id() {
  const Fd fd(
      retried([] { return ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC); }));
  std::array<char, 64> text{};
  const ssize_t got =
      fd ? retried([&] { return ::read(fd.get(), text.data(), text.size()); }) : ssize_t{-1};
  if (got <= 0) return {};
  std::string id(text.data(), static_cast<std::size_t>(got));
  id.erase(id.find_last_not_of('\n') + 1);
  return id;
}

OwnerLock::OwnerLock(Fd fd, std::uint64_t number, std::string place)
    : fd_(std::move(fd)), number_(number), process_(::getpid()), place_(std::move(place)) {}

OwnerLock& OwnerLock::operator=(OwnerLock&& other) noexcept {
  if (this != &other) {
    release();
    fd_ = std::move(other.fd_);
    number_ = other.number_;
    process_ = other.process_;
    place_ = std::move(other.place_);
  }
  return *this;
}

void OwnerLock::release() {
  // Unlocked by hand, since a child between fork and exec has the file open too and closing would
  // not do; in the child itself that would take the lock from the parent, so there it is closed.
  if (fd_ && process_ == ::getpid()) {
    struct flock lock = one_byte(number_, F_UNLCK);
    (void)::fcntl(fd_.get(), F_OFD_SETLK, &lock);
  }
  fd_.reset();
}

Result<OwnerLocks> OwnerLocks::open(std::string path) {
  OwnerLocks out;
  out.path_ = std::move(path);
  out.boot_ = boot_id();
  out.probe_ = open_file(out.path_, O_CREAT);
  if (!out.probe_) return failure("open", out.path_, errno);
  ARTCACHE_TRY(out.place_, place_of(out.probe_, out.boot_, out.path_));
  return out;
}

Result<OwnerLock> OwnerLocks::hold(std::uint64_t number) const {
  ARTCACHE_CHECK(check_number(number, path_));
  Fd fd = open_file(path_, O_CREAT);
  if (!fd) return failure("open", path_, errno);
  ARTCACHE_TRY(std::string place, place_of(fd, boot_, path_));
  struct flock lock = one_byte(number, F_WRLCK);
  if (retried([&] { return ::fcntl(fd.get(), F_OFD_SETLK, &lock); }) != 0) {
    if (errno != EAGAIN && errno != EACCES) return failure("lock", path_, errno);
    return failure("lock", path_, std::to_string(number) + " is held already", Errc::conflict);
  }
  return OwnerLock(std::move(fd), number, std::move(place));
}

Result<OwnerLocks::State> OwnerLocks::probe(std::string_view place, std::uint64_t number) const {
  ARTCACHE_CHECK(check_number(number, path_));
  if (boot_.empty() || boot_of(place).empty()) return State::unknown;
  if (boot_of(place) != boot_) return State::free;
  Fd other;
  const Fd* file = &probe_;
  if (place != place_) {
    // Somebody removed the file under us and holders live in a new one. Or it is a copied database.
    other = open_file(path_, 0);
    if (!other) return State::unknown;
    ARTCACHE_TRY(const std::string now, place_of(other, boot_, path_));
    if (place != now) return State::unknown;
    file = &other;
  }
  struct flock lock = one_byte(number, F_WRLCK);
  if (retried([&] { return ::fcntl(file->get(), F_OFD_GETLK, &lock); }) != 0)
    return failure("probe", path_, errno);
  return lock.l_type == F_UNLCK ? State::free : State::held;
}

}  // namespace artcache::util
