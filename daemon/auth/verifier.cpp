// SPDX-License-Identifier: Apache-2.0
#include "auth/verifier.hpp"

#include <algorithm>
#include <cstring>

#include "util/try.hpp"

namespace artcache::auth {
namespace {

std::int64_t nanoseconds_of(Clock::SteadyTime time) {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

void count_validation(Metrics& metrics, const Result<std::shared_ptr<const Claims>>& checked,
                      Clock::SteadyTime::duration taken) {
  const bool expired = !checked && checked.error().code == Errc::gone;
  const MetricLabel labels[] = {{"status", checked ? "valid" : expired ? "expired" : "invalid"}};
  metrics.count("token_validations_total", labels, 1);
  metrics.observe("token_validation_duration_seconds", {},
                  std::chrono::duration<double>(taken).count());
}

}  // namespace

std::size_t Verifier::ByPrefix::operator()(const util::Sha256Bytes& hash) const {
  std::size_t out = 0;
  std::memcpy(&out, hash.data(), sizeof out);
  return out;
}

Verifier::Verifier(const KeyRing& ring, const Clock& clock, VerifierOptions options)
    : ring_(ring),
      clock_(clock),
      options_(std::move(options)),
      refresh_at_(nanoseconds_of(clock.steady() + options_.refresh_every)) {}

void Verifier::refresh_when_due() {
  if (!options_.refresh || options_.refresh_every.count() == 0) return;
  const auto now = clock_.steady();
  std::int64_t due = refresh_at_.load();
  if (nanoseconds_of(now) < due) return;
  // Whoever moves the time on does it; the others go on with the keys as they are.
  if (refresh_at_.compare_exchange_strong(due, nanoseconds_of(now + options_.refresh_every)))
    options_.refresh();
}

std::shared_ptr<const Keys> Verifier::newer_keys(const Keys& than) {
  const util::MutexLock lock(refreshing_);  // who waits finds what another one has read
  auto keys = ring_.keys();
  const auto now = clock_.steady();
  if (keys->version != than.version || !options_.refresh || now < refresh_again_) return keys;
  refresh_again_ = now + options_.refresh_again_after;
  options_.refresh();
  return ring_.keys();
}

std::shared_ptr<const Claims> Verifier::recall(const util::Sha256Bytes& hash,
                                               std::uint64_t keys_version) {
  const util::MutexLock lock(mutex_);
  auto found = young_.find(hash);
  if (found == young_.end()) {
    const auto older = old_.find(hash);
    if (older == old_.end()) return nullptr;
    Known known = std::move(older->second);
    old_.erase(older);
    put(hash, std::move(known));
    found = young_.find(hash);
  }
  if (found->second.keys_version == keys_version) return found->second.claims;
  young_.erase(found);
  return nullptr;
}

void Verifier::put(const util::Sha256Bytes& hash, Known known) {
  if (young_.size() >= std::max<std::size_t>(options_.cached_most / 2, 1)) {
    old_ = std::move(young_);
    young_.clear();
  }
  young_.insert_or_assign(hash, std::move(known));
}

void Verifier::remember(const util::Sha256Bytes& hash, Known known) {
  const util::MutexLock lock(mutex_);
  put(hash, std::move(known));
}

Result<std::shared_ptr<const Claims>> Verifier::check(std::string_view token, const Keys& keys) {
  ARTCACHE_TRY(UnverifiedToken taken, take_apart(token));
  if (!keys.verify(taken.key_id, taken.signed_part, taken.signature))
    return Error{Errc::invalid_argument, "token: its signature is of no key that is trusted"};
  auto claims = std::make_shared<const Claims>(std::move(taken.claims));
  ARTCACHE_CHECK(check_times(*claims, clock_.now(), options_.leeway));
  return claims;
}

Result<std::shared_ptr<const Claims>> Verifier::verify(std::string_view token) {
  if (token.size() > kTokenMost) return Error{Errc::invalid_argument, "token: too long"};
  refresh_when_due();
  auto keys = ring_.keys();
  const util::Sha256Bytes hash = util::sha256(token);
  auto claims = recall(hash, keys->version);
  if (!claims) {
    const auto begun = clock_.steady();
    auto checked = check(token, *keys);
    if (!checked && checked.error().code == Errc::invalid_argument) {
      // Perhaps of a key that signs since a moment ago.
      const auto newer = newer_keys(*keys);
      if (newer->version != keys->version) checked = check(token, *(keys = newer));
    }
    count_validation(*options_.metrics, checked, clock_.steady() - begun);
    if (checked) remember(hash, {*checked, keys->version});
    return checked;
  }
  ARTCACHE_CHECK(check_times(*claims, clock_.now(), options_.leeway));
  return claims;
}

std::size_t Verifier::cached() const {
  const util::MutexLock lock(mutex_);
  return young_.size() + old_.size();
}

}  // namespace artcache::auth
