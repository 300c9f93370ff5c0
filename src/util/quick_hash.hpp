// SPDX-License-Identifier: Apache-2.0
// A number for bytes, far quicker than a sum that withstands attacks.
#pragma once

#include <cstdint>
#include <string_view>

namespace artcache::util {

/// Spreads every bit of x over all of the result; no two numbers have the same one.
constexpr std::uint64_t scramble(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// Of texts that nobody has made for the purpose one pair in 2^64 agrees, and none at all of one
/// length that differ within eight bytes of one place, counted in eights. Who knows the seed can
/// make texts that agree. Depends on the order of bytes in this machine's words.
std::uint64_t quick_hash(std::string_view bytes, std::uint64_t seed);

}  // namespace artcache::util
