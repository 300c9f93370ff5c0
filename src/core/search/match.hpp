// SPDX-License-Identifier: Apache-2.0
// Whether an entry matches a query, and how well. Every engine finds what these functions find.
#pragma once

#include <artcache/file_entry.hpp>
#include <artcache/file_id.hpp>
#include <artcache/timestamp.hpp>
#include <compare>
#include <cstdint>
#include <string_view>

#include "core/search/query.hpp"

namespace artcache::search {

/// Whether the tokens of entry_tokens() hold every word; false for a query without words.
bool matches(const Query& query, std::string_view entry_tokens);
/// The same for the whole entry, with its id and name: the definition of a match.
bool matches(const Query& query, const FileEntry& entry);

/// What one word is worth by where it was found first: name, tags, description, user. The beginning
/// of a word is worth half of the whole.
inline constexpr std::uint32_t kNameScore = 16, kTagScore = 8, kDescriptionScore = 4,
                               kUserScore = 2;
/// For the id, or the whole name of an exact query: more than all words together.
inline constexpr std::uint32_t kExactScore = 1024;

/// The sum over the words of the query, each by its best token; 0 unless all of them are there.
std::uint32_t score(const Query& query, std::string_view entry_tokens);
/// The same with kExactScore for id and name; 0 unless it matches.
std::uint32_t score(const Query& query, const FileEntry& entry);

/// The order of results by relevance, the greatest first: of equal score the newest, of equal age
/// the greatest id.
struct Rank {
  std::uint32_t score = 0;
  Timestamp created_at;
  FileId id;
  friend constexpr auto operator<=>(const Rank&, const Rank&) = default;
};

}  // namespace artcache::search
