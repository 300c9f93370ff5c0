// SPDX-License-Identifier: Apache-2.0
#include "roles/element/file_fields.hpp"

#include <algorithm>
#include <utility>

#include "common/json_read.hpp"

namespace artcache::element {

std::variant<FileId, http::Problem> path_id(const http::Request& request) {
  const auto id = FileId::parse(request.values.find("id").value_or(""));
  if (id) return *id;
  return unprocessable("path", "file_id", "Input should be a valid UUID", "uuid_parsing");
}

http::Problem file_problem(const FileId& id, const Error& error) {
  if (error.code == Errc::not_found)
    return {.status = 404, .detail = "File " + to_string(id) + " not found"};
  return http::to_problem(error);
}

std::optional<std::uint64_t> QueryFields::number(std::string_view name, std::uint64_t least) {
  const auto text = query_.find(name);
  if (!text) return std::nullopt;
  const auto number = parse_whole(*text);
  if (!number) {
    refuse(name, "Input should be a valid integer, unable to parse string as an integer",
           "int_parsing");
    return std::nullopt;
  }
  if (*number < 0 || static_cast<std::uint64_t>(*number) < least) {
    refuse(name, "Input should be greater than or equal to " + std::to_string(least),
           "greater_than_equal");
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(*number);
}

std::optional<std::string> QueryFields::text(std::string_view name) const {
  const auto text = query_.find(name);
  if (!text || text->empty()) return std::nullopt;
  return std::string(*text);
}

std::optional<Timestamp> QueryFields::moment(std::string_view name) {
  const auto text = query_.find(name);
  if (!text) return std::nullopt;
  const auto moment = Timestamp::parse(*text);
  if (moment) return *moment;
  refuse(name, "Input should be a valid datetime", "datetime_from_date_parsing");
  return std::nullopt;
}

void QueryFields::refuse(std::string_view name, std::string message, std::string type) {
  problems_.push_back({{"query", std::string(name)}, std::move(message), std::move(type)});
}

EntryFilter read_filter(QueryFields& fields) {
  EntryFilter filter;
  filter.username = fields.text("username");
  filter.content_type = fields.text("content_type");
  filter.tag = fields.text("tag");
  filter.extension = fields.text("extension");
  filter.retention_policy = fields.text("retention_policy");
  filter.filename = fields.text("filename");
  filter.size_least = fields.number("min_size");
  filter.size_most = fields.number("max_size");
  filter.created_from = fields.moment("created_from");
  filter.created_until = fields.moment("created_until");
  return filter;
}

Window read_window(QueryFields& fields) {
  Window window;
  const auto page = fields.number("page", 1), page_size = fields.number("page_size", 1);
  const auto skip = fields.number("skip"), offset = fields.number("offset");
  const auto limit = fields.number("limit", 1);
  const auto most = std::uint64_t{kPageMost};
  if (page || page_size) {
    window.limit = static_cast<std::uint32_t>(std::min(page_size.value_or(50), most));
    // A page that no index can have is empty, and does not wrap around.
    window.page = std::min(page.value_or(1), std::uint64_t{1} << 40);
    window.offset = (window.page - 1) * window.limit;
    return window;
  }
  window.limit = static_cast<std::uint32_t>(std::min(limit.value_or(100), most));
  window.offset = std::min(offset ? *offset : skip.value_or(0), std::uint64_t{1} << 50);
  window.has_offset = offset.has_value();
  return window;
}

}  // namespace artcache::element
