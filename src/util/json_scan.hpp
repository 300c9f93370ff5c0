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

  explicit JsonScanner(std::string_view text) : text_(text) {}

  /// Refuses a byte order mark; to be called first. All else about the encoding is checked where
  /// it matters, in strings: outside of them only ASCII is grammatical.
  bool check_start();
  /// The value at hand must be an object (or array) and is entered.
  bool enter_object();
  bool enter_array();
  /// The next member of the object entered last; false at its end.
  bool next_member(JsonValue& name, JsonValue& value);
  /// The next element of the array entered last; false at its end.
  bool next_element(JsonValue& value);
  /// True when nothing but white space follows.
  bool at_end();

  [[nodiscard]] bool failed() const { return what_ != nullptr; }
  [[nodiscard]] const char* what() const { return what_; }
  [[nodiscard]] std::size_t offset() const { return at_; }

 private:
  bool fail(const char* what) {
    if (what_ == nullptr) what_ = what;
    return false;
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    // Mostly there is none, which is worth an answer without a call.
    if (at_ < text_.size() && static_cast<unsigned char>(text_[at_]) <= ' ') skip_spaces();
  }
  void skip_spaces();
  bool next(char close, const char* expected);
  bool value(JsonValue& out, unsigned depth);
  bool container(char close, unsigned depth);
  bool string(JsonValue& out);
  bool valid_utf8(std::string_view text, std::size_t begin);
  bool escape();
  bool hex4(unsigned& code);
  bool number();
  bool word(std::string_view expected);

  std::string_view text_;
  std::size_t at_ = 0;
  bool first_ = true;
  const char* what_ = nullptr;
};

/// The text that a string value stands for, appended to `out`. Only for what a scanner passed.
void append_decoded(std::string& out, const JsonValue& string);

/// The value without white space between its tokens, appended to `out`.
void append_minified(std::string& out, std::string_view json);

}  // namespace artcache::util
