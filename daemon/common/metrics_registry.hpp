// SPDX-License-Identifier: Apache-2.0
// The numbers of this process, as Prometheus reads them.
#pragma once

#include <artcache/metrics.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

/// Keeps counters, gauges and histograms by name and labels. A name keeps the kind it was first
/// used with; another use of it is dropped, as is a series beyond the limit, so that a label with
/// endless values cannot fill the memory. A gauge that is set to NaN is forgotten; NaN observed is
/// a histogram of nothing so far.
class MetricsRegistry final : public Metrics {
 public:
  explicit MetricsRegistry(std::size_t series_most = 10'000) : series_most_(series_most) {}

  void count(std::string_view name, Labels labels, double increment) noexcept override;
  void gauge(std::string_view name, Labels labels, double value) noexcept override;
  /// A histogram: of seconds from half a millisecond to ten minutes, of bytes from 1 KiB to 16 GiB.
  void observe(std::string_view name, Labels labels, double value) noexcept override;

  /// Text format 0.0.4, names and labels in order.
  [[nodiscard]] std::string text() const;

 private:
  enum class Kind : std::uint8_t { counter, gauge, histogram };
  struct Series {
    double value = 0;  // the sum, of a histogram
    std::uint64_t count = 0;
    std::vector<std::uint64_t> buckets;  // not cumulated
  };
  struct Family {
    Kind kind = Kind::counter;
    std::map<std::string, Series, std::less<>> series;  // by labels as they are printed
  };

  Series* find(std::string_view name, Kind kind, std::string key);
  void forget(std::string_view name, Kind kind, Labels labels) noexcept;
  template <class Change>
  void change(std::string_view name, Kind kind, Labels labels, Change apply) noexcept;

  const std::size_t series_most_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::map<std::string, Family, std::less<>> families_;
  std::size_t series_ = 0;
};

}  // namespace artcache
