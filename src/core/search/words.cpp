// SPDX-License-Identifier: Apache-2.0
#include "core/search/words.hpp"

#include "core/search/fold.hpp"
#include "core/search/fold_tables.hpp"
#include "util/utf8.hpp"

namespace artcache::search {
namespace {

constexpr std::uint8_t kLatin = 1, kCyrillic = 2, kOther = 4;

// 0 separates words, 0x80 begins what is not ASCII, everything else is the folded character.
constexpr std::array<unsigned char, 256> make_ascii() {
  std::array<unsigned char, 256> table{};
  for (unsigned c = 0; c < table.size(); ++c) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    table[c] = static_cast<unsigned char>(upper       ? c + ('a' - 'A')
                                          : kept      ? c
                                          : c >= 0x80 ? 0x80
                                                      : 0);
  }
  return table;
}
constexpr auto kAscii = make_ascii();

char32_t decode(std::string_view sequence) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (sequence.size() == 1) return byte(0);
  char32_t value = byte(0) & (0xffU >> (sequence.size() + 1));
  for (std::size_t i = 1; i < sequence.size(); ++i) value = value << 6 | (byte(i) & 0x3fU);
  return value;
}

std::size_t encode(char32_t c, char* out) {
  const auto put = [&](std::size_t i, char32_t value) { out[i] = static_cast<char>(value); };
  if (c < 0x80) return put(0, c), 1;
  if (c < 0x800) return put(0, 0xc0 | c >> 6), put(1, 0x80 | (c & 0x3f)), 2;
  const auto tail = [&](std::size_t i, unsigned shift) { put(i, 0x80 | (c >> shift & 0x3f)); };
  if (c < 0x10000) return put(0, 0xe0 | c >> 12), tail(1, 6), tail(2, 0), 3;
  return put(0, 0xf0 | c >> 18), tail(1, 12), tail(2, 6), tail(3, 0), 4;
}

}  // namespace

bool WordReader::next() {
  size_ = characters_ = 0;
  last_ = 0;
  seen_ = 0;
  while (at_ < text_.size()) {
    const unsigned char c = kAscii[static_cast<unsigned char>(text_[at_])];
    if (c == 0x80) {
      if (!append_cyrillic() && next_beyond_ascii()) return true;
      continue;
    }
    ++at_;
    if (c == 0) {
      if (size_ > 0) return true;
    } else if (characters_ < kWordCharacters) {
      word_[size_++] = static_cast<char>(c);
      ++characters_;
      last_ = c;
      seen_ |= c >= 'a' ? kLatin : kOther;
    } else {
      last_ = 0;
    }
  }
  return size_ > 0;
}

/// Takes a Cyrillic letter if one comes next. Does what next_beyond_ascii() would do, in a third of
/// the time.
bool WordReader::append_cyrillic() {
  static_assert(tables::kCyrillicFirst == 0x400);
  if (text_.size() - at_ < 2 || characters_ == kWordCharacters) return false;
  const auto lead = static_cast<unsigned char>(text_[at_]);
  const auto tail = static_cast<unsigned char>(text_[at_ + 1]);
  if ((lead != 0xd0 && lead != 0xd1) || (tail & 0xc0) != 0x80) return false;
  const char32_t folded = tables::kCyrillic[(lead & 1U) << 6 | (tail & 0x3fU)];
  if (folded <= 1) return false;
  word_[size_++] = static_cast<char>(0xc0 | folded >> 6);
  word_[size_++] = static_cast<char>(0x80 | (folded & 0x3f));
  ++characters_;
  last_ = folded;
  seen_ |= kCyrillic;
  at_ += 2;
  return true;
}

/// Takes one character; true when a word ends there.
bool WordReader::next_beyond_ascii() {
  const std::size_t length = util::utf8_sequence(text_.substr(at_));
  if (length == 0) {
    ++at_;
    return size_ > 0;
  }
  const char32_t character = decode(text_.substr(at_, length));
  const Folded folded = fold(character);
  if (folded.kind == Folded::Kind::alone && size_ > 0) return true;  // it comes next
  at_ += length;
  switch (folded.kind) {
    case Folded::Kind::separator:
      return size_ > 0;
    case Folded::Kind::ignored:
      if (is_combining(character)) combine(character);
      return false;
    case Folded::Kind::letter:
      append(folded.first);
      if (folded.second != 0) append(folded.second);
      return false;
    case Folded::Kind::alone:
      append(folded.first);
      return true;
  }
  return false;
}

void WordReader::append(char32_t character) {
  if (characters_ == kWordCharacters) {
    last_ = 0;
    return;
  }
  size_ += encode(character, word_.data() + size_);
  ++characters_;
  last_ = character;
  seen_ |= character >= 'a' && character <= 'z' ? kLatin
           : is_cyrillic(character)             ? kCyrillic
                                                : kOther;
}

void WordReader::combine(char32_t mark) {
  const char32_t composed = compose(last_, mark);
  if (composed == last_) return;
  size_ -= 2;  // every letter that composes has two bytes
  size_ += encode(composed, word_.data() + size_);
  last_ = composed;
}

Alphabet WordReader::alphabet() const {
  return seen_ == kLatin      ? Alphabet::latin
         : seen_ == kCyrillic ? Alphabet::cyrillic
                              : Alphabet::other;
}

}  // namespace artcache::search
