// SPDX-License-Identifier: Apache-2.0
// The configured capacity of an element, shared out among the uploads that run.
#pragma once

#include <algorithm>
#include <artcache/metadata_store.hpp>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace artcache::files {

class Room;

/// Safe to call from any thread. Uploads of other processes count once they are in the index.
class Capacity {
 public:
  Capacity(ChangeLog& log, std::optional<std::uint64_t> most) : log_(log), most_(most) {}

  /// Sets so many bytes more aside. Nobody waits while one asks the index.
  /// Errors: no_space, those of the index.
  Result<void> take(std::uint64_t bytes, const Call& call) {
    if (!most_) return {};
    std::uint64_t given_back = 0;
    {
      const std::scoped_lock held(mutex_);
      given_back = given_back_;
    }
    const auto head = log_.head(call);
    if (!head) return head.error();
    const std::scoped_lock held(mutex_);
    // What was given back since may be in the index by now, and not in that head.
    const std::uint64_t used = head->bytes + taken_ + (given_back_ - given_back);
    if (used > *most_ || bytes > *most_ - used)
      return Error{Errc::no_space, "upload: the element may hold " + std::to_string(*most_) +
                                       " bytes and " + std::to_string(used) + " are taken; " +
                                       std::to_string(bytes) + " more do not fit"};
    taken_ += bytes;
    return {};
  }
  void give_back(std::uint64_t bytes) {
    if (!most_) return;
    const std::scoped_lock held(mutex_);
    taken_ -= bytes;
    given_back_ += bytes;
  }

 private:
  ChangeLog& log_;
  const std::optional<std::uint64_t> most_;
  std::mutex mutex_;
  std::uint64_t taken_ = 0;       // guarded by mutex_; in the index these bytes do not show yet
  std::uint64_t given_back_ = 0;  // likewise; all that ever was
};

/// What one upload has set aside.
class Room {
 public:
  explicit Room(Capacity& capacity) : capacity_(capacity) {}
  ~Room() { capacity_.give_back(bytes_); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  /// Makes sure of so many bytes in all. Who comes again is given more than that where there is
  /// room, so that a long upload asks seldom. Errors: as Capacity::take().
  Result<void> reach(std::uint64_t bytes, const Call& call) {
    if (bytes <= bytes_) return {};
    const std::uint64_t more = std::min(bytes_ * 2, bytes_ + kStepMost);
    if (more > bytes && !tight_) {
      if (capacity_.take(more - bytes_, call)) {
        bytes_ = more;
        return {};
      }
      tight_ = true;
    }
    if (auto taken = capacity_.take(bytes - bytes_, call); !taken) return taken;
    bytes_ = bytes;
    return {};
  }

 private:
  static constexpr std::uint64_t kStepMost = 64 * std::uint64_t{1024} * 1024;

  Capacity& capacity_;
  std::uint64_t bytes_ = 0;
  bool tight_ = false;  // there is not so much room left
};

}  // namespace artcache::files
