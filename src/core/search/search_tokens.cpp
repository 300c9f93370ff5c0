// SPDX-License-Identifier: Apache-2.0
#include <artcache/search_tokens.hpp>

#include <algorithm>

#include "core/search/query.hpp"
#include "core/search/tokens.hpp"
#include "util/try.hpp"

namespace artcache {
namespace {

/// True when one of the tokens is `stem`, or begins with `letters` where there are any.
bool has_token(std::string_view tokens, std::string_view stem, std::string_view letters) {
  while (!tokens.empty()) {
    const std::string_view token = tokens.substr(0, tokens.find(' '));
    if (token == stem || (!letters.empty() && token.starts_with(letters))) return true;
    tokens.remove_prefix(std::min(token.size() + 1, tokens.size()));
  }
  return false;
}

/// All words of the query stand in the given groups taken together.
bool all_in(const SearchQuery& query, std::initializer_list<std::string_view> groups) {
  const auto in_one = [&](std::string_view stem, std::string_view letters) {
    return std::ranges::any_of(
        groups, [&](std::string_view group) { return has_token(group, stem, letters); });
  };
  return std::ranges::all_of(query.stems, [&](const std::string& s) { return in_one(s, {}); }) &&
         (!query.beginning || in_one(query.beginning->stem, query.beginning->letters));
}

}  // namespace

void search::assign_tokens(SearchTokens& out, const FileEntry& entry) {
  const std::string all = entry_tokens(entry);
  // Name, tags, description and people, a line each.
  const std::size_t name_end = all.find('\n');
  const std::size_t tags_end = all.find('\n', name_end + 1);
  out.name.assign(all, 0, name_end);
  out.tags.assign(all, name_end + 1, tags_end - name_end - 1);
  out.rest.assign(all, tags_end + 1);
  std::ranges::replace(out.rest, '\n', ' ');
}

SearchTokens search_tokens(const FileEntry& entry) {
  SearchTokens tokens;
  search::assign_tokens(tokens, entry);
  return tokens;
}

Result<SearchQuery> search_query(std::string_view text, MatchMode mode) {
  ARTCACHE_TRY(SearchQuery query, search::parse_query(text, mode));
  if (mode != MatchMode::exact || !query.filename) return query;
  // The words of an exact name lead to it much faster than a look at every row.
  if (auto words = search::parse_query(text, MatchMode::words)) query.stems = words->stems;
  return query;
}

unsigned search_rank(const SearchQuery& query, const FileEntry& entry) {
  if (query.id == entry.id) return 4;
  if (query.filename && *query.filename != entry.original_filename) return 0;
  if (!query.has_words()) return query.filename ? 3 : 0;
  const SearchTokens tokens = search_tokens(entry);
  if (!all_in(query, {tokens.name, tokens.tags, tokens.rest})) return 0;
  if (all_in(query, {tokens.name})) return 3;
  return all_in(query, {tokens.name, tokens.tags}) ? 2 : 1;
}

}  // namespace artcache
