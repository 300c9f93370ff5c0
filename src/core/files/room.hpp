// SPDX-License-Identifier: Apache-2.0
// The configured capacity of an element, shared out among the uploads that run.
#pragma once

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

  /// Sets so many bytes more aside. Errors: no_space, those of the index.
  Result<void> take(std::uint64_t bytes, const Call& call) {
    if (!most_) return {};
    const std::scoped_lock held(mutex_);
    const auto head = log_.head(call);
    if (!head) return head.error();
    const std::uint64_t used = head->bytes + taken_;
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
  }

 private:
  ChangeLog& log_;
  const std::optional<std::uint64_t> most_;
  std::mutex mutex_;
  std::uint64_t taken_ = 0;  // guarded by mutex_; in the index these bytes do not show yet
};

/// What one upload has set aside.
class Room {
 public:
  explicit Room(Capacity& capacity) : capacity_(capacity) {}
  ~Room() { capacity_.give_back(bytes_); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  /// Makes sure of so many bytes in all. Errors: as Capacity::take().
  Result<void> reach(std::uint64_t bytes, const Call& call) {
    if (bytes <= bytes_) return {};
    if (auto taken = capacity_.take(bytes - bytes_, call); !taken) return taken;
    bytes_ = bytes;
    return {};
  }

 private:
  Capacity& capacity_;
  std::uint64_t bytes_ = 0;
};

}  // namespace artcache::files
