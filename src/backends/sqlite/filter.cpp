// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/filter.hpp"

#include <algorithm>
#include <limits>

namespace artcache::sqlite {
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
  if (f.username) add("created_by_username = ?", *f.username);
  if (f.content_type) add("content_type = ?", *f.content_type);
  if (f.tag) add("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)", *f.tag);
  if (f.extension) {
    std::string_view extension = *f.extension;
    if (extension.starts_with('.')) extension.remove_prefix(1);
    add("original_filename LIKE ? ESCAPE '\\'", like_suffix("." + std::string(extension)));
  }
  if (f.retention_policy) add("retention_policy = ?", *f.retention_policy);
  if (f.filename) add("original_filename = ?", *f.filename);
  if (f.size_least) add("file_size >= ?", clamp(*f.size_least));
  if (f.size_most) add("file_size <= ?", clamp(*f.size_most));
  if (f.created_from) add("created_at >= ?", f.created_from->micros());
  if (f.created_until) add("created_at < ?", f.created_until->micros());
  if (f.expired_at) add("refreshed_at + ttl_hours * 3600000000 < ?", f.expired_at->micros());
}

void Where::add(std::string_view condition, Value value) {
  if (!text_.empty()) text_.append(" AND ");
  text_.append(condition);
  values_.push_back(std::move(value));
}

void Where::add(std::string_view condition, Value first, Value second) {
  add(condition, std::move(first));
  values_.push_back(std::move(second));
}

int Where::bind(sql::Statement& statement, int first) const {
  for (const Value& value : values_) {
    if (const auto* number = std::get_if<std::int64_t>(&value))
      statement.bind(first++, *number);
    else
      statement.bind(first++, std::string_view(std::get<std::string>(value)));
  }
  return first;
}

}  // namespace artcache::sqlite
