// SPDX-License-Identifier: Apache-2.0
// How many requests a minute somebody may make.
#pragma once

#include <artcache/clock.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "http/message.hpp"
#include "util/mutex.hpp"

namespace artcache::auth {

/// What became of one request, and what is left.
struct Allowance {
  bool allowed = true;
  std::uint32_t limit = 0, remaining = 0;
  std::chrono::seconds retry_after{0};  ///< when it was not allowed; at least one
  std::int64_t reset = 0;               ///< Unix seconds at which all of the limit is there again
};

/// Puts in X-RateLimit-Limit, -Remaining and -Reset.
void add_headers(const Allowance& allowance, http::Headers& headers);
/// 429 with these and Retry-After.
http::Problem too_many(const Allowance& allowance);

/// As many at once as there are a minute, then one at a time as they come back, evenly. Each key is
/// one number, and there is room for so many keys: beyond that those that have rested are
/// forgotten, then all. Safe to use from any thread.
class Limiter {
 public:
  explicit Limiter(const Clock& clock, std::size_t keys_most = 100'000);

  /// Counts one request. A limit of 0 allows everything and counts nothing.
  Allowance take(std::string_view key, std::uint32_t per_minute);
  /// What take() would say, without counting.
  [[nodiscard]] Allowance look(std::string_view key, std::uint32_t per_minute) const;

 private:
  using Times = std::unordered_map<std::string, Clock::SteadyTime>;

  [[nodiscard]] Allowance judge(Clock::SteadyTime paid_until, std::uint32_t per_minute) const;
  void make_room() ARTCACHE_REQUIRES(mutex_);

  const Clock& clock_;
  const std::size_t keys_most_;
  mutable util::Mutex mutex_;
  Times paid_until_ ARTCACHE_GUARDED_BY(mutex_);  ///< when all of the limit is there again
};

}  // namespace artcache::auth
