// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/filter.hpp"

#include <algorithm>
#include <limits>

#include "backends/postgres/columns.hpp"
#include "sql/postgres/connection.hpp"

namespace artcache::postgres {
namespace {

std::int64_t clamp(std::uint64_t number) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(number, kMost));
}

/// LIKE takes % and _ for wild cards unless they are escaped.
std::string like_suffix(std::string_view text) {
  std::string out = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

}  // namespace

Where::Where(const EntryFilter& f) {
  if (f.username) add("f.created_by_username = ?", {*f.username});
  if (f.content_type) add("f.content_type = ?", {*f.content_type});
  if (f.tag) add("? = ANY(f.tags)", {*f.tag});
  if (f.extension) {
    std::string_view extension = *f.extension;
    if (extension.starts_with('.')) extension.remove_prefix(1);
    // Under "C" only ASCII letters are alike in both cases, as in the other engines.
    add("f.original_filename COLLATE \"C\" ILIKE ?", {like_suffix("." + std::string(extension))});
  }
  if (f.retention_policy) add("f.retention_policy = ?", {*f.retention_policy});
  if (f.filename) add("f.original_filename = ?", {*f.filename});
  if (f.size_least) add("f.file_size >= ?", {clamp(*f.size_least)});
  if (f.size_most) add("f.file_size <= ?", {clamp(*f.size_most)});
  if (f.created_from) add("f.created_at >= ?", {*f.created_from});
  if (f.created_until) add("f.created_at < ?", {*f.created_until});
  if (f.expired_at)
    add("f.cache_updated_at + make_interval(hours => f.cache_ttl_hours) < ?", {*f.expired_at});
}

void Where::add(std::string_view condition, std::vector<Value> values) {
  if (!text_.empty()) text_.append(" AND ");
  auto value = values.begin();
  for (const char c : condition) {
    if (c != '?') {
      text_.push_back(c);
      continue;
    }
    values_.push_back(std::move(*value++));
    text_.append("$").append(std::to_string(values_.size()));
  }
}

int Where::bind(sql::Statement& statement) const {
  int next = 0;
  for (const Value& value : values_) {
    if (const auto* number = std::get_if<std::int64_t>(&value))
      statement.bind(next, *number);
    else if (const auto* time = std::get_if<Timestamp>(&value))
      sql::bind_time(statement, next, time->micros());
    else if (const auto* id = std::get_if<FileId>(&value))
      statement.bind(next, bytes_of(*id));
    else
      statement.bind(next, std::string_view(std::get<std::string>(value)));
    ++next;
  }
  return next;
}

}  // namespace artcache::postgres
