// SPDX-License-Identifier: Apache-2.0
#include "util/utf8.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace artcache::util {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

constexpr std::uint64_t kHighs = 0x8080808080808080ULL;

/// How many bytes from the front are ASCII; may stop early within the last seven.
std::size_t ascii_run(std::string_view text) {
  std::size_t at = 0;
  std::uint64_t words[4];
  for (; at + sizeof words <= text.size(); at += sizeof words) {
    std::memcpy(words, text.data() + at, sizeof words);
    if (((words[0] | words[1] | words[2] | words[3]) & kHighs) != 0) break;
  }
  for (; at + sizeof words[0] <= text.size(); at += sizeof words[0]) {
    std::memcpy(words, text.data() + at, sizeof words[0]);
    const std::uint64_t highs = words[0] & kHighs;
    if (highs != 0) return at + static_cast<std::size_t>(std::countr_zero(highs)) / 8;
  }
  return at;
}

static_assert(std::endian::native == std::endian::little, "words are read from their low end");

/// Four sequences of two bytes each, none of them overlong.
bool is_four_pairs(std::uint64_t word) {
  if ((word & 0xc0e0c0e0c0e0c0e0ULL) != 0x80c080c080c080c0ULL) return false;
  // 0xc0 and 0xc1 begin overlong forms: each first byte must have one of these bits.
  const std::uint64_t bits = word & 0x001e001e001e001eULL;
  return ((bits + 0x007e007e007e007eULL) & 0x0080008000800080ULL) == 0x0080008000800080ULL;
}

}  // namespace

std::size_t utf8_sequence(std::string_view text) {
  if (text.empty()) return 0;
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if (!is_continuation(text[i])) return 0;
  // The second byte alone tells overlong forms, surrogates and what lies beyond U+10FFFF.
  const auto second = static_cast<unsigned char>(text[1]);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
      (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
    return 0;
  return length;
}

std::size_t utf8_valid_prefix(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    // Nearly everything is ASCII, or in runs of letters of two bytes: look at many bytes at once.
    i += ascii_run(text.substr(i));
    std::uint64_t word = 0;
    while (i + sizeof word <= text.size()) {
      std::memcpy(&word, text.data() + i, sizeof word);
      if (!is_four_pairs(word)) break;
      i += sizeof word;
    }
    if (i >= text.size()) break;
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = utf8_sequence(text.substr(i));
    if (length == 0) return i;
    i += length;
  }
  return i;
}

std::size_t utf8_length(std::string_view text) {
  std::size_t count = 0;
  for (char c : text)
    if (!is_continuation(c)) ++count;
  return count;
}

std::string_view utf8_prefix(std::string_view text, std::size_t characters) {
  std::size_t i = 0;
  for (; i < text.size(); ++i)
    if (!is_continuation(text[i]) && characters-- == 0) break;
  return text.substr(0, i);
}

std::size_t control_character(std::string_view text) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  if (text.empty()) return 0;
  if (byte(0) < 0x20 || byte(0) == 0x7f) return 1;
  if (byte(0) == 0xc2 && byte(1) >= 0x80 && byte(1) <= 0x9f) return 2;
  if (byte(0) == 0xe2 && byte(1) == 0x80 && (byte(2) == 0xa8 || byte(2) == 0xa9)) return 3;
  return 0;
}

std::string printable(std::string_view text, std::size_t bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    const std::size_t sequence = utf8_sequence(rest);
    const std::string_view character = rest.substr(0, std::max<std::size_t>(1, sequence));
    i += character.size();
    if (i > bytes) break;
    if (sequence != 0 && control_character(rest) == 0) {
      out.append(character);
      continue;
    }
    for (const char c : character) {
      const auto byte = static_cast<unsigned char>(c);
      out.append("\\x").push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 0x0f]);
    }
  }
  return out;
}

}  // namespace artcache::util
