// SPDX-License-Identifier: Apache-2.0
// Text cut into folded words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace artcache::search {

/// What is longer is cut, in entries and queries alike.
inline constexpr std::size_t kWordCharacters = 64;

/// What all letters of a word belong to; decides who stems it.
enum class Alphabet : std::uint8_t {
  latin,  ///< a to z, after folding
  cyrillic,
  other,  ///< any other, several, or digits among them: never stemmed
};

/// Any bytes are accepted; those that are not UTF-8, and NUL, separate words. The text must outlive
/// it. Not for several threads at once.
class WordReader {
 public:
  explicit WordReader(std::string_view text) : text_(text) {}

  /// The next word, or false at the end.
  bool next();

  /// The word that next() found; valid until the next call of it. Holds only a to z, 0 to 9 and
  /// well-formed UTF-8 above U+007F; never empty.
  [[nodiscard]] std::string_view word() const { return {word_.data(), size_}; }
  [[nodiscard]] Alphabet alphabet() const;

 private:
  bool append_cyrillic();
  bool next_beyond_ascii();
  void append(char32_t character);
  void combine(char32_t mark);

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t size_ = 0, characters_ = 0;
  char32_t last_ = 0;  // character of the word; 0 when it was cut
  std::uint8_t seen_ = 0;
  std::array<char, kWordCharacters * 4> word_;
};

}  // namespace artcache::search
