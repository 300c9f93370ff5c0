// SPDX-License-Identifier: Apache-2.0
// What an answer may not be older than: reads that would be are refused.
#pragma once

#include <artcache/call.hpp>
#include <artcache/export.hpp>
#include <artcache/record.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <optional>

namespace artcache {

class MetadataStore;

/// All that are given must hold. Neither depends on two clocks that agree.
struct ReadBound {
  /// Of the source, as a write or an earlier read has told it: everything up to there is seen.
  std::optional<Position> min_position = {};
  /// Everything is seen that the source had so long before the read; 0: all that it has.
  std::optional<std::chrono::nanoseconds> max_staleness = {};

  [[nodiscard]] bool any() const { return min_position || max_staleness; }
};

/// Whether a read of this index that begins now keeps the bound. An index of its own is never stale
/// while it is trusted. How old a replica is only its follower can tell (Follower::await()), but
/// the position it is as of stands in it. Errors: gone (a position that this log cannot vouch for,
/// or of another log: to be forgotten), unavailable (suspect, or behind: later perhaps), and those
/// of the index.
ARTCACHE_EXPORT Result<void> check_bound(MetadataStore& index, const ReadBound& bound,
                                         const Call& call);

}  // namespace artcache
