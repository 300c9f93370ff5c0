// SPDX-License-Identifier: Apache-2.0
// Whether the process behind a number still lives, as the kernel knows it: no pid, no heartbeat.
#pragma once

#include <sys/types.h>

#include <artcache/result.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "util/fd.hpp"

namespace artcache::util {

/// Names this run of this machine's kernel; empty where the kernel does not tell. Containers on one
/// machine see the same.
std::string boot_id();

/// The file as it was opened: kernel locks belong to this opening of it, and `place` names it to
/// others.
struct OwnerFile {
  Fd fd;
  dev_t device = 0;
  ino_t inode = 0;
  std::string place;
  std::chrono::steady_clock::time_point looked = {};  ///< for it under its name, after the opening
};

/// Open files in which nothing is held, for the next who holds a number.
class IdleOwnerFiles;

/// A number held. The kernel lets go of it the moment the process ends, however it ends, and not
/// while it is merely stopped. A thread may use and destroy it, another one at a time.
class OwnerLock {
 public:
  OwnerLock() = default;
  ~OwnerLock() { release(); }
  OwnerLock(OwnerLock&& other) noexcept = default;
  OwnerLock& operator=(OwnerLock&& other) noexcept;

  /// Gives the number back. Repeating it does nothing.
  void release();
  [[nodiscard]] bool holds() const { return static_cast<bool>(file_.fd); }
  [[nodiscard]] std::uint64_t number() const { return number_; }
  /// Kernel and file in which it is held, until it is released: goes into the record that others
  /// read, for probe().
  [[nodiscard]] const std::string& place() const { return file_.place; }

 private:
  friend class OwnerLocks;
  OwnerLock(OwnerFile file, std::uint64_t number, std::uint64_t process,
            std::shared_ptr<IdleOwnerFiles> idle);

  OwnerFile file_;
  std::uint64_t number_ = 0;
  std::uint64_t process_ = 0;
  std::shared_ptr<IdleOwnerFiles> idle_;
};

/// The file in which numbers are held: an empty one of its own, one byte of its address space a
/// number, mode 0600. It is made when it is not there, never removed, and never the database: a
/// process that closes any descriptor of an SQLite file drops SQLite's locks on it.
///
/// Locks belong to an open file (F_OFD_SETLK), so two in one process exclude and see each other
/// like two processes. After fork without exec a child's copies are invalid: it may only destroy
/// them, which leaves the parent's locks alone; but until the child execs, exits or destroys its
/// copies the parent's numbers may stay held even if the parent dies. Exec closes them.
///
/// When somebody removes the file the next number is held in a new one, when it is moved aside the
/// numbers after a second; those in the old one are unknown to who opens the new one.
///
/// Safe to call from any thread.
class OwnerLocks {
 public:
  static constexpr std::uint64_t kNumberMost = (std::uint64_t{1} << 63) - 2;

  /// Errors: invalid_argument (a symbolic link, not a regular file), unavailable (the cause),
  /// no_space.
  static Result<OwnerLocks> open(std::string path);

  /// Takes a number, without waiting. To be done before others can read the record that names it,
  /// or they would find it free. Errors: conflict (held already), those of open(), and
  /// invalid_argument (0, or above kNumberMost).
  [[nodiscard]] Result<OwnerLock> hold(std::uint64_t number) const;

  enum class State : std::uint8_t {
    held,     ///< its process is there, perhaps stopped
    free,     ///< whoever held it there is gone for good
    unknown,  ///< `place` is another file of this kernel, or none: not to be judged from here
  };
  /// Never changes what it looks at. A place of another boot is free: nobody survives that. So it
  /// is only for records that no other machine can have written. Errors: unavailable,
  /// invalid_argument.
  [[nodiscard]] Result<State> probe(std::string_view place, std::uint64_t number) const;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  OwnerLocks() = default;

  [[nodiscard]] Result<OwnerFile> open_file() const;

  std::string path_, boot_;
  OwnerFile probe_;
  std::shared_ptr<IdleOwnerFiles> idle_;
};

}  // namespace artcache::util
