// SPDX-License-Identifier: Apache-2.0
// Index::search: the words of the query against search_vector, ranked by their weights.
#include <algorithm>

#include "backends/postgres/columns.hpp"
#include "backends/postgres/filter.hpp"
#include "backends/postgres/index.hpp"
#include "sql/postgres/wire.hpp"
#include "util/try.hpp"

namespace artcache::postgres {
namespace {

constexpr unsigned kIdRank = 4;  ///< better than any words

struct Hit {
  FileId id;
  std::int64_t created_at = 0, number = 0;  ///< number: what is sorted by, unless it is a text
  std::string text;
  unsigned rank = 1;
};

/// The text of a tsquery. Tokens need no escaping: quotes never stand in them. `weights` says where
/// each must stand: A in the name, B among the tags.
std::string match_text(const SearchQuery& query, std::string_view weights) {
  std::string text;
  const auto word = [&](std::string_view token, std::string_view star) {
    std::string out = "'" + std::string(token) + "'";
    if (!star.empty() || !weights.empty()) out.append(":").append(star).append(weights);
    return out;
  };
  const auto add = [&](const std::string& part) {
    text.append(text.empty() ? "" : " & ").append(part);
  };
  for (const std::string& stem : query.stems) add(word(stem, ""));
  if (const auto& b = query.beginning)
    add("(" + word(b->stem, "") + " | " + word(b->letters, "*") + ")");
  return text;
}

std::string_view sort_column(SortBy sort) {
  switch (sort) {
    case SortBy::updated_at:
      return "f.updated_at";
    case SortBy::file_size:
      return "f.file_size";
    case SortBy::filename:
      return "f.original_filename";
    case SortBy::created_at:
    case SortBy::relevance:
      break;
  }
  return "0";
}

std::string hits_text(SortBy sort, const Where& where, bool ranked) {
  const std::string rank = ranked ? "CASE WHEN f.search_vector @@ " + where.next(1) +
                                        "::text::tsquery THEN 3 WHEN "
                                        "f.search_vector @@ " +
                                        where.next(2) + "::text::tsquery THEN 2 ELSE 1 END"
                                  : "1";
  return "SELECT f.file_id, f.created_at, " + std::string(sort_column(sort)) + ", " + rank +
         " FROM {p}files f" + where.text() + " ORDER BY f.created_at DESC, f.file_id DESC LIMIT " +
         where.next();
}

/// The newest matches, newest first.
Result<std::vector<Hit>> read_hits(sql::Statement& s, bool sort_is_text) {
  std::vector<Hit> hits;
  while (true) {
    ARTCACHE_TRY(const bool found, s.step());
    if (!found) return hits;
    Hit& hit = hits.emplace_back();
    ARTCACHE_TRY(hit.id, read_id(s, 0));
    hit.created_at = s.integer(1);
    if (sort_is_text)
      hit.text = s.text(2);
    else
      hit.number = s.integer(2);
    hit.rank = static_cast<unsigned>(s.integer(3));
  }
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

Result<std::vector<Hit>> find_hits(sql::Connection& connection, const Names& names,
                                   const SearchQuery& query, const SearchRequest& request) {
  if (!query.has_words() && !query.filename) return std::vector<Hit>();
  Where where(request.filter);
  if (query.filename) where.add("f.original_filename = ?", {*query.filename});
  if (query.has_words()) where.add("f.search_vector @@ ?::text::tsquery", {match_text(query, "")});
  const bool ranked = query.has_words() && request.sort == SortBy::relevance;
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text(hits_text(request.sort, where, ranked))));
  const int next = where.bind(*s);
  s->bind(next, std::int64_t{kSearchWindow} + 1);
  if (ranked)
    s->bind(next + 1, std::string_view(match_text(query, "A")))
        .bind(next + 2, std::string_view(match_text(query, "AB")));
  return read_hits(*s, request.sort == SortBy::filename);
}

/// The entry with this id, if the filter lets it through, comes before all others.
Result<void> add_named(sql::Connection& connection, const Names& names, const FileId& id,
                       const SearchRequest& request, std::vector<Hit>& hits) {
  Where where(request.filter);
  where.add("f.file_id = ?", {id});
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text(hits_text(request.sort, where, false))));
  s->bind(where.bind(*s), std::int64_t{1});
  ARTCACHE_TRY(auto named, read_hits(*s, request.sort == SortBy::filename));
  for (Hit& hit : named) {
    std::erase_if(hits, [&](const Hit& other) { return other.id == hit.id; });
    hit.rank = kIdRank;
    hits.push_back(std::move(hit));
  }
  return {};
}

/// The entries of these hits, in their order.
Result<std::vector<IndexedEntry>> fetch(sql::Connection& connection, const Names& names,
                                        std::span<const Hit> hits) {
  std::vector<IndexedEntry> entries;
  if (hits.empty()) return entries;
  sql::PostgresArray ids(sql::PostgresType::uuid);
  for (const Hit& hit : hits) ids.add().bytes(hit.id.bytes());
  ARTCACHE_TRY(sql::Statement * s,
               connection.prepare(names.text(
                   "SELECT " + entry_columns() +
                   " FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted(id, place) "
                   "CROSS JOIN {p}head h JOIN {p}files f ON f.file_id = wanted.id "
                   "LEFT JOIN {p}revision r ON r.file_id = f.file_id ORDER BY wanted.place")));
  ids.bind(*s, 0);
  entries.reserve(hits.size());
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) return entries;
    ARTCACHE_TRY(auto entry, read_entry(*s, 0));
    entries.push_back(std::move(entry));
  }
}

}  // namespace

Result<EntryPage> Index::search(const SearchRequest& request, const Call& call) {
  if (request.limit > kPageMost)
    return Error{Errc::invalid_argument, "search: limit is above " + std::to_string(kPageMost)};
  ARTCACHE_TRY(const SearchQuery query, search_query(request.query, request.mode));
  EntryPage page;
  const auto read = [&](sql::PostgresConnection& connection, const HeadRow&) -> Result<void> {
    ARTCACHE_TRY(auto hits, find_hits(connection, names_, query, request));
    if (hits.size() > kSearchWindow) {
      hits.pop_back();
      page.total_kind = TotalKind::lower_bound;
    }
    if (query.id) ARTCACHE_CHECK(add_named(connection, names_, *query.id, request, hits));
    page.total = hits.size();
    sort_hits(hits, request);
    const std::size_t begin = std::min<std::uint64_t>(request.offset, hits.size());
    const std::size_t size = std::min<std::uint64_t>(request.limit, hits.size() - begin);
    ARTCACHE_TRY(page.entries, fetch(connection, names_, std::span(hits).subspan(begin, size)));
    return {};
  };
  ARTCACHE_CHECK(reading(read, call));
  return page;
}

}  // namespace artcache::postgres
