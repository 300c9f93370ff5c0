// SPDX-License-Identifier: Apache-2.0
#include "roles/query/search.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

namespace artcache::query {
namespace {

/// A statement that grows together with its parameters.
class Text {
 public:
  using Value = std::variant<std::int64_t, Timestamp, std::string>;

  Text& add(std::string_view text) {
    text_.append(text);
    return *this;
  }
  /// The value, by its number.
  Text& add_value(Value value) {
    values_.push_back(std::move(value));
    return add("$" + std::to_string(values_.size()));
  }
  Result<sql::Statement*> prepare(Session& session) const {
    ARTCACHE_TRY(sql::Statement * statement, session.connection().prepare(text_));
    for (std::size_t i = 0; i < values_.size(); ++i)
      std::visit([&](const auto& value) { session.bind(*statement, static_cast<int>(i), value); },
                 values_[i]);
    return statement;
  }

 private:
  std::string text_;
  std::vector<Value> values_;
};

std::int64_t clamp(std::uint64_t number) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(number, kMost));
}

// --- Words --------------------------------------------------------------------------------------

/// Where words must stand: anywhere, in the name or among the tags, in the name.
enum class Within : std::uint8_t { all, name_and_tags, name };

/// Tokens need no escaping: quotes never stand in them.
std::string sqlite_match(const SearchQuery& query, Within within) {
  std::string text;
  const auto add = [&](const std::string& part) {
    text.append(text.empty() ? "" : " AND ").append(part);
  };
  for (const std::string& stem : query.stems) add("\"" + stem + "\"");
  if (const auto& b = query.beginning) add("(\"" + b->stem + "\" OR \"" + b->letters + "\" *)");
  if (within == Within::all) return text;
  return (within == Within::name ? "{name} : (" : "{name tags} : (") + text + ")";
}

std::string postgres_match(const SearchQuery& query, Within within) {
  const std::string weights = within == Within::all ? "" : within == Within::name ? "A" : "AB";
  const auto word = [&](const std::string& token, std::string_view star) {
    std::string out = "'" + token + "'";
    if (!star.empty() || !weights.empty()) out.append(":").append(star).append(weights);
    return out;
  };
  std::string text;
  const auto add = [&](const std::string& part) {
    text.append(text.empty() ? "" : " & ").append(part);
  };
  for (const std::string& stem : query.stems) add(word(stem, ""));
  if (const auto& b = query.beginning)
    add("(" + word(b->stem, "") + " | " + word(b->letters, "*") + ")");
  return text;
}

void add_match(Text& text, Engine engine, const SearchQuery& query, Within within) {
  if (engine == Engine::postgres)
    text.add("e.search_vector @@ ").add_value(postgres_match(query, within)).add("::text::tsquery");
  else
    text.add("e.entry IN (SELECT rowid FROM file_metadata_words WHERE file_metadata_words MATCH ")
        .add_value(sqlite_match(query, within))
        .add(")");
}

void add_rank(Text& text, Engine engine, const SearchQuery& query, SortBy sort) {
  const bool words = query.has_words() && sort == SortBy::relevance;
  if (!query.id && !words) {
    text.add("1");
    return;
  }
  text.add("CASE");
  if (query.id) text.add(" WHEN e.id = ").add_value(to_string(*query.id)).add(" THEN 4");
  if (words) {
    add_match(text.add(" WHEN "), engine, query, Within::name);
    add_match(text.add(" THEN 3 WHEN "), engine, query, Within::name_and_tags);
    text.add(" THEN 2");
  }
  text.add(" ELSE 1 END");
}

/// An id finds its file whatever its words are.
void add_query(Text& text, Engine engine, const SearchQuery& query) {
  text.add(" AND (");
  bool any = query.has_words() || query.filename;
  if (query.has_words()) add_match(text, engine, query, Within::all);
  if (query.filename)
    text.add(query.has_words() ? " AND e.filename = " : "e.filename = ").add_value(*query.filename);
  if (query.id) {
    text.add(any ? " OR e.id = " : "e.id = ").add_value(to_string(*query.id));
    any = true;
  }
  text.add(any ? ")" : "FALSE)");
}

// --- What else is known -------------------------------------------------------------------------

