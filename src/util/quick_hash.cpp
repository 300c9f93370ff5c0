// SPDX-License-Identifier: Apache-2.0
#include "util/quick_hash.hpp"

#include <cstring>

namespace artcache::util {
namespace {

constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15ULL;  // any odd number without a pattern

std::uint64_t word_at(const char* at) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// One to one in each of the two, so that no difference is lost.
std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * kFactor;
  return hash ^ hash >> 32;
}

}  // namespace

std::uint64_t quick_hash(std::string_view bytes, std::uint64_t seed) {
  std::uint64_t hash = scramble(scramble(seed) + bytes.size());
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  // A step waits for the one before it: of a long text four are on their way at the same time.
  constexpr std::size_t kStride = 32;
  if (left >= kStride) {
    std::uint64_t a = hash, b = hash + 1, c = hash + 2, d = hash + 3;
    for (; left >= kStride; at += kStride, left -= kStride) {
      a = mixed(a, word_at(at));
      b = mixed(b, word_at(at + 8));
      c = mixed(c, word_at(at + 16));
      d = mixed(d, word_at(at + 24));
    }
    hash = mixed(mixed(mixed(a, scramble(b)), scramble(c)), scramble(d));
  }
  for (; left >= 8; at += 8, left -= 8) hash = mixed(hash, word_at(at));
  std::uint64_t rest = 0;
  if (left > 0) std::memcpy(&rest, at, left);
  return scramble(hash ^ rest);
}

}  // namespace artcache::util
