// SPDX-License-Identifier: Apache-2.0
// Where time comes from. Nothing in the library reads a clock of its own.
#pragma once

#include <artcache/export.hpp>
#include <artcache/timestamp.hpp>
#include <chrono>

namespace artcache {

/// Safe to call from any thread. Tests pass one that they move by hand.
class ARTCACHE_EXPORT Clock {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  virtual ~Clock() = default;
  /// Wall time, for what people and other machines read. May jump in both directions.
  [[nodiscard]] virtual Timestamp now() const = 0;
  /// Time that only moves on, for deadlines, leases and pauses.
  [[nodiscard]] virtual SteadyTime steady() const = 0;
};

/// The machine's clocks.
ARTCACHE_EXPORT const Clock& system_clock();

}  // namespace artcache
