// SPDX-License-Identifier: Apache-2.0
#include "backends/file/stamp.hpp"

#include <time.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace artcache::file {
namespace {

// Unsigned: a time set to the end of the world wraps round and stays a mark.
std::uint64_t nanoseconds(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(time.tv_nsec);
}

std::int64_t microseconds(const timespec& time) {
  constexpr std::int64_t kFirst = Timestamp::min().micros() / 1'000'000;
  constexpr std::int64_t kLast = Timestamp::max().micros() / 1'000'000;
  return std::clamp<std::int64_t>(time.tv_sec, kFirst, kLast) * 1'000'000 + time.tv_nsec / 1000;
}

void store(std::uint8_t* to, std::uint64_t value) {
  if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap64(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace

FileInfo info_of(const struct stat& found) {
  FileInfo info;
  info.stamp.size = static_cast<std::uint64_t>(found.st_size);
  store(info.stamp.mark.data(), nanoseconds(found.st_mtim));
  store(info.stamp.mark.data() + 8, nanoseconds(found.st_ctim));
  store(info.stamp.mark.data() + 16, found.st_ino);
  info.modified = Timestamp(
      Timestamp::Duration(std::max(microseconds(found.st_mtim), microseconds(found.st_ctim))));
  return info;
}

bool is_young(const struct stat& found) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  now.tv_sec -= Stamp::kSettledAfter.count();
  return std::pair(found.st_ctim.tv_sec, found.st_ctim.tv_nsec) >
         std::pair(now.tv_sec, now.tv_nsec);
}

}  // namespace artcache::file
