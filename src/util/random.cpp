// SPDX-License-Identifier: Apache-2.0
#include "util/random.hpp"

#include <sys/random.h>

#include <algorithm>
#include <random>

namespace artcache::util {

void fill_random(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    // 256 bytes at a time are never cut short by a signal.
    const auto got = ::getrandom(out.data(), std::min<std::size_t>(out.size(), 256), 0);
    if (got > 0) {
      out = out.subspan(static_cast<std::size_t>(got));
      continue;
    }
    // A sandbox that forbids the call: libstdc++ takes the CPU's or /dev/urandom's.
    std::random_device device;
    for (auto& byte : out) byte = static_cast<std::uint8_t>(device());
    return;
  }
}

}  // namespace artcache::util
