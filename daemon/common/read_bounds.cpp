// SPDX-License-Identifier: Apache-2.0
#include "common/read_bounds.hpp"

#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>

namespace artcache {
namespace {

// Longer is as good as none, and fits into nanoseconds.
constexpr double kSecondsMost = 1e9;

std::optional<double> parse_seconds(std::string_view text) {
  double seconds = 0;
  const auto [end, errc] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool good = errc == std::errc() && end == text.data() + text.size() &&
                    std::isfinite(seconds) && seconds >= 0 && seconds <= kSecondsMost;
  return good ? std::optional(seconds) : std::nullopt;
}

}  // namespace

ReadBound read_bound(const http::Pairs& query, std::vector<http::FieldProblem>& problems) {
  ReadBound bound;
  if (const auto text = query.find("min_position")) {
    if (const auto position = parse_position(*text))
      bound.min_position = *position;
    else
      problems.push_back({{"query", "min_position"},
                          "Input should be a position, epoch/seq/digest",
                          "value_error"});
  }
  if (const auto text = query.find("max_staleness")) {
    if (const auto seconds = parse_seconds(*text))
      bound.max_staleness = std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::duration<double>(*seconds));
    else
      problems.push_back(
          {{"query", "max_staleness"}, "Input should be a number of seconds", "float_parsing"});
  }
  return bound;
}

}  // namespace artcache
