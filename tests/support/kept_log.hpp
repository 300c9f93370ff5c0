// SPDX-License-Identifier: Apache-2.0
// The lines of a log, for tests that look for one.
#pragma once

#include <artcache/logger.hpp>
#include <mutex>
#include <string>
#include <vector>

namespace artcache::test {

class KeptLog final : public Logger {
 public:
  void log(const LogRecord& record) noexcept override {
    const std::scoped_lock held(mutex_);
    lines_.push_back(to_text(record));
  }
  [[nodiscard]] bool enabled(LogLevel) const noexcept override { return true; }

  /// How many lines begin so.
  [[nodiscard]] std::size_t count(const std::string& beginning) const {
    const std::scoped_lock held(mutex_);
    std::size_t count = 0;
    for (const std::string& line : lines_) count += line.starts_with(beginning) ? 1U : 0U;
    return count;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace artcache::test
