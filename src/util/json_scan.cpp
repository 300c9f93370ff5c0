// SPDX-License-Identifier: Apache-2.0
#include "util/json_scan.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>

#include "util/hex.hpp"
#include "util/utf8.hpp"

namespace artcache::util {
namespace {

constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

#if defined(__SSE2__)
struct Block {
  __m128i low, high;
};

struct Marks {
  std::uint32_t special, beyond_ascii;  // a bit for each byte
};

Marks marks_in(__m128i bytes) {
  const __m128i last_control = _mm_set1_epi8(0x1f);
  // The smaller of byte and 0x1f is the byte itself just for control characters.
  const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
  const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
  const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
  const __m128i special = _mm_or_si128(control, _mm_or_si128(quote, backslash));
  return {static_cast<std::uint32_t>(_mm_movemask_epi8(special)),
          static_cast<std::uint32_t>(_mm_movemask_epi8(bytes))};
}
Marks marks_in(const Block& block) {
  const Marks low = marks_in(block.low), high = marks_in(block.high);
  return {low.special | high.special << 16, low.beyond_ascii | high.beyond_ascii << 16};
}
#else
static_assert(std::endian::native == std::endian::little, "marks are counted from the right");
using Block = std::uint64_t;

struct Marks {
  std::uint64_t special, beyond_ascii;  // the highest bit of each byte
};

Marks marks_in(Block block) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL, kHighs = 0x8080808080808080ULL;
  const auto zero_bytes = [](std::uint64_t w) { return (w - kOnes) & ~w & kHighs; };
  const std::uint64_t control = (block - kOnes * 0x20) & ~block & kHighs;
  // Borrows may add false marks above the lowest one, never below it.
  return {control | zero_bytes(block ^ (kOnes * '"')) | zero_bytes(block ^ (kOnes * '\\')),
          block & kHighs};
}
#endif

/// The first quote, backslash or control character from `at` on, or where less than a block is
/// left. Sets `beyond_ascii` when a byte before it is.
const char* plain_run(const char* at, const char* end, bool& beyond_ascii) {
  while (static_cast<std::size_t>(end - at) >= sizeof(Block)) {
    Block block;
    std::memcpy(&block, at, sizeof block);
    const Marks marks = marks_in(block);
    if (marks.special == 0) {
      beyond_ascii |= marks.beyond_ascii != 0;
      at += sizeof block;
      continue;
    }
    beyond_ascii |= (marks.beyond_ascii & (marks.special - 1) & ~marks.special) != 0;
    constexpr int kBitsPerByte = 8 * sizeof marks.special / sizeof block;
    return at + std::countr_zero(marks.special) / kBitsPerByte;
  }
  return at;
}

template <class Word>
Word difference(std::string_view a, std::string_view b, std::size_t at) {
  Word x = 0, y = 0;
  std::memcpy(&x, a.data() + at, sizeof x);
  std::memcpy(&y, b.data() + at, sizeof y);
  return x ^ y;
}

inline bool is_same(std::string_view a, std::string_view b) {
  const std::size_t size = a.size();
  if (size != b.size()) return false;
  using Long = std::uint64_t;
  using Short = std::uint32_t;
  if (size >= 8 && size <= 24)
    return (difference<Long>(a, b, 0) | difference<Long>(a, b, (size - 8) / 2) |
            difference<Long>(a, b, size - 8)) == 0;
  if (size >= 4 && size < 8)
    return (difference<Short>(a, b, 0) | difference<Short>(a, b, size - 4)) == 0;
  return a == b;
}

void append_utf8(std::string& out, unsigned code) {
  const auto put = [&](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

unsigned code_at(std::string_view digits) {
  unsigned code = 0;
  for (std::size_t i = 0; i < 4; ++i)
    code = code << 4 | static_cast<unsigned>(hex_value(digits[i]));
  return code;
}

constexpr bool is_high_surrogate(unsigned code) { return code >= 0xd800 && code < 0xdc00; }
constexpr bool is_low_surrogate(unsigned code) { return code >= 0xdc00 && code < 0xe000; }

}  // namespace

bool same_text(std::string_view a, std::string_view b) { return is_same(a, b); }

bool JsonScanner::check_start() {
  return !rest().starts_with("\xef\xbb\xbf") || fail("a byte order mark is not JSON");
}

inline void JsonScanner::skip_space() {
  while (at_ != end_ && is_space(*at_)) ++at_;
}

bool JsonScanner::enter_object() {
  skip_space();
  if (!take('{')) return fail("not an object");
  first_ = true;
  return true;
}

bool JsonScanner::enter_array() {
  skip_space();
  if (!take('[')) return fail("not an array");
  first_ = true;
  return true;
}

inline bool JsonScanner::next(char close, const char* expected) {
  if (failed()) return false;
  skip_space();
  if (take(close)) return false;
  if (!first_) {
    if (!take(',')) return fail(expected);
    skip_space();
  }
  first_ = false;
  return true;
}

/// A name is at hand: is it this one?
inline bool JsonScanner::take_guess(JsonValue& name, std::string_view guess) {
  const std::string_view left = rest();
  if (left.size() < guess.size() + 2 || left[guess.size() + 1] != '"' ||
      !is_same(left.substr(1, guess.size()), guess))
    return false;
  name = {JsonKind::string, false, left.substr(0, guess.size() + 2)};
  at_ += guess.size() + 2;
  return true;
}

inline bool JsonScanner::colon() {
  skip_space();
  if (!take(':')) return fail("expected :");
  skip_space();
  return true;
}

bool JsonScanner::next_member(JsonValue& name, JsonValue& value_out, std::string_view guess) {
  guessed_ = false;
  if (!next('}', "expected , or }")) return false;
  if (peek() != '"') return fail("expected a member name");
  guessed_ = !guess.empty() && take_guess(name, guess);
  return (guessed_ || string(name)) && colon() && value(value_out, 1);
}

bool JsonScanner::next_element(JsonValue& out) {
  return next(']', "expected , or ]") && value(out, 1);
}

bool JsonScanner::at_end() {
  skip_space();
  return at_ == end_;
}

inline bool JsonScanner::value(JsonValue& out, unsigned depth) {
  return peek() == '"' ? string(out) : other_value(out, depth);
}

bool JsonScanner::other_value(JsonValue& out, unsigned depth) {
  const char* const begin = at_;
  bool good = false;
  switch (peek()) {
    case '{':
      out.kind = JsonKind::object;
      good = container('}', depth);
      break;
    case '[':
      out.kind = JsonKind::array;
      good = container(']', depth);
      break;
    case 't':
      out.kind = JsonKind::boolean;
      good = word("true");
      break;
    case 'f':
      out.kind = JsonKind::boolean;
      good = word("false");
      break;
    case 'n':
      out.kind = JsonKind::null;
      good = word("null");
      break;
    default:
      out.kind = JsonKind::number;
      good = number();
  }
  out.escaped = false;
  out.text = {begin, static_cast<std::size_t>(at_ - begin)};
  return good;
}

/// The bracket that opens is at hand; recursion ends at kDepthMost.
bool JsonScanner::container(char close, unsigned depth) {
  if (depth >= kDepthMost) return fail("nested too deeply");
  ++at_;
  skip_space();
  if (take(close)) return true;
  JsonValue ignored;
  while (true) {
    if (close == '}') {
      if (peek() != '"') return fail("expected a member name");
      if (!string(ignored) || !colon()) return false;
    }
    if (!value(ignored, depth + 1)) return false;
    skip_space();
    if (take(close)) return true;
    if (!take(',')) return fail(close == '}' ? "expected , or }" : "expected , or ]");
    skip_space();
  }
}

bool JsonScanner::string(JsonValue& out) {
  out.kind = JsonKind::string;
  out.escaped = false;
  const char* const begin = at_++;
  bool beyond_ascii = false;
  while (true) {
    at_ = plain_run(at_, end_, beyond_ascii);
    if (at_ == end_) return fail("a string without its end");
    const char c = *at_;
    if (c == '"') break;
    if (static_cast<unsigned char>(c) < ' ') return fail("a control character in a string");
    if (c == '\\') {
      out.escaped = true;
      if (!escape()) return false;
      continue;
    }
    beyond_ascii |= static_cast<unsigned char>(c) >= 0x80;
    ++at_;
  }
  ++at_;
  out.text = {begin, static_cast<std::size_t>(at_ - begin)};
  return !beyond_ascii || valid_utf8(out.text);
}

bool JsonScanner::valid_utf8(std::string_view text) {
  const std::size_t valid = utf8_valid_prefix(text);
  if (valid == text.size()) return true;
  at_ = text.data() + valid;
  return fail("not UTF-8");
}

bool JsonScanner::escape() {
  ++at_;
  const char c = peek();
  if (c != 'u') {
    if (c == '\0' || std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos)
      return fail("a bad escape in a string");
    ++at_;
    return true;
  }
  ++at_;
  unsigned code = 0, low = 0;
  if (!hex4(code)) return false;
  if (is_low_surrogate(code)) return fail("a lone surrogate in a string");
  if (!is_high_surrogate(code)) return true;
  if (!rest().starts_with("\\u")) return fail("a lone surrogate in a string");
  at_ += 2;
  if (!hex4(low)) return false;
  return is_low_surrogate(low) || fail("a lone surrogate in a string");
}

bool JsonScanner::hex4(unsigned& code) {
  const std::string_view digits = rest().substr(0, 4);
  if (digits.size() < 4) return fail("a bad \\u escape in a string");
  for (const char digit : digits)
    if (hex_value(digit) < 0) return fail("a bad \\u escape in a string");
  code = code_at(digits);
  at_ += 4;
  return true;
}

bool JsonScanner::number() {
  take('-');
  const auto digits = [&] {
    const char* const begin = at_;
    while (is_digit(peek())) ++at_;
    return at_ > begin;
  };
  if (take('0')) {
    if (is_digit(peek())) return fail("a number with a leading zero");
  } else if (!digits()) {
    return fail("expected a value");
  }
  if (take('.') && !digits()) return fail("a number without digits behind its dot");
  if (take('e') || take('E')) {
    if (!take('+')) take('-');
    if (!digits()) return fail("a number without digits in its exponent");
  }
  return true;
}

bool JsonScanner::word(std::string_view expected) {
  if (!rest().starts_with(expected)) return fail("expected a value");
  at_ += expected.size();
  return true;
}

void append_decoded(std::string& out, const JsonValue& value) {
  std::string_view rest = value.spelled();
  if (!value.escaped) {
    out.append(rest);
    return;
  }
  while (!rest.empty()) {
    const std::size_t plain = std::min(rest.find('\\'), rest.size());
    out.append(rest.substr(0, plain));
    rest.remove_prefix(plain);
    if (rest.empty()) return;
    const char c = rest[1];
    rest.remove_prefix(2);
    if (c != 'u') {
      constexpr std::string_view kSpelled = "bfnrt", kMeant = "\b\f\n\r\t";
      const std::size_t known = kSpelled.find(c);
      out.push_back(known == std::string_view::npos ? c : kMeant[known]);
      continue;
    }
    unsigned code = code_at(rest);
    rest.remove_prefix(4);
    if (is_high_surrogate(code)) {
      code = 0x10000 + ((code - 0xd800) << 10) + (code_at(rest.substr(2)) - 0xdc00);
      rest.remove_prefix(6);
    }
    append_utf8(out, code);
  }
}

void append_minified(std::string& out, std::string_view json) {
  // Copied in runs that end before white space outside of strings.
  std::size_t begin = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (is_space(c)) {
      out.append(json.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  out.append(json.substr(std::min(begin, json.size())));
}

}  // namespace artcache::util
