// SPDX-License-Identifier: Apache-2.0
#include <artcache/json_writer.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cmath>
#include <cstring>

#include "util/utf8.hpp"

namespace artcache {
namespace {

constexpr int kFractionDigitsMost = 6;
/// Most documents are one small object: they need not grow from nothing.
constexpr std::size_t kRoomFirst = 448;

void append_escape(std::string& out, unsigned char c) {
  static constexpr char kDigits[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out.append("\\\"");
      return;
    case '\\':
      out.append("\\\\");
      return;
    case '\n':
      out.append("\\n");
      return;
    case '\r':
      out.append("\\r");
      return;
    case '\t':
      out.append("\\t");
      return;
    default:
      out.append("\\u00");
      out.push_back(kDigits[c >> 4]);
      out.push_back(kDigits[c & 0x0f]);
  }
}

template <class N>
void append_integer(std::string& out, N number) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

bool is_plain(char byte) {
  const auto c = static_cast<unsigned char>(byte);
  return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

/// Whether each of eight bytes is plain. A borrow runs only from a byte that is not into the next
/// ones, so that all of them together tell the truth.
bool are_plain(const char* eight) {
  constexpr std::uint64_t kOnes = 0x0101010101010101, kHigh = kOnes * 0x80;
  std::uint64_t word = 0;
  std::memcpy(&word, eight, sizeof word);
  const auto below = [](std::uint64_t bytes, std::uint64_t limit) {
    return (bytes - kOnes * limit) & ~bytes;
  };
  return ((word | below(word, ' ') | below(word ^ (kOnes * '"'), 1) |
           below(word ^ (kOnes * '\\'), 1)) &
          kHigh) == 0;
}

/// Of the bytes in front that stand for themselves: nearly always all of them.
std::size_t plain_length(std::string_view text) {
  std::size_t n = 0;
  while (n + 8 <= text.size() && are_plain(text.data() + n)) n += 8;
  while (n < text.size() && is_plain(text[n])) ++n;
  return n;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  if (plain_length(text) == text.size()) {
    const std::size_t begin = out.size();
    out.append(text.size() + 2, '"');
    text.copy(out.data() + begin + 1, text.size());
    return;
  }
  out.push_back('"');
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t plain = plain_length(text.substr(i));
    out.append(text.substr(i, plain));
    i += plain;
    if (i == text.size()) break;
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      append_escape(out, c);
      ++i;
      continue;
    }
    const std::size_t length = util::utf8_sequence(text.substr(i));
    if (length == 0) {
      out.append("\xef\xbf\xbd");
      ++i;
      continue;
    }
    out.append(text.substr(i, length));
    i += length;
  }
  out.push_back('"');
}

void JsonWriter::newline() {
  if (layout_ == Layout::compact) return;
  out_.push_back('\n');
  out_.append(counts_.size() * 2, ' ');
}

void JsonWriter::before_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (counts_.empty()) return;
  if (counts_.back()++ > 0) out_.push_back(',');
  newline();
}

JsonWriter& JsonWriter::begin_object() {
  if (out_.empty()) out_.reserve(kRoomFirst);
  before_value();
  out_.push_back('{');
  counts_.push_back(0);
  return *this;
}

JsonWriter& JsonWriter::begin_array() {
  before_value();
  out_.push_back('[');
  counts_.push_back(0);
  return *this;
}

void JsonWriter::close(char bracket) {
  assert(!counts_.empty() && !after_key_);
  const bool empty = counts_.back() == 0;
  counts_.pop_back();
  if (!empty) newline();
  out_.push_back(bracket);
}

JsonWriter& JsonWriter::end_object() {
  close('}');
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  close(']');
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  before_value();
  append_json_string(out_, name);
  out_.append(layout_ == Layout::indented ? ": " : ":");
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::raw_key(std::string_view json) {
  before_value();
  out_.append(json);
  out_.append(layout_ == Layout::indented ? ": " : ":");
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  before_value();
  append_json_string(out_, text);
  return *this;
}

JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) return null();
  before_value();
  // Room for the longest: 309 digits before the dot, six behind it.
  std::array<char, 330> digits{};
  auto* end = std::to_chars(digits.data(), digits.data() + digits.size(), number,
                            std::chars_format::fixed, kFractionDigitsMost)
                  .ptr;
  while (end[-1] == '0' && end[-2] != '.') --end;
  std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
  if (text == "-0.0") text.remove_prefix(1);
  out_.append(text);
  return *this;
}

JsonWriter& JsonWriter::boolean(bool flag) {
  before_value();
  out_.append(flag ? "true" : "false");
  return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t number) {
  before_value();
  append_integer(out_, number);
  return *this;
}

JsonWriter& JsonWriter::unsigned_integer(std::uint64_t number) {
  before_value();
  append_integer(out_, number);
  return *this;
}

JsonWriter& JsonWriter::null() {
  before_value();
  out_.append("null");
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  before_value();
  out_.append(json);
  return *this;
}

}  // namespace artcache
