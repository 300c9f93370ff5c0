// SPDX-License-Identifier: Apache-2.0
// What `artcache` says besides its answer: progress, and log lines, on stderr.
#pragma once

#include <artcache/cache_rebuild_service.hpp>
#include <artcache/logger.hpp>
#include <cstdint>
#include <mutex>
#include <string>

namespace artcache::cli {

/// On a terminal a bar with rate and time left, which log lines push down; else log lines alone.
class Console final : public Logger {
 public:
  enum class Chatter : std::uint8_t {
    quiet,    ///< warnings and errors only, no bar
    normal,   ///< a bar on a terminal, else lines
    verbose,  ///< lines of every level
  };
  explicit Console(Chatter chatter);
  ~Console() override;

  void log(const LogRecord& record) noexcept override;
  [[nodiscard]] bool enabled(LogLevel level) const noexcept override;

  /// Whether there is anybody to show progress to.
  [[nodiscard]] bool has_bar() const noexcept;
  void show(const RunProgress& progress);
  /// Takes the bar away.
  void clear();

 private:
  void clear_locked();

  const bool terminal_;
  const Chatter chatter_;
  std::mutex mutex_;
  bool bar_shown_ = false;  // guarded by mutex_
};

/// `[=====>    ]  42 %  comparing  4,200 of 10,000  12,345/s  0:07 left`, at most 79 columns.
std::string progress_line(const RunProgress& progress);

}  // namespace artcache::cli
