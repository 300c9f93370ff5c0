// SPDX-License-Identifier: Apache-2.0
#include "util/utf8.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstring>

namespace artcache::util {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }
bool begins_pair(char c) { return (static_cast<unsigned char>(c) & 0xe0) == 0xc0; }

#if defined(__SSE2__)
constexpr std::size_t kBlock = sizeof(__m128i);

/// Whether the block at `at` is ASCII and sequences of two bytes, which nearly all text is;
/// `cut` says that it begins within a sequence, and then whether it ends within one.
inline bool is_short_sequences(const char* at, bool& cut) {
  const auto bits = [](__m128i bytes) { return static_cast<unsigned>(_mm_movemask_epi8(bytes)); };
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const unsigned high = bits(bytes);
  const auto masked = [&](unsigned mask, unsigned value) {
    const __m128i kept = _mm_and_si128(bytes, _mm_set1_epi8(static_cast<char>(mask)));
    return bits(_mm_cmpeq_epi8(kept, _mm_set1_epi8(static_cast<char>(value))));
  };
  const unsigned leads = masked(0xe0, 0xc0), longer = masked(0xe0, 0xe0);
  const unsigned overlong = masked(0xfe, 0xc0);  // what begins with 0xc0 or 0xc1
  const unsigned expected = (leads << 1 | static_cast<unsigned>(cut)) & 0xffffU;
  cut = (leads & 0x8000U) != 0;
  return (longer | overlong | ((high & ~leads) ^ expected)) == 0;
}
#else
constexpr std::size_t kBlock = sizeof(std::uint64_t);

/// Whether the block at `at` is ASCII. Others are looked at one by one.
inline bool is_short_sequences(const char* at, bool& cut) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return !cut && (word & 0x8080808080808080ULL) == 0;
}
#endif

/// How many bytes from the front are whole characters in blocks that are quick to check.
std::size_t short_sequences(std::string_view text) {
  std::size_t at = 0;
  bool cut = false;
  for (; text.size() - at >= kBlock; at += kBlock) {
    bool cut_behind = cut;
    if (!is_short_sequences(text.data() + at, cut_behind)) return at - (cut ? 1 : 0);
    cut = cut_behind;
  }
  // What is less than a block is looked at together with what stands before it.
  if (at != 0 && at != text.size()) {
    const std::size_t last = text.size() - kBlock;
    bool cut_behind = begins_pair(text[last - 1]);
    if (is_short_sequences(text.data() + last, cut_behind) && !cut_behind) return text.size();
  }
  return at - (cut ? 1 : 0);
}

}  // namespace

std::size_t utf8_sequence(std::string_view text) {
  if (text.empty()) return 0;
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0 && text.size() >= 2) return is_continuation(text[1]) ? 2 : 0;
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
  std::size_t at = 0;
  while (at < text.size()) {
    at += short_sequences(text.substr(at));
    // At most a block of what is left is looked at one by one before blocks are tried again.
    const std::size_t end = std::min(at + kBlock, text.size());
    while (at < end) {
      const std::size_t length = utf8_sequence(text.substr(at));
      if (length == 0) return at;
      at += length;
    }
  }
  return at;
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
  const auto is_usual = [](char c) { return c >= ' ' && c <= '~'; };
  if (text.size() <= bytes && std::ranges::all_of(text, is_usual)) return std::string(text);
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
