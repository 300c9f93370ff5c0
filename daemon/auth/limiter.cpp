// SPDX-License-Identifier: Apache-2.0
#include "auth/limiter.hpp"

#include <algorithm>

namespace artcache::auth {
namespace {

using std::chrono::nanoseconds;
constexpr nanoseconds kMinute = std::chrono::minutes(1);

std::chrono::seconds rounded_up(nanoseconds time) {
  return std::chrono::ceil<std::chrono::seconds>(time);
}

}  // namespace

void add_headers(const Allowance& allowance, http::Headers& headers) {
  headers.set("X-RateLimit-Limit", std::to_string(allowance.limit));
  headers.set("X-RateLimit-Remaining", std::to_string(allowance.remaining));
  headers.set("X-RateLimit-Reset", std::to_string(allowance.reset));
}

http::Problem too_many(const Allowance& allowance) {
  http::Problem out{
      .status = 429,
      .detail = "Rate limit exceeded: " + std::to_string(allowance.limit) + " requests per minute"};
  add_headers(allowance, out.headers);
  out.headers.set("Retry-After", std::to_string(allowance.retry_after.count()));
  return out;
}

Limiter::Limiter(const Clock& clock, std::size_t keys_most)
    : clock_(clock), keys_most_(std::max<std::size_t>(keys_most, 1)) {}

Allowance Limiter::judge(Clock::SteadyTime paid_until, std::uint32_t per_minute) const {
  const auto now = clock_.steady();
  const nanoseconds price = kMinute / per_minute;
  const nanoseconds owed = std::max(nanoseconds(paid_until - now), nanoseconds(0));
  // A minute holds the whole limit, less what rounding down the price leaves over.
  const nanoseconds credit = price * per_minute - owed;
  Allowance out;
  out.limit = per_minute;
  out.allowed = credit >= price;
  out.remaining = static_cast<std::uint32_t>(std::max<std::int64_t>(credit / price, 0));
  if (!out.allowed) out.retry_after = std::max(rounded_up(price - credit), std::chrono::seconds(1));
  out.reset = rounded_up(clock_.now().since_epoch() + owed).count();
  return out;
}

void Limiter::make_room() {
  if (paid_until_.size() < keys_most_) return;
  const auto now = clock_.steady();
  std::erase_if(paid_until_, [now](const auto& entry) { return entry.second <= now; });
  if (paid_until_.size() >= keys_most_) paid_until_.clear();
}

Allowance Limiter::take(std::string_view key, std::uint32_t per_minute) {
  if (per_minute == 0) return {};
  const util::MutexLock lock(mutex_);
  auto found = paid_until_.find(std::string(key));
  if (found == paid_until_.end()) {
    make_room();
    found = paid_until_.emplace(key, clock_.steady()).first;
  }
  const Allowance before = judge(found->second, per_minute);
  if (!before.allowed) return before;
  found->second = std::max(found->second, clock_.steady()) + kMinute / per_minute;
  Allowance after = judge(found->second, per_minute);
  after.allowed = true;
  after.retry_after = {};
  return after;
}

Allowance Limiter::look(std::string_view key, std::uint32_t per_minute) const {
  if (per_minute == 0) return {};
  const util::MutexLock lock(mutex_);
  const auto found = paid_until_.find(std::string(key));
  return judge(found == paid_until_.end() ? clock_.steady() : found->second, per_minute);
}

}  // namespace artcache::auth
