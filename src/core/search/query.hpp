// SPDX-License-Identifier: Apache-2.0
// What somebody searches for, in tokens.
#pragma once

#include <artcache/file_id.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/result.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::search {

inline constexpr std::size_t kQuerySizeMost = 1024;
inline constexpr std::size_t kQueryWordsMost = 32;

/// A value. An entry matches when its id is `id`, or its original_filename is `filename`, or there
/// are words and its tokens hold them all. Every token in here holds only a to z, 0 to 9 and
/// well-formed UTF-8 above U+007F, so quotes around it are enough in any query language.
struct Query {
  /// The last word of MatchMode::prefix: held by a token that is `stem` or begins with `letters`.
  struct Beginning {
    std::string stem, letters;
    friend bool operator==(const Beginning&, const Beginning&) = default;
  };

  std::vector<std::string> stems;  ///< of the other words, each once
  std::optional<Beginning> beginning;
  std::optional<FileId> id;             ///< when the text is one, whatever the mode
  std::optional<std::string> filename;  ///< MatchMode::exact only

  [[nodiscard]] bool has_words() const { return !stems.empty() || beginning.has_value(); }
  /// It matches nothing at all.
  [[nodiscard]] bool empty() const { return !has_words() && !id && !filename; }

  friend bool operator==(const Query&, const Query&) = default;
};

/// Any bytes are accepted; a text without words is an empty query. Errors: invalid_argument (more
/// than kQuerySizeMost bytes or kQueryWordsMost words: to drop some would find what nobody asked
/// for).
Result<Query> parse_query(std::string_view text, MatchMode mode);

}  // namespace artcache::search
