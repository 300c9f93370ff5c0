// SPDX-License-Identifier: Apache-2.0
// What a part of the daemon can be told, and what it was told.
#pragma once

#include <artcache/result.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::config {

enum class Kind : std::uint8_t {
  text,
  number,    ///< a whole number, not negative
  flag,      ///< true/false, on/off, 1/0, yes/no
  duration,  ///< 250ms, 30s, 5m, 2h, 1d; a bare number means seconds
  secret,    ///< a text that is never printed
  address,   ///< a URL, whose password is never printed
};

/// One thing that can be told. A part has a table of them, which lives as long as the process.
struct Setting {
  std::string_view name;           ///< in the file: "storage_mode"
  std::string_view variable = {};  ///< in the environment, the seeds' name: "APP_MODE"
  std::string_view also = {};      ///< another name there, which counts where the first is not set
  Kind kind = Kind::text;
  std::string_view fallback = {};              ///< when nobody says anything
  std::string_view meaning = {};               ///< one line for people
  std::uint64_t least = 0, most = UINT64_MAX;  ///< of a number; of a duration, in milliseconds
};

/// The settings of one part after file, environment and flags. Every value was checked against its
/// kind when it was put in, so that reading cannot fail. Reading from any thread.
class Settings {
 public:
  explicit Settings(std::span<const Setting> table);

  /// A later source replaces an earlier one; `source` is for people ("artcached.toml", "PORT").
  /// Errors: not_found (no such setting), invalid_argument (the value is none of that kind).
  Result<void> put(std::string_view name, std::string value, std::string source);

  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] const std::string& text(std::string_view name) const;
  [[nodiscard]] std::uint64_t number(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name) const;
  [[nodiscard]] std::chrono::milliseconds duration(std::string_view name) const;
  /// Whether anybody said it; else it is the fallback.
  [[nodiscard]] bool was_said(std::string_view name) const;

  [[nodiscard]] std::span<const Setting> table() const { return table_; }
  /// The value as it may be printed: a secret is `***`.
  [[nodiscard]] std::string shown(std::string_view name) const;
  /// Who said it: "default", a file, a variable, a flag.
  [[nodiscard]] const std::string& source(std::string_view name) const;

 private:
  struct Value {
    const Setting* setting = nullptr;
    std::string text, source;
  };
  [[nodiscard]] const Value& at(std::string_view name) const;
  std::span<const Setting> table_;
  std::map<std::string_view, Value> values_;
};

/// As a person would say it: "90s", "250ms".
std::string duration_text(std::uint64_t millis);

/// The candidate that a mistyped word was probably meant to be; empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace artcache::config
