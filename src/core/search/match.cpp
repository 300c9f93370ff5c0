// SPDX-License-Identifier: Apache-2.0
#include "core/search/match.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <vector>

#include "core/search/tokens.hpp"

namespace artcache::search {
namespace {

constexpr std::array kPartScores{kNameScore, kTagScore, kDescriptionScore, kUserScore};
constexpr std::size_t kUserPart = kPartScores.size() - 1;
static_assert(kQueryWordsMost * kNameScore < kExactScore);

/// The best score of each word so far; 0 for those not found.
class Found {
 public:
  explicit Found(const Query& query)
      : query_(query), scores_(query.stems.size() + (query.beginning ? 1 : 0)) {}

  void see(std::string_view token, std::uint32_t worth) {
    for (std::size_t i = 0; i < query_.stems.size(); ++i)
      if (query_.stems[i] == token) raise(scores_[i], worth);
    if (!query_.beginning) return;
    std::uint32_t& last = scores_.back();
    if (token == query_.beginning->stem || token == query_.beginning->letters)
      raise(last, worth);
    else if (token.starts_with(query_.beginning->letters))
      raise(last, worth / 2);
  }

  /// 0 unless every word was found.
  [[nodiscard]] std::uint32_t sum() const {
    if (std::find(scores_.begin(), scores_.end(), 0U) != scores_.end()) return 0;
    return std::accumulate(scores_.begin(), scores_.end(), 0U);
  }

 private:
  static void raise(std::uint32_t& score, std::uint32_t worth) { score = std::max(score, worth); }

  const Query& query_;
  std::vector<std::uint32_t> scores_;  // of the stems, then of the beginning
};

bool is_exact(const Query& query, const FileEntry& entry) {
  return query.id == entry.id || query.filename == entry.original_filename;
}

}  // namespace

std::uint32_t score(const Query& query, std::string_view entry_tokens) {
  Found found(query);
  std::size_t part = 0, begin = 0;
  for (std::size_t i = 0; i <= entry_tokens.size(); ++i) {
    const char c = i < entry_tokens.size() ? entry_tokens[i] : '\n';
    if (c != ' ' && c != '\n') continue;
    if (i > begin) found.see(entry_tokens.substr(begin, i - begin), kPartScores[part]);
    if (c == '\n' && part < kUserPart) ++part;
    begin = i + 1;
  }
  return found.sum();
}

std::uint32_t score(const Query& query, const FileEntry& entry) {
  const std::uint32_t words = query.has_words() ? score(query, entry_tokens(entry)) : 0;
  return words + (is_exact(query, entry) ? kExactScore : 0);
}

bool matches(const Query& query, std::string_view entry_tokens) {
  return score(query, entry_tokens) > 0;
}

bool matches(const Query& query, const FileEntry& entry) { return score(query, entry) > 0; }

}  // namespace artcache::search
