// SPDX-License-Identifier: Apache-2.0
// What somebody searches for, in tokens.
#pragma once

#include <artcache/result.hpp>
#include <artcache/search_tokens.hpp>
#include <cstddef>
#include <string_view>

namespace artcache::search {

inline constexpr std::size_t kQuerySizeMost = 1024;
inline constexpr std::size_t kQueryWordsMost = 32;

/// Any bytes are accepted; a text without words is an empty query. Errors: invalid_argument (more
/// than kQuerySizeMost bytes or kQueryWordsMost words: to drop some would find what nobody asked
/// for).
Result<SearchQuery> parse_query(std::string_view text, MatchMode mode);

}  // namespace artcache::search
