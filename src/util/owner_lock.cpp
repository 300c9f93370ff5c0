// SPDX-License-Identifier: Apache-2.0
#include "util/owner_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <system_error>
#include <vector>

#include "util/mutex.hpp"
#include "util/process.hpp"
#include "util/try.hpp"
#include "util/utf8.hpp"

namespace artcache::util {
namespace {

constexpr std::size_t kPathShown = 300;
constexpr std::size_t kIdleMost = 4;
constexpr std::chrono::seconds kLookEvery{1};

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

Fd open_fd(const std::string& path, int create) {
  const int flags = create | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  return Fd(retried([&] { return ::open(path.c_str(), flags, S_IRUSR | S_IWUSR); }));
}

/// The file at the path, made when there is none. One that is there is opened without O_CREAT: in a
/// folder with the sticky bit, such as /var/lock, the kernel refuses that even to root when the
/// file is another user's (fs.protected_regular).
Fd open_or_make(const std::string& path) {
  constexpr int kTries = 10;  // somebody else makes it or takes it away in between
  for (int tries = 1;; ++tries) {
    Fd fd = open_fd(path, 0);
    if (fd || errno != ENOENT) return fd;
    fd = open_fd(path, O_CREAT | O_EXCL);
    if (fd || errno != EEXIST || tries == kTries) return fd;
  }
}

/// Where the file is another user's: whom the program is to be run as.
Error refused(const std::string& path, int code) {
  Error error = failure("open", path, code);
  struct stat info {};
  if (code == EACCES && ::lstat(path.c_str(), &info) == 0 && info.st_uid != ::geteuid())
    error.message += "; it belongs to the user with the id " + std::to_string(info.st_uid) +
                     ": all who use one index have to run as one user";
  return error;
}

Result<OwnerFile> described(Fd fd, const std::string& boot, const std::string& path) {
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return failure("stat", path, errno);
  if (!S_ISREG(info.st_mode))
    return failure("open", path, "is no regular file", Errc::invalid_argument);
  std::string place = boot + "/" + std::to_string(info.st_dev) + "/" + std::to_string(info.st_ino);
  return OwnerFile{std::move(fd), info.st_dev, info.st_ino, std::move(place), {}};
}

/// Not when somebody has removed the file meanwhile: others look for holders in the one that is
/// there now. Finding it by its name takes twice as long as asking whether it has one, so that is
/// done now and then.
bool is_at(const std::string& path, OwnerFile& file) {
  struct stat info {};
  if (::fstat(file.fd.get(), &info) != 0 || info.st_nlink == 0) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now - file.looked < kLookEvery) return true;
  file.looked = now;
  return ::lstat(path.c_str(), &info) == 0 && info.st_dev == file.device &&
         info.st_ino == file.inode;
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

class IdleOwnerFiles {
 public:
  IdleOwnerFiles() { files_.reserve(kIdleMost); }
  std::optional<OwnerFile> take(std::uint64_t process) ARTCACHE_EXCLUDES(mutex_) {
    const MutexLock guard(mutex_);
    // After a fork they are the parent's, too, and what is held in them would be held by both.
    if (process_ != process) {
      files_.clear();
      process_ = process;
    }
    if (files_.empty()) return std::nullopt;
    OwnerFile file = std::move(files_.back());
    files_.pop_back();
    return file;
  }
  void give_back(OwnerFile file, std::uint64_t process) noexcept ARTCACHE_EXCLUDES(mutex_) {
    const MutexLock guard(mutex_);
    if (process_ == process && files_.size() < kIdleMost) files_.push_back(std::move(file));
  }

 private:
  Mutex mutex_;
  std::vector<OwnerFile> files_ ARTCACHE_GUARDED_BY(mutex_);
  std::uint64_t process_ ARTCACHE_GUARDED_BY(mutex_) = process_number();
};

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

OwnerLock::OwnerLock(OwnerFile file, std::uint64_t number, std::uint64_t process,
                     std::shared_ptr<IdleOwnerFiles> idle)
    : file_(std::move(file)), number_(number), process_(process), idle_(std::move(idle)) {}

OwnerLock& OwnerLock::operator=(OwnerLock&& other) noexcept {
  if (this != &other) {
    release();
    file_ = std::move(other.file_);
    number_ = other.number_;
    process_ = other.process_;
    idle_ = std::move(other.idle_);
  }
  return *this;
}

void OwnerLock::release() {
  // Unlocked by hand, since a child between fork and exec has the file open too and closing would
  // not do; in the child itself that would take the lock from the parent, so there it is closed.
  if (file_.fd && process_ == process_number()) {
    struct flock lock = one_byte(number_, F_UNLCK);
    if (::fcntl(file_.fd.get(), F_OFD_SETLK, &lock) == 0)
      idle_->give_back(std::move(file_), process_);
  }
  file_.fd.reset();
}

Result<OwnerLocks> OwnerLocks::open(std::string path) {
  OwnerLocks out;
  out.path_ = std::move(path);
  out.boot_ = boot_id();
  out.idle_ = std::make_shared<IdleOwnerFiles>();
  ARTCACHE_TRY(out.probe_, out.open_file());
  return out;
}

Result<OwnerFile> OwnerLocks::open_file() const {
  Fd fd = open_or_make(path_);
  if (!fd) return refused(path_, errno);
  return described(std::move(fd), boot_, path_);
}

Result<OwnerLock> OwnerLocks::hold(std::uint64_t number) const {
  ARTCACHE_CHECK(check_number(number, path_));
  const std::uint64_t process = process_number();
  std::optional<OwnerFile> file = idle_->take(process);
  if (!file || !is_at(path_, *file)) {
    ARTCACHE_TRY(file, open_file());
  }
  struct flock lock = one_byte(number, F_WRLCK);
  if (retried([&] { return ::fcntl(file->fd.get(), F_OFD_SETLK, &lock); }) != 0) {
    if (errno != EAGAIN && errno != EACCES) return failure("lock", path_, errno);
    return failure("lock", path_, std::to_string(number) + " is held already", Errc::conflict);
  }
  return OwnerLock(std::move(*file), number, process, idle_);
}

Result<OwnerLocks::State> OwnerLocks::probe(std::string_view place, std::uint64_t number) const {
  ARTCACHE_CHECK(check_number(number, path_));
  if (boot_.empty() || boot_of(place).empty()) return State::unknown;
  if (boot_of(place) != boot_) return State::free;
  OwnerFile other;
  const OwnerFile* file = &probe_;
  if (place != probe_.place) {
    // Somebody removed the file under us and holders live in a new one. Or it is a copied database.
    Fd fd = open_fd(path_, 0);
    if (!fd) return State::unknown;
    ARTCACHE_TRY(other, described(std::move(fd), boot_, path_));
    if (place != other.place) return State::unknown;
    file = &other;
  }
  struct flock lock = one_byte(number, F_WRLCK);
  if (retried([&] { return ::fcntl(file->fd.get(), F_OFD_GETLK, &lock); }) != 0)
    return failure("probe", path_, errno);
  return lock.l_type == F_UNLCK ? State::free : State::held;
}

}  // namespace artcache::util
