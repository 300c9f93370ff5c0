// SPDX-License-Identifier: Apache-2.0
// What was counted and observed, by name and the values of the labels: "name value value".
#pragma once

#include <artcache/metrics.hpp>
#include <cmath>
#include <map>
#include <mutex>
#include <string>

namespace artcache::test {

class CountedMetrics final : public Metrics {
 public:
  void count(std::string_view name, Labels labels, double increment) noexcept override {
    add(name, labels, increment);
  }
  void gauge(std::string_view, Labels, double) noexcept override {}
  /// How often; what was observed does not matter.
  void observe(std::string_view name, Labels labels, double value) noexcept override {
    if (!std::isnan(value)) add(name, labels, 1);
  }
  [[nodiscard]] double of(const std::string& key) const {
    const std::scoped_lock held(mutex_);
    const auto at = counts_.find(key);
    return at == counts_.end() ? 0 : at->second;
  }

 private:
  void add(std::string_view name, Labels labels, double increment) noexcept {
    std::string key(name);
    for (const MetricLabel& label : labels) key.append(" ").append(label.value);
    const std::scoped_lock held(mutex_);
    counts_[key] += increment;
  }

  mutable std::mutex mutex_;
  std::map<std::string, double> counts_;
};

}  // namespace artcache::test
