// SPDX-License-Identifier: Apache-2.0
#include "util/quick_hash.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace artcache::util {
namespace {

TEST_SUITE("quick hash") {
  TEST_CASE("a text with any one bit turned over, and one that is longer or shorter, has another") {
    for (std::size_t size = 0; size < 150; ++size) {
      std::string text;
      for (std::size_t i = 0; i < size; ++i) text.push_back(static_cast<char>('a' + i % 26));
      std::set<std::uint64_t> seen{quick_hash(text, 1)};
      for (std::size_t bit = 0; bit < 8 * size; ++bit) {
        std::string other = text;
        other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
        CHECK(seen.insert(quick_hash(other, 1)).second);
      }
      CHECK(seen.insert(quick_hash(text + std::string(1, '\0'), 1)).second);
      if (size > 0) CHECK(seen.insert(quick_hash(text.substr(1), 1)).second);
      CHECK(seen.insert(quick_hash(text, 2)).second);
    }
  }

  TEST_CASE("words that change places are noticed") {
    const std::string a = "12345678", b = "abcdefgh", c = "ABCDEFGH", d = "!@#$%^&*";
    std::set<std::uint64_t> seen;
    for (const std::string& text : {a + b + c + d, b + a + c + d, a + c + b + d, a + b + d + c,
                                    c + b + a + d, d + b + c + a, b + c + d + a})
      CHECK(seen.insert(quick_hash(text + text, 1)).second);
  }

  TEST_CASE("neither does it read beyond the text, nor does it matter where that lies") {
    const std::string text(99, 'x');
    for (std::size_t shift = 0; shift < 16; ++shift) {
      const std::string around = std::string(shift, 'y') + text + "z";
      CHECK(quick_hash(std::string_view(around).substr(shift, text.size()), 7) ==
            quick_hash(text, 7));
    }
  }
}

}  // namespace
}  // namespace artcache::util
