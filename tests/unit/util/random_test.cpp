// SPDX-License-Identifier: Apache-2.0
#include "util/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace artcache::util {
namespace {

TEST_SUITE("random") {
  TEST_CASE("all of a span is filled, and nothing beside it") {
    for (const std::size_t size : {0UL, 1UL, 16UL, 255UL, 256UL, 257UL, 5000UL}) {
      std::vector<std::uint8_t> bytes(size + 2, 0);
      fill_random(std::span(bytes).subspan(1, size));
      CHECK(bytes.front() == 0);
      CHECK(bytes.back() == 0);
      // 64 zeros in a row do not happen by chance.
      if (size > 64) CHECK(std::search_n(bytes.begin(), bytes.end(), 64, 0) == bytes.end());
    }
  }

  TEST_CASE("no sixteen bytes come twice") {
    std::set<std::array<std::uint8_t, 16>> seen;
    for (int i = 0; i < 1000; ++i) {
      std::array<std::uint8_t, 16> bytes{};
      fill_random(bytes);
      CHECK(seen.insert(bytes).second);
    }
  }
}

}  // namespace
}  // namespace artcache::util
