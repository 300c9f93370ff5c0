// SPDX-License-Identifier: Apache-2.0
// Index::search: words of the query against the words table, ranked by where they stand.
#include <algorithm>
#include <iterator>
#include <utility>

#include "backends/sqlite/columns.hpp"
#include "backends/sqlite/filter.hpp"
#include "backends/sqlite/index.hpp"
#include "backends/sqlite/newest.hpp"
#include "backends/sqlite/reading.hpp"

namespace artcache::sqlite {
namespace {

constexpr unsigned kIdRank = 4;  ///< better than any words
/// Where all words stand together, and how good that is; the best first.
constexpr std::pair<std::string_view, unsigned> kRanks[] = {{"name", 3}, {"name tags", 2}};

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

/// What matches, as far as the page needs it.
struct Found {
  std::vector<Hit> hits;
  std::uint64_t total = 0;
  TotalKind total_kind = TotalKind::exact;
  std::vector<std::int64_t> rows;  ///< all that match, in ascending order, where they are known
};

constexpr std::string_view kRowsText =
    "SELECT rowid FROM {p}words_{g} WHERE {p}words_{g} MATCH ? ORDER BY rowid LIMIT ?";

Result<std::vector<std::int64_t>> rows_of(const Prepare& prepare, const SearchQuery& query,
                                          std::string_view columns) {
  ARTCACHE_TRY(sql::Statement * s, prepare(kRowsText));
  const std::string text = match_text(query, columns);
  s->bind(0, std::string_view(text));
  s->bind(1, std::int64_t{kSearchWindow} + 1);
  std::vector<std::int64_t> rows;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) return rows;
    rows.push_back(s->integer(0));
  }
}

/// The newest of some matches can be found without reading the others: when nothing but age and
/// rank decides about them.
bool newest_will_do(const SearchQuery& query, const SearchRequest& request) {
  return query.has_words() && !query.filename && Where(request.filter).empty() &&
         request.order == SortOrder::descending &&
         (request.sort == SortBy::relevance || request.sort == SortBy::created_at);
}

/// The best of `rows`, rank by rank, as many as the page needs.
Result<std::vector<Hit>> best_of(const Prepare& prepare, const SearchQuery& query,
                                 const SearchRequest& request, std::vector<std::int64_t> rows) {
  // One more, in case the entry whose id was asked for is among them.
  const std::size_t wanted =
      std::min<std::uint64_t>(request.offset, rows.size()) + request.limit + 1;
  std::vector<Hit> best;
  const auto take = [&](std::span<const std::int64_t> of, unsigned rank) -> Result<void> {
    ARTCACHE_TRY(auto hits, newest_of(prepare, of, wanted - best.size()));
    for (Hit& hit : hits) {
      hit.rank = rank;
      best.push_back(std::move(hit));
    }
    return {};
  };
  if (request.sort == SortBy::relevance) {
    for (const auto& [columns, rank] : kRanks) {
      ARTCACHE_TRY(const auto ranked, rows_of(prepare, query, columns));
      std::vector<std::int64_t> these, others;
      std::ranges::set_intersection(rows, ranked, std::back_inserter(these));
      std::ranges::set_difference(rows, ranked, std::back_inserter(others));
      ARTCACHE_CHECK(take(these, rank));
      if (best.size() >= wanted) return best;
      rows = std::move(others);
    }
  }
  ARTCACHE_CHECK(take(rows, 1));
  return best;
}

