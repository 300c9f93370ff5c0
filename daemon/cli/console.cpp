// SPDX-License-Identifier: Apache-2.0
#include "cli/console.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace artcache::cli {
namespace {

constexpr std::size_t kBarWidth = 24;

std::string with_commas(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

std::string time_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  char text[32];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%llu:%02llu:%02llu",
                  static_cast<unsigned long long>(whole / 3600),
                  static_cast<unsigned long long>(whole / 60 % 60),
                  static_cast<unsigned long long>(whole % 60));
  else
    std::snprintf(text, sizeof text, "%llu:%02llu", static_cast<unsigned long long>(whole / 60),
                  static_cast<unsigned long long>(whole % 60));
  return text;
}

}  // namespace

std::string progress_line(const RunProgress& progress) {
  std::string line;
  const std::uint64_t done = progress.processed;
  if (progress.total > 0) {
    const double part =
        std::min(1.0, static_cast<double>(done) / static_cast<double>(progress.total));
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(kBarWidth));
    line.append("[").append(filled, '=').append(filled < kBarWidth ? ">" : "");
    line.append(kBarWidth - std::min(kBarWidth, filled + 1), ' ').append("] ");
    const auto percent = std::to_string(static_cast<int>(part * 100));
    line.append(3 - std::min<std::size_t>(3, percent.size()), ' ').append(percent).append(" %  ");
  }
  line.append(progress.phase).append("  ").append(with_commas(done));
  if (progress.total > 0) line.append(" of ").append(with_commas(progress.total));
  if (progress.per_second >= 1) {
    line.append("  ")
        .append(with_commas(static_cast<std::uint64_t>(progress.per_second)))
        .append("/s");
    if (progress.total > done)
      line.append("  ")
          .append(time_text(static_cast<double>(progress.total - done) / progress.per_second))
          .append(" left");
  }
  line.resize(std::min<std::size_t>(line.size(), 79));
  return line;
}

Console::Console(Chatter chatter) : terminal_(isatty(STDERR_FILENO) == 1), chatter_(chatter) {}

Console::~Console() { clear(); }

bool Console::enabled(LogLevel level) const noexcept {
  switch (chatter_) {
    case Chatter::verbose:
      return true;
    case Chatter::quiet:
      return level >= LogLevel::warning;
    case Chatter::normal:
      break;
  }
  // The bar says what the lines would.
  return level >= (terminal_ ? LogLevel::warning : LogLevel::info);
}

void Console::log(const LogRecord& record) noexcept {
  try {
    if (!enabled(record.level)) return;
    const std::string line = to_text(record);
    const std::scoped_lock held(mutex_);
    clear_locked();
    std::fprintf(stderr, "%s\n", line.c_str());
  } catch (...) {
    // A line that does not fit into memory is lost; the work goes on.
  }
}

bool Console::has_bar() const noexcept { return terminal_ && chatter_ != Chatter::quiet; }

void Console::show(const RunProgress& progress) {
  if (!has_bar()) return;
  const std::string line = progress_line(progress);
  const std::scoped_lock held(mutex_);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  bar_shown_ = true;
}

void Console::clear() {
  const std::scoped_lock held(mutex_);
  clear_locked();
}

void Console::clear_locked() {
  if (!bar_shown_) return;
  std::fprintf(stderr, "\r\033[K");
  bar_shown_ = false;
}

}  // namespace artcache::cli
