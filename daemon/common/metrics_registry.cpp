// SPDX-License-Identifier: Apache-2.0
#include "common/metrics_registry.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <span>

namespace artcache {
namespace {

constexpr std::array<double, 20> kSeconds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                          0.1,    0.25,  0.5,    1,     2.5,  5,     10,
                                          30,     60,    120,    300,   450,  600};
constexpr std::array<double, 13> kBytes{
    1024.0,     4096.0,     16384.0,     65536.0,      262144.0,     1048576.0,    4194304.0,
    16777216.0, 67108864.0, 268435456.0, 1073741824.0, 4294967296.0, 17179869184.0};

std::span<const double> bounds_of(std::string_view name) {
  if (name.ends_with("_bytes")) return kBytes;
  return kSeconds;
}

void append_number(std::string& out, double number) {
  if (std::isinf(number)) {
    out += number > 0 ? "+Inf" : "-Inf";
    return;
  }
  if (std::isnan(number)) {
    out += "NaN";
    return;
  }
  std::array<char, 32> text{};
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr);
}

void append_escaped(std::string& out, std::string_view value) {
  if (value.find_first_of("\n\"\\") == std::string_view::npos) {  // as nearly all are
    out += value;
    return;
  }
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
}

std::string printed(Metrics::Labels labels) {
  std::string text;
  text.reserve(128);
  for (const MetricLabel& label : labels) {
    text.append(text.empty() ? "" : ",").append(label.name).append("=\"");
    append_escaped(text, label.value);
    text += '"';
  }
  return text;
}

void append_line(std::string& out, std::string_view name, std::string_view labels,
                 std::string_view more, double value) {
  out.append(name);
  if (!labels.empty() || !more.empty()) {
    out.append("{").append(labels).append(labels.empty() || more.empty() ? "" : ",");
    out.append(more).append("}");
  }
  out += ' ';
  append_number(out, value);
  out += '\n';
}

}  // namespace

MetricsRegistry::Series* MetricsRegistry::find(std::string_view name, Kind kind, std::string key) {
  auto family = families_.find(name);
  if (family == families_.end())
    family = families_.emplace(std::string(name), Family{.kind = kind, .series = {}}).first;
  if (family->second.kind != kind) return nullptr;
  auto& all = family->second.series;
  const auto found = all.find(key);
  if (found != all.end()) return &found->second;
  if (series_ >= series_most_) return nullptr;
  ++series_;
  Series& series = all[std::move(key)];
  if (kind == Kind::histogram) series.buckets.resize(bounds_of(name).size() + 1);
  return &series;
}

template <class Change>
void MetricsRegistry::change(std::string_view name, Kind kind, Labels labels,
                             Change apply) noexcept {
  try {
    std::string key = printed(labels);
    const std::scoped_lock held(mutex_);
    if (Series* series = find(name, kind, std::move(key))) apply(*series);
  } catch (...) {
    // No memory for a number: the work that it tells of is worth more.
  }
}

void MetricsRegistry::count(std::string_view name, Labels labels, double increment) noexcept {
  change(name, Kind::counter, labels, [&](Series& series) { series.value += increment; });
}

void MetricsRegistry::forget(std::string_view name, Kind kind, Labels labels) noexcept {
  try {
    const std::string key = printed(labels);
    const std::scoped_lock held(mutex_);
    const auto family = families_.find(name);
    if (family != families_.end() && family->second.kind == kind)
      series_ -= family->second.series.erase(key);
  } catch (...) {
    // It stays: an old number is less harm than an error.
  }
}

void MetricsRegistry::gauge(std::string_view name, Labels labels, double value) noexcept {
  if (std::isnan(value)) return forget(name, Kind::gauge, labels);
  change(name, Kind::gauge, labels, [&](Series& series) { series.value = value; });
}

void MetricsRegistry::observe(std::string_view name, Labels labels, double value) noexcept {
  change(name, Kind::histogram, labels, [&](Series& series) {
    if (std::isnan(value)) return;
    const auto bounds = bounds_of(name);
    const auto at = std::ranges::lower_bound(bounds, value) - bounds.begin();
    ++series.buckets[static_cast<std::size_t>(at)];
    ++series.count;
    series.value += value;
  });
}

std::string MetricsRegistry::text() const {
  std::string out;
  const std::scoped_lock held(mutex_);
  for (const auto& [name, family] : families_) {
    if (family.series.empty()) continue;
    const bool histogram = family.kind == Kind::histogram;
    out.append("# TYPE ").append(name).append(histogram                    ? " histogram\n"
                                              : family.kind == Kind::gauge ? " gauge\n"
                                                                           : " counter\n");
    for (const auto& [labels, series] : family.series) {
      if (!histogram) {
        append_line(out, name, labels, "", series.value);
        continue;
      }
      const auto bounds = bounds_of(name);
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i <= bounds.size(); ++i) {
        sum += series.buckets[i];
        std::string le = "le=\"";
        append_number(le, i < bounds.size() ? bounds[i] : HUGE_VAL);
        append_line(out, name + "_bucket", labels, le + "\"", static_cast<double>(sum));
      }
      append_line(out, name + "_sum", labels, "", series.value);
      append_line(out, name + "_count", labels, "", static_cast<double>(series.count));
    }
  }
  return out;
}

}  // namespace artcache
