// SPDX-License-Identifier: Apache-2.0
// Sequential fill: which element takes the next file. No I/O, no clock, no state.
#pragma once

#include <artcache/element.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::ingester {

enum class Retention : std::uint8_t { temporary, permanent };
std::string_view to_string(Retention retention);

/// Temporary files can be removed, so they go where that is allowed; permanent ones where it is
/// not.
constexpr ElementMode mode_for(Retention retention) {
  return retention == Retention::temporary ? ElementMode::edit : ElementMode::rw;
}

/// One element as it was seen last.
struct ElementView {
  std::string id = {}, url = {};  ///< url: "http://host:8010"
  ElementMode mode = ElementMode::edit;
  std::int64_t priority = 100;
  std::uint64_t total = 0;      ///< bytes it can hold; 0: nobody knows
  std::uint64_t used = 0;       ///< bytes its files take
  std::uint64_t available = 0;  ///< bytes that still fit
  bool healthy = false;         ///< it answered when it was asked last, and lately
};

/// From how much that is used on an element counts as that.
struct FillThresholds {
  double warning = 85, critical = 92, full = 98;  ///< percent
};

enum class Fill : std::uint8_t { ok, warning, critical, full };
std::string_view to_string(Fill fill);
/// By the share that is not available any more; what has no known size is `ok` while there is room.
Fill fill_of(const ElementView& element, const FillThresholds& thresholds);

struct Wanted {
  ElementMode mode = ElementMode::edit;
  std::uint64_t size = 0;                      ///< of the file, or what is known to be the most
  std::span<const std::string> excluded = {};  ///< ids of those that have refused it
  FillThresholds thresholds = {};
};

/// Those that may take the file, in the order in which they are to be tried: healthy, of that mode,
/// not excluded, not full, with room; the lowest priority first, then by id.
std::vector<const ElementView*> candidates(std::span<const ElementView> elements,
                                           const Wanted& wanted);

/// The first of them. Errors: unavailable, which says why none fits.
Result<ElementView> choose(std::span<const ElementView> elements, const Wanted& wanted);

}  // namespace artcache::ingester
