// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/selection.hpp"

#include <algorithm>
#include <tuple>

namespace artcache::ingester {
namespace {

/// Why an element does not take a file, from what rules out most to what rules out least.
enum class Obstacle : std::uint8_t { mode, health, excluded, full, room, none };

Obstacle obstacle(const ElementView& element, const Wanted& wanted) {
  if (element.mode != wanted.mode) return Obstacle::mode;
  if (!element.healthy) return Obstacle::health;
  if (std::ranges::find(wanted.excluded, element.id) != wanted.excluded.end())
    return Obstacle::excluded;
  if (fill_of(element, wanted.thresholds) == Fill::full) return Obstacle::full;
  if (element.available < wanted.size) return Obstacle::room;
  return Obstacle::none;
}

std::string_view reason(Obstacle nearest) {
  switch (nearest) {
    case Obstacle::mode:
      return "there is none in that mode";
    case Obstacle::health:
      return "none of them answers";
    case Obstacle::excluded:
      return "every one has refused it";
    case Obstacle::full:
      return "all are full";
    case Obstacle::room:
    case Obstacle::none:
      break;
  }
  return "none has so much room";
}

}  // namespace

std::string_view to_string(Retention retention) {
  return retention == Retention::temporary ? "temporary" : "permanent";
}

std::string_view to_string(Fill fill) {
  switch (fill) {
    case Fill::ok:
      return "ok";
    case Fill::warning:
      return "warning";
    case Fill::critical:
      return "critical";
    case Fill::full:
      break;
  }
  return "full";
}

Fill fill_of(const ElementView& element, const FillThresholds& thresholds) {
  if (element.total == 0) return element.available > 0 ? Fill::ok : Fill::full;
  // Not by `used`: others may have put things on the same disk.
  const double left = static_cast<double>(std::min(element.available, element.total));
  const double taken = 100.0 - 100.0 * left / static_cast<double>(element.total);
  if (taken >= thresholds.full) return Fill::full;
  if (taken >= thresholds.critical) return Fill::critical;
  return taken >= thresholds.warning ? Fill::warning : Fill::ok;
}

std::vector<const ElementView*> candidates(std::span<const ElementView> elements,
                                           const Wanted& wanted) {
  std::vector<const ElementView*> out;
  for (const ElementView& element : elements)
    if (obstacle(element, wanted) == Obstacle::none) out.push_back(&element);
  std::ranges::sort(out, [](const ElementView* a, const ElementView* b) {
    return std::tie(a->priority, a->id) < std::tie(b->priority, b->id);
  });
  return out;
}

Result<ElementView> choose(std::span<const ElementView> elements, const Wanted& wanted) {
  const auto fitting = candidates(elements, wanted);
  if (!fitting.empty()) return *fitting.front();
  Obstacle nearest = Obstacle::mode;
  for (const ElementView& element : elements)
    nearest = std::max(nearest, obstacle(element, wanted));
  return Error{Errc::unavailable,
               "No storage element in mode " + std::string(to_string(wanted.mode)) + " takes " +
                   std::to_string(wanted.size) + " bytes: " + std::string(reason(nearest))};
}

}  // namespace artcache::ingester
