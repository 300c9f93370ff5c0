// SPDX-License-Identifier: Apache-2.0
// Tables of what the queries of routes may say, for Route::query.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "http/site.hpp"

namespace artcache::http {

/// Part of a list, for those who count in entries.
inline constexpr std::array kPageFields{QueryField{"skip", "integer", "behind so many"},
                                        QueryField{"limit", "integer", "so many, at most 1000"}};

/// Several tables as one.
template <std::size_t... N>
constexpr auto joined(const std::array<QueryField, N>&... tables) {
  std::array<QueryField, (N + ...)> all{};
  auto at = all.begin();
  ((at = std::ranges::copy(tables, at).out), ...);
  return all;
}

}  // namespace artcache::http
