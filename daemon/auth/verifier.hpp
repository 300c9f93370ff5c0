// SPDX-License-Identifier: Apache-2.0
// From a token to what may be believed of it, quickly when it comes again.
#pragma once

#include <array>
#include <artcache/clock.hpp>
#include <artcache/metrics.hpp>
#include <artcache/result.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "auth/jwt.hpp"
#include "auth/keys.hpp"
#include "util/hash.hpp"
#include "util/mutex.hpp"

namespace artcache::auth {

struct VerifierOptions {
  std::chrono::seconds leeway{30};  ///< by how much clocks of machines may differ
  std::size_t cached_most = 20'000;
  /// Brings the keys up to date. Whoever verifies waits for it, which may be an I/O thread.
  std::function<void()> refresh = {};
  /// So often it is called before a token is looked at; 0: never.
  std::chrono::milliseconds refresh_every{10'000};
  /// And for a token that no key fits, but not more often than this.
  std::chrono::milliseconds refresh_again_after{250};
  Metrics* metrics = &null_metrics();
};

/// Safe to use from any thread.
class Verifier {
 public:
  Verifier(const KeyRing& ring, const Clock& clock, VerifierOptions options = {});

  /// A token that was verified before costs one hash, until it expires or the keys change.
  /// Errors: gone (it was good and has expired), invalid_argument, saying why for the log: the
  /// client learns no more than that.
  Result<std::shared_ptr<const Claims>> verify(std::string_view token);

  [[nodiscard]] std::size_t cached() const;

 private:
  struct Known {
    std::shared_ptr<const Claims> claims;
    std::uint64_t keys_version;
  };
  struct ByPrefix {
    std::size_t operator()(const util::Sha256Bytes& hash) const;
  };
  using Cache = std::unordered_map<util::Sha256Bytes, Known, ByPrefix>;

  Result<std::shared_ptr<const Claims>> check(std::string_view token, const Keys& keys);
  void refresh_when_due();
  std::shared_ptr<const Keys> newer_keys(const Keys& than);
  std::shared_ptr<const Claims> recall(const util::Sha256Bytes& hash, std::uint64_t keys_version);
  void remember(const util::Sha256Bytes& hash, Known known);
  void put(const util::Sha256Bytes& hash, Known known) ARTCACHE_REQUIRES(mutex_);

  const KeyRing& ring_;
  const Clock& clock_;
  const VerifierOptions options_;
  std::atomic<std::int64_t> refresh_at_;  ///< steady nanoseconds

  util::Mutex refreshing_;
  Clock::SteadyTime refresh_again_ ARTCACHE_GUARDED_BY(refreshing_) = Clock::SteadyTime::min();

  mutable util::Mutex mutex_;
  // When the young ones fill half of the room they become the old ones, and those go: what is used
  // moves back among the young, what is not used is gone after two turns.
  Cache young_ ARTCACHE_GUARDED_BY(mutex_), old_ ARTCACHE_GUARDED_BY(mutex_);
};

}  // namespace artcache::auth
