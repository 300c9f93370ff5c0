// SPDX-License-Identifier: Apache-2.0
#include "common/log_writer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <artcache/timestamp.hpp>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace artcache {
namespace {

/// With the part that speaks and the time behind all others: what reads the log looks for
/// `LEVEL: message` at the front, and for `cache_rebuild` anywhere.
std::vector<LogField> fields_of(const LogRecord& record, LogWriter::Layout layout,
                                std::string_view time) {
  std::vector<LogField> all(record.fields.begin(), record.fields.end());
  if (layout == LogWriter::Layout::text) all.push_back({"logger", record.logger});
  all.push_back({"time", time});
  return all;
}

}  // namespace

Result<std::unique_ptr<LogWriter>> LogWriter::open(const std::string& file, Layout layout,
                                                   LogLevel least, const Clock& clock) {
  std::unique_ptr<LogWriter> writer(new LogWriter(file, layout, least, clock));
  if (auto opened = writer->reopen(); !opened) return std::move(opened).error();
  return writer;
}

LogWriter::~LogWriter() {
  if (fd_ != STDERR_FILENO) close(fd_);
}

Result<void> LogWriter::reopen() {
  if (file_.empty()) return {};
  const int fd = ::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return Error{Errc::unavailable, "log: '" + file_ + "': " + std::strerror(errno)};
  if (fd_ == STDERR_FILENO) {  // nobody writes yet
    fd_ = fd;
    return {};
  }
  const bool taken = dup3(fd, fd_, O_CLOEXEC) >= 0;
  const int cause = errno;
  close(fd);
  if (!taken) return Error{Errc::unavailable, "log: '" + file_ + "': " + std::strerror(cause)};
  return {};
}

void LogWriter::log(const LogRecord& record) noexcept {
  if (!enabled(record.level)) return;
  try {
    const std::string time = to_string(clock_.now());
    const auto fields = fields_of(record, layout_, time);
    LogRecord timed = record;
    timed.fields = fields;
    std::string line = layout_ == Layout::json ? to_json(timed) : to_text(timed);
    line += '\n';
    static_cast<void>(!write(fd_, line.data(), line.size()));
  } catch (...) {
    // No memory for a line: it is lost.
  }
}

std::optional<LogLevel> parse_log_level(std::string_view word) {
  std::string upper(word);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (upper == "WARN") return LogLevel::warning;
  for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error})
    if (to_string(level) == upper) return level;
  return std::nullopt;
}

}  // namespace artcache
