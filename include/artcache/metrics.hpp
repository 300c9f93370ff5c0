// SPDX-License-Identifier: Apache-2.0
// Where numbers for monitoring go. The library keeps none by itself.
#pragma once

#include <artcache/export.hpp>
#include <span>
#include <string_view>

namespace artcache {

struct MetricLabel {
  std::string_view name, value;
};

/// Called from any thread, never under our locks. Must not throw and should be quick. Names follow
/// Prometheus: `_total`, `_seconds`, `_bytes`. NaN ends a gauge; observed, it only begins a series.
class ARTCACHE_EXPORT Metrics {
 public:
  using Labels = std::span<const MetricLabel>;

  virtual ~Metrics() = default;
  virtual void count(std::string_view name, Labels labels, double increment) noexcept = 0;
  virtual void gauge(std::string_view name, Labels labels, double value) noexcept = 0;
  virtual void observe(std::string_view name, Labels labels, double value) noexcept = 0;
};

/// Swallows everything.
ARTCACHE_EXPORT Metrics& null_metrics();

}  // namespace artcache
