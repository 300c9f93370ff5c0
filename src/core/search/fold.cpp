// SPDX-License-Identifier: Apache-2.0
#include "core/search/fold.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "core/search/fold_tables.hpp"

namespace artcache::search {
namespace {

using Kind = Folded::Kind;
using tables::Range;

template <std::size_t N>
constexpr bool holds(const Range (&ranges)[N], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const Range& r) { return c >= r.first && c <= r.last; });
}

// Han with its radicals and marks, kana.
constexpr Range kAlone[] = {{0x2e80, 0x2fdf},   {0x3005, 0x3007},  {0x3021, 0x3029},
                            {0x3041, 0x30ff},   {0x31f0, 0x31ff},  {0x3400, 0x4dbf},
                            {0x4e00, 0x9fff},   {0xf900, 0xfaff},  {0xff66, 0xff9f},
                            {0x1aff0, 0x1b16f}, {0x20000, 0x3ffff}};

// Joiners, marks of direction, word joiner, byte order mark, variation selectors.
constexpr Range kIgnored[] = {{0x300, 0x36f},    {0x200c, 0x200f}, {0x202a, 0x202e},
                              {0x2060, 0x2064},  {0xfe00, 0xfe0f}, {0xfeff, 0xfeff},
                              {0xe0100, 0xe01ef}};

bool separates(char32_t c) {
  const auto* after =
      std::upper_bound(std::begin(tables::kSeparators), std::end(tables::kSeparators), c,
                       [](char32_t value, const Range& r) { return value < r.first; });
  return after != std::begin(tables::kSeparators) && c <= std::prev(after)->last;
}

template <std::size_t N>
const std::uint16_t* find(const std::uint16_t (&table)[N], char32_t first, char32_t c) {
  return c >= first && c - first < N ? &table[c - first] : nullptr;
}

const std::uint16_t* find(char32_t c) {
  using namespace tables;
  if (const auto* found = find(kCyrillic, kCyrillicFirst, c)) return found;
  if (const auto* found = find(kLatin, kLatinFirst, c)) return found;
  if (const auto* found = find(kGreek, kGreekFirst, c)) return found;
  if (const auto* found = find(kLatinAdditional, kLatinAdditionalFirst, c)) return found;
  return find(kGreekExtended, kGreekExtendedFirst, c);
}

constexpr char32_t ascii(char32_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A' + 'a';
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : 0;
}

}  // namespace

Folded fold(char32_t c) {
  if (c >= 0xff01 && c <= 0xff5e) c -= 0xfee0;  // full-width forms of ASCII
  if (c < 0x80) return ascii(c) == 0 ? Folded{} : Folded{Kind::letter, ascii(c)};
  if (const auto* found = find(c)) {
    const char32_t value = *found;
    if (value <= 1) return {c == 0xad || value == 1 ? Kind::ignored : Kind::separator};
    if (value >= 0x6161) return {Kind::letter, value >> 8, value & 0xff};
    return {Kind::letter, value};
  }
  if (c < tables::kLatinFirst) return {};
  if (holds(kIgnored, c)) return {Kind::ignored};
  if (separates(c)) return {};
  return {holds(kAlone, c) ? Kind::alone : Kind::letter, c};
}

char32_t compose(char32_t letter, char32_t mark) {
  // Letters of their own, however they are typed. Everywhere else a mark is an accent.
  if (mark == 0x306 && letter == U'и') return U'й';
  if (mark == 0x306 && letter == U'у') return U'ў';
  if (mark == 0x308 && letter == U'і') return U'ї';
  if (mark == 0x301 && letter == U'г') return U'ѓ';
  if (mark == 0x301 && letter == U'к') return U'ќ';
  return letter;
}

}  // namespace artcache::search
