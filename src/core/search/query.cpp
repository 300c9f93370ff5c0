// SPDX-License-Identifier: Apache-2.0
#include "core/search/query.hpp"

#include <algorithm>

#include "core/search/stem.hpp"
#include "core/search/words.hpp"

namespace artcache::search {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

Error too_large(std::string_view what, std::size_t most) {
  return Error{Errc::invalid_argument,
               "search: the query has more than " + std::to_string(most) + " " + std::string(what)};
}

}  // namespace

Result<SearchQuery> parse_query(std::string_view text, MatchMode mode) {
  if (text.size() > kQuerySizeMost) return too_large("bytes", kQuerySizeMost);

  SearchQuery query;
  if (const auto id = FileId::parse(trim(text))) query.id = *id;
  if (mode == MatchMode::exact) {
    if (!text.empty()) query.filename.emplace(text);
    return query;
  }

  const auto add_stem = [&](const std::string& token) {
    if (std::find(query.stems.begin(), query.stems.end(), token) == query.stems.end())
      query.stems.push_back(token);
  };
  WordReader words(text);
  while (words.next()) {
    SearchQuery::Beginning word{std::string(stem(words.word(), words.alphabet())),
                                std::string(words.word())};
    if (mode == MatchMode::words) {
      add_stem(word.stem);
    } else {
      if (query.beginning) add_stem(query.beginning->stem);  // it was not the last
      query.beginning = std::move(word);
    }
  }
  if (query.stems.size() + (query.beginning ? 1 : 0) > kQueryWordsMost)
    return too_large("words", kQueryWordsMost);
  return query;
}

}  // namespace artcache::search
