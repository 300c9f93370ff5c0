// SPDX-License-Identifier: Apache-2.0
#include "util/json_scan.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <bit>
#include <cstring>

#include "util/hex.hpp"
#include "util/utf8.hpp"

namespace artcache::util {
namespace {

constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

#if defined(__SSE2__)
/// How many bytes from the front are neither quote, backslash nor control character; may stop
/// early within the last fifteen. Sets `beyond_ascii` when a byte on the way, or a few behind it,
/// is.
std::size_t plain_run(std::string_view text, bool& beyond_ascii) {
  const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
  const __m128i last_control = _mm_set1_epi8(0x1f);
  std::size_t at = 0;
  for (; at + sizeof(__m128i) <= text.size(); at += sizeof(__m128i)) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    // The smaller of byte and 0x1f is the byte itself just for control characters.
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    const __m128i special = _mm_or_si128(
        control, _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const auto marks = static_cast<unsigned>(_mm_movemask_epi8(special));
    beyond_ascii |= _mm_movemask_epi8(bytes) != 0;
    if (marks != 0) return at + static_cast<std::size_t>(std::countr_zero(marks));
  }
  return at;
}
#else
static_assert(std::endian::native == std::endian::little, "plain_run() counts from the right");

/// How many bytes from the front are neither quote, backslash nor control character; may stop
/// early within the last seven. Sets `beyond_ascii` when a byte on the way, or a few behind it, is.
std::size_t plain_run(std::string_view text, bool& beyond_ascii) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL, kHighs = 0x8080808080808080ULL;
  const auto zero_bytes = [](std::uint64_t w) { return (w - kOnes) & ~w & kHighs; };
  std::size_t at = 0;
  for (std::uint64_t word = 0; at + sizeof word <= text.size(); at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    const std::uint64_t control = (word - kOnes * 0x20) & ~word & kHighs;
    beyond_ascii |= (word & kHighs) != 0;
    const std::uint64_t marks =
        control | zero_bytes(word ^ (kOnes * '"')) | zero_bytes(word ^ (kOnes * '\\'));
    // Borrows may add false marks above the lowest one, never below it.
    if (marks != 0) return at + static_cast<std::size_t>(std::countr_zero(marks)) / 8;
  }
  return at;
}
#endif

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

bool JsonScanner::check_start() {
  return !text_.starts_with("\xef\xbb\xbf") || fail("a byte order mark is not JSON");
}

void JsonScanner::skip_spaces() {
  const char* const begin = text_.data();
  const char* const end = begin + text_.size();
  const char* at = begin + at_;
  while (at != end && is_space(*at)) ++at;
  at_ = static_cast<std::size_t>(at - begin);
}

bool JsonScanner::enter_object() {
  skip_space();
  if (peek() != '{') return fail("not an object");
  ++at_;
  first_ = true;
  return true;
}

bool JsonScanner::enter_array() {
  skip_space();
  if (peek() != '[') return fail("not an array");
  ++at_;
  first_ = true;
  return true;
}

bool JsonScanner::next(char close, const char* expected) {
  if (failed()) return false;
  skip_space();
  if (peek() == close) {
    ++at_;
    return false;
  }
  if (!first_) {
    if (peek() != ',') return fail(expected);
    ++at_;
    skip_space();
  }
  first_ = false;
  return true;
}

bool JsonScanner::next_member(JsonValue& name, JsonValue& value_out) {
  if (!next('}', "expected , or }")) return false;
  if (peek() != '"') return fail("expected a member name");
  if (!string(name)) return false;
  skip_space();
  if (peek() != ':') return fail("expected :");
  ++at_;
  skip_space();
  return value(value_out, 1);
}

bool JsonScanner::next_element(JsonValue& out) {
  return next(']', "expected , or ]") && value(out, 1);
}

bool JsonScanner::at_end() {
  skip_space();
  return at_ == text_.size();
}

bool JsonScanner::value(JsonValue& out, unsigned depth) {
  const std::size_t begin = at_;
  bool good = false;
  switch (peek()) {
    case '"':
      return string(out);
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
  out.text = text_.substr(begin, at_ - begin);
  return good;
}

/// The bracket that opens is at hand; recursion ends at kDepthMost.
bool JsonScanner::container(char close, unsigned depth) {
  if (depth >= kDepthMost) return fail("nested too deeply");
  ++at_;
  skip_space();
  if (peek() == close) {
    ++at_;
    return true;
  }
  JsonValue ignored;
  while (true) {
    if (close == '}') {
      if (peek() != '"') return fail("expected a member name");
      if (!string(ignored)) return false;
      skip_space();
      if (peek() != ':') return fail("expected :");
      ++at_;
      skip_space();
    }
    if (!value(ignored, depth + 1)) return false;
    skip_space();
    if (peek() == close) break;
    if (peek() != ',') return fail(close == '}' ? "expected , or }" : "expected , or ]");
    ++at_;
    skip_space();
  }
  ++at_;
  return true;
}

bool JsonScanner::string(JsonValue& out) {
  out.kind = JsonKind::string;
  out.escaped = false;
  const std::size_t begin = at_++;
  bool beyond_ascii = false;
  while (true) {
    at_ += plain_run(text_.substr(at_), beyond_ascii);
    if (at_ >= text_.size()) return fail("a string without its end");
    const char c = text_[at_];
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
  out.text = text_.substr(begin, at_ - begin);
  return !beyond_ascii || valid_utf8(out.text, begin);
}

bool JsonScanner::valid_utf8(std::string_view text, std::size_t begin) {
  const std::size_t valid = utf8_valid_prefix(text);
  if (valid == text.size()) return true;
  at_ = begin + valid;
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
  if (text_.substr(at_, 2) != "\\u") return fail("a lone surrogate in a string");
  at_ += 2;
  if (!hex4(low)) return false;
  return is_low_surrogate(low) || fail("a lone surrogate in a string");
}

bool JsonScanner::hex4(unsigned& code) {
  if (text_.size() - at_ < 4) return fail("a bad \\u escape in a string");
  for (std::size_t i = 0; i < 4; ++i)
    if (hex_value(text_[at_ + i]) < 0) return fail("a bad \\u escape in a string");
  code = code_at(text_.substr(at_, 4));
  at_ += 4;
  return true;
}

bool JsonScanner::number() {
  if (peek() == '-') ++at_;
  const auto digits = [&] {
    const std::size_t begin = at_;
    while (is_digit(peek())) ++at_;
    return at_ > begin;
  };
  if (peek() == '0') {
    ++at_;
    if (is_digit(peek())) return fail("a number with a leading zero");
  } else if (!digits()) {
    return fail("expected a value");
  }
  if (peek() == '.') {
    ++at_;
    if (!digits()) return fail("a number without digits behind its dot");
  }
  if (peek() == 'e' || peek() == 'E') {
    ++at_;
    if (peek() == '+' || peek() == '-') ++at_;
    if (!digits()) return fail("a number without digits in its exponent");
  }
  return true;
}

bool JsonScanner::word(std::string_view expected) {
  if (text_.substr(at_, expected.size()) != expected) return fail("expected a value");
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
