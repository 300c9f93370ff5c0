// SPDX-License-Identifier: Apache-2.0
// Index::search: words of the query against the words table, ranked by where they stand.
#include <algorithm>

#include "backends/sqlite/columns.hpp"
#include "backends/sqlite/filter.hpp"
#include "backends/sqlite/index.hpp"
#include "backends/sqlite/reading.hpp"

namespace artcache::sqlite {
namespace {

constexpr unsigned kIdRank = 4;  ///< better than any words

struct Hit {
  std::int64_t row = 0;
  std::int64_t created_at = 0, number = 0;  ///< number: what is sorted by, unless it is a text
  FileId id;
  std::string text;
  unsigned rank = 1;
};

/// Tokens need no escaping: quotes never stand in them.
std::string match_text(const SearchQuery& query, std::string_view columns) {
  std::string text;
  const auto add = [&](const std::string& part) {
    text.append(text.empty() ? "" : " AND ").append(part);
  };
  for (const std::string& stem : query.stems) add("\"" + stem + "\"");
  if (const auto& b = query.beginning) add("(\"" + b->stem + "\" OR \"" + b->letters + "\" *)");
  return columns.empty() ? text : "{" + std::string(columns) + "} : (" + text + ")";
}

std::string_view sort_column(SortBy sort) {
  switch (sort) {
    case SortBy::updated_at:
      return "e.updated_at";
    case SortBy::file_size:
      return "e.file_size";
    case SortBy::filename:
      return "e.original_filename";
    case SortBy::created_at:
    case SortBy::relevance:
      break;
  }
  return "0";
}

/// A file name without a word in it is looked for row by row.
std::string hits_text(const SearchQuery& query, SortBy sort, const Where& where) {
  std::string text = "SELECT e.row, e.created_at, e.file_id, " + std::string(sort_column(sort));
  if (query.has_words())
    text.append(
            " FROM {p}words_{g} w JOIN {p}entry_{g} e ON e.row = w.rowid "
            "WHERE w.{p}words_{g} MATCH ?")
        .append(where.and_text());
  else
    text.append(" FROM {p}entry_{g} e").append(where.text());
  return text.append(" ORDER BY e.created_at DESC, e.file_id DESC LIMIT ?");
}

std::string id_text(SortBy sort, const Where& where) {
  return "SELECT e.row, e.created_at, e.file_id, " + std::string(sort_column(sort)) +
         " FROM {p}entry_{g} e WHERE e.file_id = ?" + where.and_text();
}

/// The newest matches, newest first.
Result<std::vector<Hit>> find_hits(sql::Statement& s, bool sort_is_text) {
  std::vector<Hit> hits;
  while (true) {
    ARTCACHE_TRY(const bool found, s.step());
    if (!found) return hits;
    Hit& hit = hits.emplace_back();
    hit.row = s.integer(0);
    hit.created_at = s.integer(1);
    ARTCACHE_TRY(hit.id, read_id(s, 2));
    if (sort_is_text)
      hit.text = s.text(3);
    else
      hit.number = s.integer(3);
  }
}

/// Gives `rank` to the hits among the rows of a statement, which come in ascending order.
Result<void> rank_hits(sql::Statement& s, std::span<Hit> by_row, unsigned rank) {
  auto at = by_row.begin();
  while (at != by_row.end()) {
    ARTCACHE_TRY(const bool found, s.step());
    if (!found) return {};
    const std::int64_t row = s.integer(0);
    at = std::find_if(at, by_row.end(), [&](const Hit& hit) { return hit.row >= row; });
    if (at != by_row.end() && at->row == row) at->rank = rank;
  }
  s.reset();
  return {};
}

void sort_hits(std::vector<Hit>& hits, const SearchRequest& request) {
  // Ties are broken by age and id, so that every engine gives the same order.
  const auto newest_first = [](const Hit& a, const Hit& b) {
    return a.created_at != b.created_at ? a.created_at > b.created_at : a.id > b.id;
  };
  const bool up = request.order == SortOrder::ascending;
  std::ranges::sort(hits, [&](const Hit& a, const Hit& b) {
    const Hit& first = up ? b : a;
    const Hit& second = up ? a : b;
    switch (request.sort) {
      case SortBy::relevance:
        if (a.rank != b.rank) return first.rank > second.rank;
        break;
      case SortBy::filename:
        if (a.text != b.text) return first.text > second.text;
        break;
      case SortBy::updated_at:
      case SortBy::file_size:
        if (a.number != b.number) return first.number > second.number;
        break;
      case SortBy::created_at:
        break;
    }
    return newest_first(first, second);
  });
}

}  // namespace

Result<EntryPage> Index::search(const SearchRequest& request, const Call& call) {
  if (request.limit > kPageMost)
    return Error{Errc::invalid_argument, "search: limit is above " + std::to_string(kPageMost)};
  EntryPage page;
  ARTCACHE_TRY(const SearchQuery query, search_query(request.query, request.mode));
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  std::vector<Hit> hits;
  if (query.has_words() || query.filename) {
    Where where(request.filter);
    if (query.filename) where.add("original_filename = ?", *query.filename);
    ARTCACHE_TRY(sql::Statement * s,
                 reading.statement(names_, hits_text(query, request.sort, where)));
    const std::string everywhere = match_text(query, "");
    int next = 0;
    if (query.has_words()) s->bind(next++, std::string_view(everywhere));
    s->bind(where.bind(*s, next), std::int64_t{kSearchWindow} + 1);
    ARTCACHE_TRY(hits, find_hits(*s, request.sort == SortBy::filename));
  }
  if (hits.size() > kSearchWindow) {
    hits.pop_back();
    page.total_kind = TotalKind::lower_bound;
  }
  if (request.sort == SortBy::relevance && query.has_words()) {
    std::ranges::sort(hits, {}, &Hit::row);
    for (const auto& [columns, rank] :
         {std::pair<std::string_view, unsigned>{"name tags", 2}, {"name", 3}}) {
      ARTCACHE_TRY(sql::Statement * ranked,
                   reading.statement(names_,
                                     "SELECT rowid FROM {p}words_{g} WHERE {p}words_{g} "
                                     "MATCH ? ORDER BY rowid"));
      const std::string text = match_text(query, columns);
      ranked->bind(0, std::string_view(text));
      ARTCACHE_CHECK(rank_hits(*ranked, hits, rank));
    }
  }
  if (query.id) {
    const Where where(request.filter);
    ARTCACHE_TRY(sql::Statement * s, reading.statement(names_, id_text(request.sort, where)));
    s->bind(0, bytes_of(*query.id));
    where.bind(*s, 1);
    ARTCACHE_TRY(auto named, find_hits(*s, request.sort == SortBy::filename));
    for (Hit& hit : named) {
      std::erase_if(hits, [&](const Hit& other) { return other.row == hit.row; });
      hit.rank = kIdRank;
      hits.push_back(std::move(hit));
    }
  }
  page.total = hits.size();
  sort_hits(hits, request);

  ARTCACHE_TRY(sql::Statement * fetch,
               reading.statement(names_, "SELECT " + std::string(kEntryColumns) +
                                             " FROM {p}entry_{g} WHERE row = ?"));
  const std::size_t begin = std::min<std::uint64_t>(request.offset, hits.size());
  const std::size_t end = std::min<std::uint64_t>(begin + request.limit, hits.size());
  for (std::size_t i = begin; i < end; ++i) {
    fetch->bind(0, hits[i].row);
    ARTCACHE_TRY(const bool found, fetch->step());
    if (found) {
      ARTCACHE_TRY(auto entry, read_entry(*fetch, 0));
      page.entries.push_back(std::move(entry));
    }
    fetch->reset();
  }
  return page;
}

}  // namespace artcache::sqlite