/// Every match is read, the newest are kept, ranked where that is asked for.
Result<Found> read_every_match(const Prepare& prepare, const SearchQuery& query,
                               const SearchRequest& request) {
  Found found;
  Where where(request.filter);
  if (query.filename) where.add("original_filename = ?", *query.filename);
  ARTCACHE_TRY(sql::Statement * s, prepare(hits_text(query, request.sort, where)));
  const std::string everywhere = match_text(query, "");
  int next = 0;
  if (query.has_words()) s->bind(next++, std::string_view(everywhere));
  s->bind(where.bind(*s, next), std::int64_t{kSearchWindow} + 1);
  ARTCACHE_TRY(found.hits, read_hits(*s, request.sort == SortBy::filename));
  if (found.hits.size() > kSearchWindow) {
    found.hits.pop_back();
    found.total_kind = TotalKind::lower_bound;
  }
  found.total = found.hits.size();
  if (request.sort != SortBy::relevance || !query.has_words()) return found;
  std::ranges::sort(found.hits, {}, &Hit::row);
  for (auto at = std::rbegin(kRanks); at != std::rend(kRanks); ++at) {
    const auto& [columns, rank] = *at;
    ARTCACHE_TRY(sql::Statement * ranked, prepare(kRowsText));
    const std::string text = match_text(query, columns);
    ranked->bind(0, std::string_view(text));
    ranked->bind(1, std::int64_t{-1});
    ARTCACHE_CHECK(rank_hits(*ranked, found.hits, rank));
  }
  return found;
}

Result<Found> find_words(const Prepare& prepare, const SearchQuery& query,
                         const SearchRequest& request) {
  if (newest_will_do(query, request)) {
    Found found;
    ARTCACHE_TRY(found.rows, rows_of(prepare, query, ""));
    found.total = found.rows.size();
    if (found.rows.size() <= kSearchWindow) {
      ARTCACHE_TRY(found.hits, best_of(prepare, query, request, found.rows));
      return found;
    }
  }
  return read_every_match(prepare, query, request);
}

/// The entry whose id was asked for comes before all others.
Result<void> add_named(const Prepare& prepare, const FileId& id, const SearchRequest& request,
                       Found& found) {
  const Where where(request.filter);
  ARTCACHE_TRY(sql::Statement * s, prepare(id_text(request.sort, where)));
  s->bind(0, bytes_of(id));
  where.bind(*s, 1);
  ARTCACHE_TRY(auto named, read_hits(*s, request.sort == SortBy::filename));
  for (Hit& hit : named) {
    const bool known =
        std::erase_if(found.hits, [&](const Hit& h) { return h.row == hit.row; }) > 0 ||
        std::ranges::binary_search(found.rows, hit.row);
    if (!known) ++found.total;
    hit.rank = kIdRank;
    found.hits.push_back(std::move(hit));
  }
  return {};
}

}  // namespace

Result<EntryPage> Index::search(const SearchRequest& request, const Call& call) {
  if (request.limit > kPageMost)
    return Error{Errc::invalid_argument, "search: limit is above " + std::to_string(kPageMost)};
  ARTCACHE_TRY(const SearchQuery query, search_query(request.query, request.mode));
  ARTCACHE_TRY(Reading reading, begin_reading(call));
  const Prepare prepare = [&](std::string_view text) { return reading.statement(names_, text); };
  Found found;
  if (query.has_words() || query.filename) {
    ARTCACHE_TRY(found, find_words(prepare, query, request));
  }
  if (query.id) ARTCACHE_CHECK(add_named(prepare, *query.id, request, found));
  sort_hits(found.hits, request);

  EntryPage page;
  page.total = found.total;
  page.total_kind = found.total_kind;
  ARTCACHE_TRY(sql::Statement * fetch, prepare("SELECT " + std::string(kEntryColumns) +
                                               " FROM {p}entry_{g} WHERE row = ?"));
  const std::size_t begin = std::min<std::uint64_t>(request.offset, found.hits.size());
  const std::size_t end = std::min<std::uint64_t>(begin + request.limit, found.hits.size());
  for (std::size_t i = begin; i < end; ++i) {
    fetch->bind(0, found.hits[i].row);
    ARTCACHE_TRY(const bool there, fetch->step());
    if (there) {
      ARTCACHE_TRY(auto entry, read_entry(*fetch, 0));
      page.entries.push_back(std::move(entry));
    }
    fetch->reset();
  }
  return page;
}

}  // namespace artcache::sqlite