/// LIKE takes % and _ for wild cards unless they are escaped.
std::string like_extension(std::string_view extension) {
  if (extension.starts_with('.')) extension.remove_prefix(1);
  std::string out = "%.";
  for (const char c : extension) {
    if (c == '%' || c == '_' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

void add_tag(Text& text, Engine engine, const std::string& tag) {
  if (engine == Engine::postgres)
    text.add(" AND ").add_value(tag).add("::text = ANY(e.tags)");
  else
    text.add(" AND EXISTS (SELECT 1 FROM json_each(e.tags) WHERE value = ").add_value(tag).add(")");
}

void add_filter(Text& text, Engine engine, const FileSearch& search) {
  const EntryFilter& f = search.filter;
  const auto holds = [&](std::string_view condition, Text::Value value) {
    text.add(" AND ").add(condition).add_value(std::move(value));
  };
  if (search.element) holds("e.storage_element_id = ", *search.element);
  if (f.username) holds("e.username = ", *f.username);
  if (f.content_type) holds("e.mime_type = ", *f.content_type);
  if (f.retention_policy) holds("e.retention_policy = ", *f.retention_policy);
  if (f.filename) holds("e.filename = ", *f.filename);
  if (f.size_least) holds("e.file_size >= ", clamp(*f.size_least));
  if (f.size_most) holds("e.file_size <= ", clamp(*f.size_most));
  if (f.created_from) holds("e.created_at >= ", *f.created_from);
  if (f.created_until) holds("e.created_at < ", *f.created_until);
  if (f.tag) add_tag(text, engine, *f.tag);
  for (const std::string& tag : search.tags) add_tag(text, engine, tag);
  if (f.extension) {
    holds(engine == Engine::postgres ? "e.filename ILIKE " : "e.filename LIKE ",
          like_extension(*f.extension));
    text.add(" ESCAPE '\\'");
  }
}

std::string_view sort_column(SortBy sort) {
  switch (sort) {
    case SortBy::updated_at:
      return "e.updated_at";
    case SortBy::file_size:
      return "e.file_size";
    case SortBy::filename:
      return "e.filename";
    case SortBy::created_at:
    case SortBy::relevance:
      break;
  }
  return "e.created_at";
}

/// The newest matches: where each of them is, and what it is sorted by.
void add_matches(Text& text, Engine engine, const SearchQuery* query, const FileSearch& search) {
  text.add("SELECT e.storage_element_id, e.id, e.created_at, ")
      .add(sort_column(search.sort))
      .add(" AS sorted_by, ");
  add_rank(text, engine, query == nullptr ? SearchQuery() : *query, search.sort);
  text.add(" AS rank FROM file_metadata_cache e WHERE TRUE");
  if (query != nullptr) add_query(text, engine, *query);
  add_filter(text, engine, search);
  text.add(" ORDER BY e.created_at DESC, e.id DESC LIMIT ").add_value(kSearchWindow);
}

std::string order_of(std::string_view table, const FileSearch& search) {
  const std::string up = search.order == SortOrder::ascending ? "" : " DESC";
  const std::string first = search.sort == SortBy::relevance ? "rank" : "sorted_by";
  std::string out = " ORDER BY ";
  for (const std::string& column :
       {first, std::string("created_at"), std::string("id"), std::string("storage_element_id")})
    out.append(out.size() > 10 ? ", " : "").append(table).append(".").append(column).append(up);
  return out;
}

void conclude(FilePage& page, std::uint64_t total) {
  page.total = total;
  if (total >= kSearchWindow) page.total_kind = TotalKind::lower_bound;
}

/// Behind the last page nothing tells the total.
Result<std::uint64_t> count_matches(Session& session, const SearchQuery* query,
                                    const FileSearch& search) {
  Text text;
  text.add("SELECT count(*) FROM (");
  add_matches(text, session.engine(), query, search);
  text.add(") m");
  ARTCACHE_TRY(sql::Statement * s, text.prepare(session));
  ARTCACHE_TRY(const bool found, s->step());
  const auto total = found ? static_cast<std::uint64_t>(s->integer(0)) : 0;
  s->reset();
  return total;
}

}  // namespace

Result<FilePage> search_files(Session& session, const FileSearch& search) {
  if (search.limit > kPageMost)
    return Error{Errc::invalid_argument, "search: limit is above " + std::to_string(kPageMost)};
  std::optional<SearchQuery> parsed;
  if (search.query) {
    ARTCACHE_TRY(parsed, search_query(*search.query, search.mode));
  }
  const SearchQuery* const query = parsed ? &*parsed : nullptr;
  Text text;
  text.add("SELECT h.rank, h.total, ")
      .add(file_columns(session.engine()))
      .add(" FROM (SELECT m.*, count(*) OVER () AS total FROM (");
  add_matches(text, session.engine(), query, search);
  text.add(") m").add(order_of("m", search)).add(" LIMIT ").add_value(std::int64_t{search.limit});
  text.add(" OFFSET ").add_value(clamp(search.offset));
  text.add(") h JOIN file_metadata_cache f ON f.storage_element_id = h.storage_element_id AND ")
      .add("f.id = h.id")
      .add(order_of("h", search));
  ARTCACHE_TRY(sql::Statement * s, text.prepare(session));
  FilePage page;
  while (true) {
    ARTCACHE_TRY(const bool found, s->step());
    if (!found) break;
    Row row(*s);
    const auto rank = static_cast<unsigned>(row.number());
    conclude(page, static_cast<std::uint64_t>(row.number()));
    ARTCACHE_TRY(FoundFile file, read_file(row));
    file.rank = rank;
    page.files.push_back(std::move(file));
  }
  if (page.files.empty() && (search.offset > 0 || search.limit == 0)) {
    ARTCACHE_TRY(const std::uint64_t total, count_matches(session, query, search));
    conclude(page, total);
  }
  return page;
}

}  // namespace artcache::query
