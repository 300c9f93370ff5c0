// SPDX-License-Identifier: Apache-2.0
// The words by which an entry is found, the same for every engine (docs/formats/search.md).
#pragma once

#include <artcache/export.hpp>
#include <artcache/file_entry.hpp>
#include <artcache/file_id.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

/// Stems, and words where they differ from their stem, separated by single spaces, in groups of
/// falling weight. Each token consists of a-z, 0-9 and bytes above 0x7f, so that it needs no
/// quoting anywhere.
struct SearchTokens {
  std::string name;  ///< of original_filename
  std::string tags;
  std::string rest;  ///< description and people
  friend bool operator==(const SearchTokens&, const SearchTokens&) = default;
};
ARTCACHE_EXPORT SearchTokens search_tokens(const FileEntry& entry);

enum class MatchMode : std::uint8_t {
  words,   ///< every word of the query, by its stem, anywhere in the entry
  prefix,  ///< the same, and the last word may be the beginning of one
  exact,   ///< original_filename or id, letter for letter
};

/// A query as engines match it. A value; every token in it is as in SearchTokens.
struct SearchQuery {
  /// The last word of MatchMode::prefix: held by a token that is `stem` or begins with `letters`.
  struct Beginning {
    std::string stem, letters;
    friend bool operator==(const Beginning&, const Beginning&) = default;
  };

  std::optional<FileId> id;             ///< the text is an id: that entry matches, and comes first
  std::vector<std::string> stems;       ///< all of them must be there, each once
  std::optional<Beginning> beginning;   ///< and this
  std::optional<std::string> filename;  ///< MatchMode::exact: original_filename must be this too

  [[nodiscard]] bool has_words() const { return !stems.empty() || beginning.has_value(); }
  friend bool operator==(const SearchQuery&, const SearchQuery&) = default;
};

/// Any bytes are accepted; a text without words finds nothing. Errors: invalid_argument (more than
/// 1024 bytes or 32 words: to drop some would find what nobody asked for).
ARTCACHE_EXPORT Result<SearchQuery> search_query(std::string_view text, MatchMode mode);

/// How well an entry fits a query: 0 not at all, 1 all words are there, 2 all in name and tags, 3
/// all in the name, 4 it has the id. Engines find the same by other means; this is their oracle. Of
/// equal rank the newest created_at comes first, then the greatest id.
ARTCACHE_EXPORT unsigned search_rank(const SearchQuery& query, const FileEntry& entry);

}  // namespace artcache
