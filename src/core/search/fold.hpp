// SPDX-License-Identifier: Apache-2.0
// The one form of a character that is compared: case and accents gone.
#pragma once

#include <cstdint>

namespace artcache::search {

struct Folded {
  enum class Kind : std::uint8_t {
    separator,  ///< ends a word
    ignored,    ///< stands in a word without changing it
    letter,     ///< or digit; part of a word
    alone,      ///< a word by itself: the scripts that put no space between words
  };
  Kind kind = Kind::separator;
  char32_t first = 0;
  char32_t second = 0;  ///< 0 unless one letter became two, as ß did
};

/// For every value up to U+10FFFF.
Folded fold(char32_t character);

/// The letter that a combining mark makes of the folded letter before it; `letter` itself for the
/// marks that only decorate.
char32_t compose(char32_t letter, char32_t mark);

constexpr bool is_combining(char32_t character) { return character >= 0x300 && character <= 0x36f; }

constexpr bool is_cyrillic(char32_t folded) { return folded >= 0x430 && folded <= 0x52f; }

}  // namespace artcache::search
