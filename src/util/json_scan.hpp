// SPDX-License-Identifier: Apache-2.0
// Reads JSON (RFC 8259, UTF-8) without a tree: every value is a span of the text, checked once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace artcache::util {

enum class JsonKind : std::uint8_t { object, array, string, number, boolean, null };

/// One value as it stands in the text, quotes and brackets included.
struct JsonValue {
  JsonKind kind = JsonKind::null;
  bool escaped = false;  ///< a string with backslashes in it
  std::string_view text;

  /// A string without its quotes, as spelled.
  [[nodiscard]] std::string_view spelled() const { return text.substr(1, text.size() - 2); }
};

/// Walks through one text. Every call returns false for "no more" or "wrong"; failed() tells
/// which. The text must outlive everything read from it. Checked on the way: grammar, UTF-8,
/// surrogates in pairs, depth.
class JsonScanner {
 public:
  static constexpr unsigned kDepthMost = 100;

  explicit JsonScanner(std::string_view text)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  /// Refuses a byte order mark; to be called first. All else about the encoding is checked where
  /// it matters, in strings: outside of them only ASCII is grammatical.
  bool check_start();
  /// The value at hand must be an object (or array) and is entered.
  bool enter_object();
  bool enter_array();
  /// The next member of the object entered last; false at its end.
  bool next_member(JsonValue& name, JsonValue& value) { return next_member(name, value, {}); }
  /// The same where the name is probably `guess`, which spares reading it. The guess is compared,
  /// so a wrong one changes nothing; it must be plain: UTF-8 that is spelled without escapes.
  bool next_member(JsonValue& name, JsonValue& value, std::string_view guess);
  /// True when the name that next_member() gave last is the guess.
  [[nodiscard]] bool guessed() const { return guessed_; }
  /// The next element of the array entered last; false at its end.
  bool next_element(JsonValue& value);
  /// True when nothing but white space follows.
  bool at_end();

  [[nodiscard]] bool failed() const { return what_ != nullptr; }
  [[nodiscard]] const char* what() const { return what_; }
  [[nodiscard]] std::size_t offset() const { return static_cast<std::size_t>(at_ - begin_); }

 private:
  bool fail(const char* what) {
    if (what_ == nullptr) what_ = what;
    return false;
  }
  [[nodiscard]] char peek() const { return at_ != end_ ? *at_ : '\0'; }
  bool take(char c) {
    if (peek() != c) return false;  // c is not NUL
    ++at_;
    return true;
  }
  [[nodiscard]] std::string_view rest() const {
    return {at_, static_cast<std::size_t>(end_ - at_)};
  }
  void skip_space();
  bool next(char close, const char* expected);
  bool colon();
  bool take_guess(JsonValue& name, std::string_view guess);
  bool value(JsonValue& out, unsigned depth);
  bool other_value(JsonValue& out, unsigned depth);
  bool container(char close, unsigned depth);
  bool string(JsonValue& out);
  bool valid_utf8(std::string_view text);
  bool escape();
  bool hex4(unsigned& code);
  bool number();
  bool word(std::string_view expected);

  const char* begin_;
  const char* at_;
  const char* end_;
  bool first_ = true, guessed_ = false;
  const char* what_ = nullptr;
};

/// Whether two texts are equal, quick for names: without a loop or a call for 4 to 24 bytes.
bool same_text(std::string_view a, std::string_view b);

/// The text that a string value stands for, appended to `out`. Only for what a scanner passed.
void append_decoded(std::string& out, const JsonValue& string);

/// The value without white space between its tokens, appended to `out`.
void append_minified(std::string& out, std::string_view json);

}  // namespace artcache::util
