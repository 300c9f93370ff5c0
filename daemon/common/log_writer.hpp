// SPDX-License-Identifier: Apache-2.0
// The log of the daemon: one line a record, as text or JSON, on stderr or at the end of a file.
#pragma once

#include <artcache/clock.hpp>
#include <artcache/logger.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace artcache {

class LogWriter final : public Logger {
 public:
  enum class Layout : std::uint8_t { text, json };
  /// An empty `file` is stderr. Errors: unavailable (the file cannot be written).
  static Result<std::unique_ptr<LogWriter>> open(const std::string& file, Layout layout,
                                                 LogLevel least, const Clock& clock);
  ~LogWriter() override;
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  /// A line is written with one call and nothing is held meanwhile: the kernel keeps those of
  /// several threads and processes apart. One that cannot be written is lost; the work goes on.
  void log(const LogRecord& record) noexcept override;
  [[nodiscard]] bool enabled(LogLevel level) const noexcept override { return level >= least_; }
  /// Opens the file anew, for whoever moved it away. On an error the old one stays.
  Result<void> reopen();

 private:
  LogWriter(std::string file, Layout layout, LogLevel least, const Clock& clock)
      : file_(std::move(file)), layout_(layout), least_(least), clock_(clock) {}

  const std::string file_;
  const Layout layout_;
  const LogLevel least_;
  const Clock& clock_;
  int fd_ = 2;  // the same number for as long as anybody may write
};

/// "debug", "INFO", "warn", "warning", "error"; nothing for anything else.
std::optional<LogLevel> parse_log_level(std::string_view word);

}  // namespace artcache
