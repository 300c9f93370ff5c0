// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/peers.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

namespace artcache::sqlite {
namespace {

constexpr std::chrono::microseconds kStepBehind{500};  // of those who wait to be next
constexpr std::chrono::microseconds kStepNext{100};    // of the one who is
/// So many steps in which nobody writes, and who is next does not either: it is not running.
constexpr int kStuckSteps = 40;
/// So many for one who closes an index, who writes once and waits for nobody long.
constexpr int kLeavingSteps = 2000;
/// So many steps for one who writes: then SQLite may tell whether somebody still does.
constexpr int kWritingSteps = 2500;

struct flock one_byte(std::uint64_t byte, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(byte);
  lock.l_len = 1;
  return lock;
}

util::Fd open_file(const std::string& path, const std::string& database) {
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  struct stat info {};
  if (::stat(database.c_str(), &info) != 0) return {};
  const mode_t mode = info.st_mode & 0666;
  util::Fd file(util::retried([&] { return ::open(path.c_str(), flags, mode); }));
  // The mask of the process must not keep out those who may write to the database.
  struct stat made {};
  if (file && ::fstat(file.get(), &made) == 0 && (made.st_mode & 0777) != mode)
    (void)::fchmod(file.get(), mode);
  return file;
}

}  // namespace

Peers Peers::beside(const std::string& database, Logger& logger) {
  Peers peers;
  peers.alone_ = false;
  const std::string path = database + "-peers";
  peers.file_ = open_file(path, database);
  if (!peers.file_)
    logger.log({.level = LogLevel::warning,
                .logger = "index",
                .message = "writers of several processes are not kept in order",
                .fields = {},
                .request_id = {}});
  return peers;
}

bool Peers::lock(Byte byte, Kind kind) const {
  struct flock lock =
      one_byte(static_cast<std::uint64_t>(byte), kind == Kind::alone ? F_WRLCK : F_RDLCK);
  return util::retried([&] { return ::fcntl(file_.get(), F_OFD_SETLK, &lock); }) == 0;
}

bool Peers::lock_within_a_second(Byte byte, Kind kind) const {
  for (int step = 0; step < kLeavingSteps; ++step) {
    if (lock(byte, kind)) return true;
    std::this_thread::sleep_for(kStepBehind);
  }
  return false;
}

void Peers::unlock(Byte byte) const {
  struct flock lock = one_byte(static_cast<std::uint64_t>(byte), F_UNLCK);
  (void)::fcntl(file_.get(), F_OFD_SETLK, &lock);
}

bool Peers::is_locked(Byte byte) const {
  if (!file_) return false;
  struct flock lock = one_byte(static_cast<std::uint64_t>(byte), F_WRLCK);
  return util::retried([&] { return ::fcntl(file_.get(), F_OFD_GETLK, &lock); }) == 0 &&
         lock.l_type != F_UNLCK;
}

Peers::Turn::~Turn() {
  if (peers_ != nullptr && peers_->file_) peers_->unlock(Byte::writing);
}

Peers::Turn Peers::take_turn(const Call& call, const Clock& clock) const {
  Turn turn(*this);
  if (!file_ || !wait_to_be_next(call, clock)) return turn;
  wait_to_write(call, clock);
  unlock(Byte::waiting);
  return turn;
}

bool Peers::wait_to_be_next(const Call& call, const Clock& clock) const {
  for (int idle = 0; idle < kStuckSteps;) {
    if (lock(Byte::waiting)) return true;
    if (!call.check("index: wait to write", clock)) return false;
    idle = is_locked(Byte::writing) ? 0 : idle + 1;
    std::this_thread::sleep_for(kStepBehind);
  }
  return false;
}

void Peers::wait_to_write(const Call& call, const Clock& clock) const {
  for (int step = 0; step < kWritingSteps; ++step) {
    if (lock(Byte::writing) || !call.check("index: wait to write", clock)) return;
    std::this_thread::sleep_for(kStepNext);
  }
}

bool Peers::somebody_waits() const { return is_locked(Byte::waiting); }

void Peers::enter(std::uint64_t index) {
  const auto byte = static_cast<Byte>(static_cast<std::uint64_t>(Byte::first_index) + (index >> 2));
  if (file_ && lock_within_a_second(byte, Kind::with_others)) entered_ = byte;
}

/// One leaves at a time: of two who do it at once, each would see the other one still there.
void Peers::leave(const std::function<void()>& last) {
  if (alone_) return last();
  if (!entered_ || !lock_within_a_second(Byte::leaving, Kind::alone)) return;
  if (lock(*entered_)) last();
  unlock(*entered_);
  unlock(Byte::leaving);
  entered_.reset();
}

}  // namespace artcache::sqlite
