// SPDX-License-Identifier: Apache-2.0
// Where log lines go. The library writes none anywhere by itself.
#pragma once

#include <artcache/export.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace artcache {

enum class LogLevel : std::uint8_t { debug, info, warning, error };
/// "DEBUG", "INFO", "WARNING", "ERROR"
ARTCACHE_EXPORT std::string_view to_string(LogLevel level);

/// One `key=value` behind the message. The views live as long as the call to log().
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double> value;
};

/// One line. All views live only as long as the call to log().
struct LogRecord {
  LogLevel level = LogLevel::info;
  std::string_view logger;   ///< the part that speaks, such as "cache_rebuild"
  std::string_view message;  ///< a sentence without a line break
  std::span<const LogField> fields;
  std::string_view request_id;  ///< of the Call, may be empty
};

/// Called from any thread, never under a lock of the library. Must not throw.
class ARTCACHE_EXPORT Logger {
 public:
  virtual ~Logger() = default;
  virtual void log(const LogRecord& record) noexcept = 0;
  /// False saves the caller from making the line at all.
  [[nodiscard]] virtual bool enabled(LogLevel level) const noexcept = 0;
};

/// Swallows everything.
ARTCACHE_EXPORT Logger& null_logger();

/// `LEVEL: message | key=value key="two words"`, without a line break at the end. Control
/// characters are escaped in keys and values and blanks in the message, so that one record is
/// always one line; bytes that are not UTF-8 become U+FFFD.
ARTCACHE_EXPORT std::string to_text(const LogRecord& record);
/// The same as one JSON object: level, logger, message, request_id where there is one, fields.
ARTCACHE_EXPORT std::string to_json(const LogRecord& record);

}  // namespace artcache
