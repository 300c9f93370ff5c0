// SPDX-License-Identifier: Apache-2.0
// The one writer of JSON: CLI, daemon, logs and sidecars all use it.
#pragma once

#include <artcache/export.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace artcache {

/// Writes one JSON document from front to back; commas and indentation come by themselves.
/// Numbers are plain decimals: a double has one to six fraction digits and never an exponent
/// (0.0, 125.5), because shell scripts feed them to `bc`; not-a-number and infinities are null.
/// Strings are UTF-8; bytes that are not become U+FFFD. Not safe for use by two threads at once.
class ARTCACHE_EXPORT JsonWriter {
 public:
  enum class Layout : std::uint8_t { compact, indented };
  explicit JsonWriter(Layout layout = Layout::compact) : layout_(layout) {}

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::same_as<bool> auto flag) { return boolean(flag); }
  JsonWriter& value(double number);
  JsonWriter& value(std::signed_integral auto number) { return integer(number); }
  JsonWriter& value(std::unsigned_integral auto number) requires(
      !std::same_as<decltype(number), bool>) {
    return unsigned_integer(number);
  }
  JsonWriter& null();
  /// Text that is JSON already; put in as it is.
  JsonWriter& raw(std::string_view json);

  /// A name that is a JSON string already, quotes included; put in as it is.
  JsonWriter& raw_key(std::string_view json);

  /// key(name) and value(v) in one.
  template <class V>
  JsonWriter& member(std::string_view name, const V& v) {
    key(name);
    return value(v);
  }

  /// What has been written so far; whole once every begin has its end.
  [[nodiscard]] const std::string& str() const& { return out_; }
  [[nodiscard]] std::string str() && { return std::move(out_); }

 private:
  void before_value();
  void newline();
  void close(char bracket);
  JsonWriter& boolean(bool flag);
  JsonWriter& integer(std::int64_t number);
  JsonWriter& unsigned_integer(std::uint64_t number);

  Layout layout_;
  std::string out_;
  std::vector<std::size_t> counts_;  // members so far of each open object or array
  bool after_key_ = false;
};

/// `text` as a JSON string with its quotes, appended to `out`.
ARTCACHE_EXPORT void append_json_string(std::string& out, std::string_view text);

}  // namespace artcache
