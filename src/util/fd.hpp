// SPDX-License-Identifier: Apache-2.0
// A file descriptor that closes itself, and system calls that signals do not disturb.
#pragma once

#include <cerrno>
#include <utility>

namespace artcache::util {

/// Owns one descriptor, or none.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }

  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Closes it. What close() has to say is lost: who cares calls fsync() before.
  void reset();

 private:
  int fd_ = -1;
};

/// Calls `call` again for as long as a signal interrupts it; returns what it returned.
template <class F>
auto retried(F&& call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

}  // namespace artcache::util
