// SPDX-License-Identifier: Apache-2.0
#include "util/utf8.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "unit/core/attr/vectors.hpp"

namespace artcache::util {
namespace {

std::string encoded(unsigned code) {
  const auto byte = [](unsigned value) { return static_cast<char>(value); };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xc0 | code >> 6), byte(0x80 | (code & 0x3f))};
  if (code < 0x10000)
    return {byte(0xe0 | code >> 12), byte(0x80 | (code >> 6 & 0x3f)), byte(0x80 | (code & 0x3f))};
  return {byte(0xf0 | code >> 18), byte(0x80 | (code >> 12 & 0x3f)),
          byte(0x80 | (code >> 6 & 0x3f)), byte(0x80 | (code & 0x3f))};
}

TEST_SUITE("utf8") {
  TEST_CASE("every code point but the surrogates is one sequence") {
    for (unsigned code = 0; code < 0x110000; ++code) {
      const std::string text = encoded(code);
      const bool surrogate = code >= 0xd800 && code < 0xe000;
      if (utf8_sequence(text) != (surrogate ? 0 : text.size())) FAIL_CHECK(code);
    }
  }

  TEST_CASE("overlong forms, values beyond U+10FFFF and stray bytes are none") {
    for (const char* text :
         {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
          "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
          "\xfe", "\xed\xa0\x80", "\xed\xbf\xbf", "\xc3(", "\xe2\x82(", "\xf0\x9f\x98("})
      CHECK(utf8_sequence(text) == 0);
  }

  TEST_CASE("a sequence cut short is none, and nothing is read behind the end") {
    for (const unsigned code : {0xe9U, 0x20acU, 0x1f600U}) {
      const std::string text = encoded(code);
      for (std::size_t size = 0; size < text.size(); ++size) {
        const std::string cut(text, 0, size);
        CHECK(utf8_sequence(std::string_view(cut)) == 0);
        CHECK(utf8_valid_prefix(cut) == 0);
      }
    }
    CHECK(utf8_sequence("") == 0);
  }

  TEST_CASE("a NUL is a character like any other") {
    CHECK(utf8_sequence(std::string_view("\0", 1)) == 1);
    CHECK(utf8_valid_prefix(std::string_view("a\0b", 3)) == 3);
    CHECK(utf8_length(std::string_view("a\0b", 3)) == 3);
  }

  TEST_CASE("the first bad byte is found at every place of a text") {
    CHECK(utf8_valid_prefix("") == 0);
    for (std::size_t at = 0; at < 40; ++at) {
      std::string text(40, 'a');
      CHECK(utf8_valid_prefix(text) == 40);
      text[at] = '\xff';
      CHECK(utf8_valid_prefix(text) == at);
      const std::string behind = std::string(at, 'b') + "жжж\xd0";
      CHECK(utf8_valid_prefix(behind) == at + 6);
    }
  }

  TEST_CASE("the quick way agrees with the slow one on any bytes") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 20'000; ++i) {
      std::string text;
      // Mostly of two bytes, as Cyrillic is, so that sequences lie across blocks of every kind.
      for (std::size_t n = random() % 24; n > 0; --n)
        text += random() % 3 == 0    ? std::string(random() % 9, 'a')
                : random() % 16 == 0 ? encoded(static_cast<unsigned>(random() % 0x110000))
                                     : encoded(static_cast<unsigned>(random() % 0x800));
      if (random() % 2 == 0 && !text.empty())
        text[random() % text.size()] = static_cast<char>(random());
      std::size_t slow = 0;
      while (slow < text.size()) {
        const std::size_t length = utf8_sequence(std::string_view(text).substr(slow));
        if (length == 0) break;
        slow += length;
      }
      if (utf8_valid_prefix(text) != slow) FAIL_CHECK(i);
    }
  }

  TEST_CASE("length counts characters, not bytes") {
    CHECK(utf8_length("") == 0);
    CHECK(utf8_length("abc") == 3);
    CHECK(utf8_length("жé€😀") == 4);
    CHECK(utf8_length("e\xcc\x81") == 2);
  }

  TEST_CASE("a prefix ends between characters") {
    CHECK(utf8_prefix("жé€😀", 0).empty());
    CHECK(utf8_prefix("жé€😀", 1) == "ж");
    CHECK(utf8_prefix("жé€😀", 3) == "жé€");
    CHECK(utf8_prefix("жé€😀", 4) == "жé€😀");
    CHECK(utf8_prefix("жé€😀", 5) == "жé€😀");
    CHECK(utf8_prefix("", 5).empty());
    CHECK(utf8_prefix("abc", static_cast<std::size_t>(-1)) == "abc");
  }

  TEST_CASE("control characters and line ends are told in one, two and three bytes") {
    for (unsigned code = 0; code < 0x3000; ++code) {
      const bool control =
          code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
      const std::string text = encoded(code) + "x";
      if (control_character(text) != (control ? text.size() - 1 : 0)) FAIL_CHECK(code);
    }
    CHECK(control_character("") == 0);
    CHECK(control_character("\xc2") == 0);
    CHECK(control_character("\xe2\x80") == 0);
  }

  TEST_CASE("printable text is left alone, cut between characters") {
    CHECK(printable("", 10).empty());
    CHECK(printable("a ж\\'\"", 10) == "a ж\\'\"");
    CHECK(printable("жжж", 6) == "жжж");
    CHECK(printable("жжж", 5) == "жж");
    CHECK(printable("жжж", 1).empty());
    CHECK(printable(std::string(10'000'000, 'x'), 40) == std::string(40, 'x'));
  }

  TEST_CASE("what cannot be printed is shown byte by byte") {
    CHECK(printable(std::string_view("\0\n\x7f", 3), 10) == "\\x00\\x0a\\x7f");
    CHECK(printable("\xff\xd0", 10) == "\\xff\\xd0");
    CHECK(printable("\xc2\x9b|\xe2\x80\xa8", 10) == "\\xc2\\x9b|\\xe2\\x80\\xa8");
  }
}

}  // namespace
}  // namespace artcache::util
