// SPDX-License-Identifier: Apache-2.0
#include <artcache/metrics.hpp>

namespace artcache {
namespace {

class NullMetrics final : public Metrics {
 public:
  void count(std::string_view, Labels, double) noexcept override {}
  void gauge(std::string_view, Labels, double) noexcept override {}
  void observe(std::string_view, Labels, double) noexcept override {}
};

}  // namespace

Metrics& null_metrics() {
  static NullMetrics metrics;
  return metrics;
}

}  // namespace artcache
