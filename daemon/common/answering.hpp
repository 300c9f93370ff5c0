// SPDX-License-Identifier: Apache-2.0
// Whether somebody answers who is asked again and again which elements there are.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/result.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "util/mutex.hpp"

namespace artcache {

/// The log tells when it begins to fail, with the reason, when it is over, and, once a minute at
/// most, when the reason has become another one. Safe to use from any thread.
class Answering {
 public:
  /// `who` and `logger` for the log: "admin", "ingester".
  Answering(std::string who, std::string logger, const Deps& deps)
      : who_(std::move(who)), logger_(std::move(logger)), deps_(deps) {}

  /// How it went this time. That nobody waited for the answer tells nothing.
  void note(const Result<void>& done);
  [[nodiscard]] const std::string& who() const { return who_; }
  /// "ok", or the code of what was wrong last; empty while it was never asked.
  [[nodiscard]] std::string state() const;

 private:
  void log(LogLevel level, std::string_view message, std::string_view reason) const;

  const std::string who_, logger_;
  const Deps deps_;
  mutable util::Mutex mutex_;
  bool asked_ ARTCACHE_GUARDED_BY(mutex_) = false;
  std::optional<Error> failure_ ARTCACHE_GUARDED_BY(mutex_);
  std::string told_ ARTCACHE_GUARDED_BY(mutex_);  ///< the reason in the log
  Clock::SteadyTime told_at_ ARTCACHE_GUARDED_BY(mutex_){};
};

}  // namespace artcache
