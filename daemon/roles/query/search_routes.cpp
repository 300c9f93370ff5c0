// SPDX-License-Identifier: Apache-2.0
// Search, and what is known of one file.
#include <array>
#include <utility>

#include "common/json_read.hpp"
#include "common/read_bounds.hpp"
#include "http/query_fields.hpp"
#include "roles/query/query.hpp"
#include "roles/query/search_fields.hpp"

namespace artcache::query {
namespace {

using http::Method;
using http::Problem;
using http::Reply;
using http::Request;

// As search_of_url() reads them; a body has members of the same names.
constexpr std::array kSearchFields{
    http::QueryField{"query", "string", "words, a part of a name, or an id"},
    http::QueryField{"q", "string", "the same"},
    http::QueryField{"mode", "string", "exact, partial or fulltext"},
    http::QueryField{"filename", "string", "its name"},
    http::QueryField{"file_extension", "string", "with which its name ends"},
    http::QueryField{"extension", "string", "the same"},
    http::QueryField{"username", "string", "who uploaded it"},
    http::QueryField{"mime_type", "string", "its type"},
    http::QueryField{"content_type", "string", "the same"},
    http::QueryField{"retention_policy", "string", "temporary or permanent"},
    http::QueryField{"min_size", "integer", "bytes, at least"},
    http::QueryField{"max_size", "integer", "bytes, at most"},
    http::QueryField{"created_after", "date-time", "not before"},
    http::QueryField{"created_before", "date-time", "not after"},
    http::QueryField{"tags", "string", "all of these, with commas or several times"},
    http::QueryField{"tag", "string", "one of its tags"},
    http::QueryField{"storage_element_id", "string", "where it is"},
    http::QueryField{"sort_by", "string",
                     "created_at, updated_at, file_size, filename or relevance"},
    http::QueryField{"sort_order", "string", "asc or desc"},
    http::QueryField{"limit", "integer", "so many"},
    http::QueryField{"offset", "integer", "behind so many"},
    http::QueryField{"page", "integer", "or by pages, from 1"},
    http::QueryField{"page_size", "integer", "files a page"}};
constexpr auto kSearchQuery = http::joined(kSearchFields, kBoundFields);
// A body says the same as a URL; only a list needs no commas there.
constexpr auto kSearchBody = [] {
  std::array<http::BodyField, kSearchFields.size()> body{};
  for (std::size_t i = 0; i < body.size(); ++i) {
    const http::QueryField& field = kSearchFields[i];
    body[i] = {field.name, field.name == "tags" ? "strings" : field.type};
  }
  return body;
}();
constexpr http::BodyShape kSearchShape{http::BodyShape::Media::json, kSearchBody};

constexpr std::size_t kBodyMost = 256 * 1024;
/// The rank of a file whose id was asked for, which is as well as a file can fit.
constexpr double kRankMost = 4;

void maybe(JsonWriter& json, std::string_view name, const std::optional<std::string>& text) {
  json.key(name);
  if (text)
    json.value(*text);
  else
    json.null();
}

/// One list under all the names that clients look for it.
http::Response page_response(const FileSearch& search, const FilePage& page) {
  JsonWriter list;
  list.begin_array();
  for (const FoundFile& file : page.files) {
    list.begin_object();
    append_file(list, file);
    list.member("relevance_score", file.rank / kRankMost).end_object();
  }
  list.end_array();
  const std::string files = std::move(list).str();
  JsonWriter json;
  json.begin_object().member("total", page.total).member("total_count", page.total);
  if (page.total_kind == TotalKind::lower_bound) json.member("total_is_lower_bound", true);
  json.key("files").raw(files).key("results").raw(files).key("items").raw(files);
  json.member("limit", search.limit)
      .member("offset", search.offset)
      .member("has_more", search.offset + page.files.size() < page.total)
      .end_object();
  return http::json_response(200, std::move(json).str());
}

Reply answer(Parts& parts, std::variant<FileSearch, Problem> wanted, const Request& request) {
  if (auto* problem = std::get_if<Problem>(&wanted)) return std::move(*problem);
  const FileSearch& search = std::get<FileSearch>(wanted);
  const Call call = request.call.within(parts.search_most, *parts.deps.clock);
  const auto begun = parts.deps.clock->steady();
  const auto page =
      parts.database->read(call, [&](Session& session) { return search_files(session, search); });
  const std::chrono::duration<double> took = parts.deps.clock->steady() - begun;
  const MetricLabel labels[]{{"result", page ? "ok" : "error"}};
  parts.deps.metrics->count("qm_search_total", labels, 1);
  parts.deps.metrics->observe("qm_search_duration_seconds", {}, took.count());
  if (!page && page.error().code == Errc::invalid_argument)
    return unprocessable("query", "query", page.error().message, "value_error");
  if (!page) return page.error();
  return page_response(search, *page);
}

Reply search_by_body(Parts& parts, Request& request) {
  auto body = http::read_all(*request.body, kBodyMost);
  if (!body) return body.error();
  return answer(parts, search_of_body(*std::move(body)), request);
}

Reply show(Parts& parts, Request& request) {
  auto id = path_id(request);
  if (auto* problem = std::get_if<Problem>(&id)) return std::move(*problem);
  const auto files = parts.database->read(
      request.call, [&](Session& session) { return find_files(session, std::get<FileId>(id)); });
  if (!files) return files.error();
  if (files->empty()) return file_not_found(std::get<FileId>(id));
  JsonWriter json;
  json.begin_object();
  append_file(json, files->front());
  json.end_object();
  return http::json_response(200, std::move(json).str());
}

}  // namespace

std::variant<FileId, Problem> path_id(const Request& request) {
  const auto id = FileId::parse(request.values.find("id").value_or(""));
  if (id) return *id;
  return unprocessable("path", "file_id", "Input should be a valid UUID", "uuid_parsing");
}

Problem file_not_found(const FileId& id) {
  return {.status = 404, .detail = "File " + to_string(id) + " not found"};
}

void append_file(JsonWriter& json, const FoundFile& file) {
  const FileEntry& e = file.entry;
  const std::string id = to_string(e.id), sum = to_string(e.checksum);
  const std::string created = to_string(e.created_at);
  json.member("id", id)
      .member("file_id", id)
      .member("filename", e.original_filename)
      .member("original_filename", e.original_filename)
      .member("storage_filename", e.storage_filename)
      .member("file_size", e.file_size)
      .member("size", e.file_size)
      .member("mime_type", e.content_type)
      .member("content_type", e.content_type)
      .member("sha256_hash", sum)
      .member("checksum", sum)
      .member("username", e.created_by_username)
      .member("uploaded_by", e.created_by_username);
  maybe(json, "created_by_fullname", e.created_by_fullname);
  json.key("tags").begin_array();
  for (const std::string& tag : e.tags) json.value(tag);
  json.end_array();
  maybe(json, "description", e.description);
  maybe(json, "version", e.version);
  json.member("created_at", created)
      .member("uploaded_at", created)
      .member("updated_at", to_string(e.updated_at))
      .member("storage_element_id", file.element)
      .member("status", "active");
  maybe(json, "retention_policy", e.retention_policy);
  json.key("ttl_days");
  if (e.ttl_days)
    json.value(*e.ttl_days);
  else
    json.null();
  maybe(json, "expires_at",
        e.retention_expires_at ? std::optional(to_string(*e.retention_expires_at)) : std::nullopt);
  json.key("metadata").raw(e.metadata);
  json.member("cache_updated_at", to_string(file.cached_at));
}

Result<void> add_search_routes(http::Site& site, Parts& parts) {
  const auto add = [&](Method method, std::string pattern, http::Handler handler,
                       std::string summary,
                       std::span<const http::QueryField> query = kBoundFields) {
    return site.add(
        parts.gate->protect({.method = method,
                             .pattern = std::move(pattern),
                             .handler = bounded(parts, std::move(handler)),
                             .body_most = kBodyMost,
                             .summary = std::move(summary),
                             .query = query,
                             .body = method == Method::post ? kSearchShape : http::BodyShape{}},
                            {}));
  };
  const http::Handler by_url = [&parts](Request& request) {
    return answer(parts, search_of_url(request.query), request);
  };
  const http::Handler by_body = [&parts](Request& request) {
    return search_by_body(parts, request);
  };
  const http::Handler one = [&parts](Request& request) { return show(parts, request); };
  ARTCACHE_CHECK(
      add(Method::get, "/api/v1/files/search", by_url, "Files of all elements", kSearchQuery));
  ARTCACHE_CHECK(add(Method::post, "/api/search", by_body, "Files of all elements"));
  ARTCACHE_CHECK(add(Method::post, "/api/v1/search", by_body, "Files of all elements"));
  ARTCACHE_CHECK(add(Method::get, "/api/v1/files/{id}", one, "What is known of a file"));
  ARTCACHE_CHECK(add(Method::get, "/api/download/{id}/metadata", one, "What is known of a file"));
  return add(Method::get, "/api/search/{id}", one, "What is known of a file");
}

}  // namespace artcache::query
