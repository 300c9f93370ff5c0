// SPDX-License-Identifier: Apache-2.0
#include "roles/query/search_fields.hpp"

#include <algorithm>
#include <utility>

#include "common/json_read.hpp"

namespace artcache::query {
namespace {

constexpr std::uint64_t kOffsetMost = std::uint64_t{1} << 50;
// Each becomes a condition of the statement, which engines do not take without end.
constexpr std::size_t kTagsMost = 100;

/// The fields of a URL, read as JsonObject reads those of a body.
class UrlFields {
 public:
  explicit UrlFields(const http::Pairs& pairs) : pairs_(pairs) {}

  std::optional<std::string> text(std::string_view name) {
    const auto found = pairs_.find(name);
    if (!found || found->empty()) return std::nullopt;
    return std::string(*found);
  }
  std::optional<std::int64_t> number(std::string_view name) {
    const auto found = text(name);
    if (!found) return std::nullopt;
    const auto number = parse_whole(*found);
    if (!number)
      refuse(name, "Input should be a valid integer, unable to parse string as an integer",
             "int_parsing");
    return number;
  }
  /// Given several times, or with commas.
  std::optional<std::vector<std::string>> texts(std::string_view name) {
    std::vector<std::string> out;
    for (std::string_view part : pairs_.every(name))
      while (!part.empty()) {
        const std::string_view one = part.substr(0, part.find(','));
        part.remove_prefix(std::min(one.size() + 1, part.size()));
        if (!one.empty()) out.emplace_back(one);
      }
    return out.empty() ? std::nullopt : std::optional(std::move(out));
  }
  void refuse(std::string_view name, std::string message, std::string type) {
    problems_.push_back({{"query", std::string(name)}, std::move(message), std::move(type)});
  }
  [[nodiscard]] const std::vector<http::FieldProblem>& problems() const { return problems_; }

 private:
  const http::Pairs& pairs_;
  std::vector<http::FieldProblem> problems_;
};

/// The first that is there of two names for one thing.
template <class Fields>
std::optional<std::string> either(Fields& fields, std::string_view name, std::string_view other) {
  auto found = fields.text(name);
  return found ? found : fields.text(other);
}

template <class Fields>
std::optional<std::uint64_t> number(Fields& fields, std::string_view name, std::int64_t least,
                                    std::int64_t most = INT64_MAX) {
  const auto found = fields.number(name);
  if (!found) return std::nullopt;
  if (*found < least)
    fields.refuse(name, "Input should be greater than or equal to " + std::to_string(least),
                  "greater_than_equal");
  else if (*found > most)
    fields.refuse(name, "Input should be less than or equal to " + std::to_string(most),
                  "less_than_equal");
  else
    return static_cast<std::uint64_t>(*found);
  return std::nullopt;
}

template <class Fields>
std::optional<Timestamp> moment(Fields& fields, std::string_view name) {
  const auto text = fields.text(name);
  if (!text) return std::nullopt;
  const auto read = Timestamp::parse(*text);
  if (read) return *read;
  fields.refuse(name, "Input should be a valid datetime", "datetime_from_date_parsing");
  return std::nullopt;
}

/// One of some words; `fallback` when it is not there.
template <class Fields, class T>
T choice(Fields& fields, std::string_view name, T fallback,
         std::initializer_list<std::pair<std::string_view, T>> words) {
  const auto text = fields.text(name);
  if (!text) return fallback;
  std::string expected;
  for (const auto& [word, value] : words) {
    if (word == *text) return value;
    expected += (expected.empty() ? "'" : ", '") + std::string(word) + "'";
  }
  fields.refuse(name, "Input should be one of " + expected, "enum");
  return fallback;
}

template <class Fields>
FileSearch read_search(Fields& fields) {
  FileSearch out;
  out.query = either(fields, "query", "q");
  out.mode = choice<Fields, MatchMode>(fields, "mode", MatchMode::prefix,
                                       {{"exact", MatchMode::exact},
                                        {"partial", MatchMode::prefix},
                                        {"fulltext", MatchMode::words}});
  out.filter.filename = fields.text("filename");
  out.filter.extension = either(fields, "file_extension", "extension");
  out.filter.username = fields.text("username");
  out.filter.content_type = either(fields, "mime_type", "content_type");
  out.filter.retention_policy = fields.text("retention_policy");
  out.filter.size_least = number(fields, "min_size", 0);
  out.filter.size_most = number(fields, "max_size", 0);
  out.filter.created_from = moment(fields, "created_after");
  // The last moment counts in, to the microsecond that is told.
  if (const auto last = moment(fields, "created_before"))
    out.filter.created_until = *last < Timestamp::max() ? *last + Timestamp::Duration(1) : *last;
  out.tags = fields.texts("tags").value_or(std::vector<std::string>());
  if (out.tags.size() > kTagsMost)
    fields.refuse(
        "tags", "List should have at most " + std::to_string(kTagsMost) + " items after validation",
        "too_long");
  out.filter.tag = fields.text("tag");
  out.element = fields.text("storage_element_id");
  out.limit = static_cast<std::uint32_t>(number(fields, "limit", 1, kPageMost).value_or(100));
  out.offset = std::min(number(fields, "offset", 0).value_or(0), kOffsetMost);
  if (const auto page = number(fields, "page", 1)) {
    out.limit = static_cast<std::uint32_t>(number(fields, "page_size", 1, kPageMost).value_or(50));
    out.offset = std::min((std::min(*page, std::uint64_t{1} << 40) - 1) * out.limit, kOffsetMost);
  }
  out.sort =
      choice<Fields, SortBy>(fields, "sort_by", out.query ? SortBy::relevance : SortBy::created_at,
                             {{"created_at", SortBy::created_at},
                              {"updated_at", SortBy::updated_at},
                              {"file_size", SortBy::file_size},
                              {"filename", SortBy::filename},
                              {"relevance", SortBy::relevance}});
  out.order =
      choice<Fields, SortOrder>(fields, "sort_order", SortOrder::descending,
                                {{"asc", SortOrder::ascending}, {"desc", SortOrder::descending}});
  return out;
}

template <class Fields>
std::variant<FileSearch, http::Problem> search_or_problem(Fields& fields, FileSearch search) {
  if (!fields.problems().empty()) return unprocessable(fields.problems());
  return search;
}

}  // namespace

std::variant<FileSearch, http::Problem> search_of_url(const http::Pairs& query) {
  UrlFields fields(query);
  FileSearch search = read_search(fields);
  return search_or_problem(fields, std::move(search));
}

std::variant<FileSearch, http::Problem> search_of_body(std::string body) {
  JsonObject fields(body.empty() ? "{}" : std::move(body));
  FileSearch search = read_search(fields);
  // What a form leaves empty asks for nothing.
  if (search.query && search.query->empty()) search.query.reset();
  return search_or_problem(fields, std::move(search));
}

}  // namespace artcache::query
