// SPDX-License-Identifier: Apache-2.0
// Metadata, download, update, removal, list and search of files; removal on behalf of the garbage
// collector. Who may do it was asked before any of this runs.
#include <algorithm>
#include <array>
#include <utility>

#include "common/entry_json.hpp"
#include "common/json_read.hpp"
#include "common/read_bounds.hpp"
#include "http/query_fields.hpp"
#include "http/ranges.hpp"
#include "roles/element/element.hpp"
#include "roles/element/file_conditions.hpp"
#include "roles/element/file_fields.hpp"
#include "roles/element/file_work.hpp"
#include "roles/element/read_bounds.hpp"

namespace artcache::element {
namespace {

using http::Method;
using http::Problem;
using http::Reply;
using http::Request;

constexpr std::size_t kBodyMost = 1024 * std::size_t{1024};

std::string entry_text(const Element& element, const IndexedEntry& row) {
  JsonWriter json;
  json.begin_object();
  append_entry(json, row, element.parts().deps.clock->now());
  json.end_object();
  return std::move(json).str();
}

/// With the tag that If-Match names: that of the content, to which the freshness of an index does
/// not belong.
http::Response entry_response(const Element& element, const IndexedEntry& row) {
  http::Response response = http::json_response(200, entry_text(element, row));
  response.headers.add("ETag", entry_tag(row));
  return response;
}

Reply show(Element& element, const FileId& id, Request& request) {
  const auto row = element.services()->files.metadata(id, request.call);
  if (!row) return file_problem(id, row.error());
  return entry_response(element, *row);
}

/// On an I/O thread: what the index has, without a bound to keep. All else may wait, and is left to
/// show(), errors too.
std::optional<Reply> show_indexed(Element& element, Request& request, const Call& call) {
  if (!request.query.all().empty()) return std::nullopt;
  const auto id = path_id(request);
  if (!std::holds_alternative<FileId>(id)) return std::nullopt;
  const auto row = element.services()->files.indexed(std::get<FileId>(id), call);
  if (!row || !*row) return std::nullopt;
  return entry_response(element, **row);
}

// --- Download -----------------------------------------------------------------------------------

/// Keeps the service for as long as the file is sent.
class FileBody final : public http::BodySource {
 public:
  FileBody(const Element& element, std::shared_ptr<Services> services,
           std::unique_ptr<Download> download)
      : element_(element), services_(std::move(services)), download_(std::move(download)) {}
  Result<std::size_t> read(std::span<std::byte> into, const Call& call) override {
    if (!work_) work_.emplace(element_, services_->mode, FileWork::Kind::download);
    auto got = download_->read(into, call);
    if (got && *got > 0) work_->add_bytes(*got);
    if (got && *got == 0) work_->succeed();
    return got;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return download_->size(); }

 private:
  const Element& element_;
  std::shared_ptr<Services> services_;
  std::unique_ptr<Download> download_;
  std::optional<FileWork> work_;  // from the first byte on: a HEAD reads none
};

http::Representation representation_of(const FileEntry& entry) {
  return {.size = entry.file_size,
          .etag = "\"" + to_string(entry.checksum) + "\"",
          .modified = entry.created_at};
}

/// A type that would break the header is no type.
std::string content_type_of(const FileEntry& entry) {
  const bool good =
      !entry.content_type.empty() &&
      std::ranges::all_of(entry.content_type, [](char c) { return c >= ' ' && c < '\x7f'; });
  std::string type = good ? entry.content_type : "application/octet-stream";
  if (type.starts_with("text/") && type.find("charset") == std::string::npos)
    type += "; charset=utf-8";
  return type;
}

Reply send(const Element& element, std::shared_ptr<Services> services, const FileEntry& entry,
           const http::Selection& selection, Verify verify, Request& request) {
  using Kind = http::Selection::Kind;
  const http::Representation there = representation_of(entry);
  http::Response response;
  response.headers = {{"ETag", there.etag},
                      {"Last-Modified", http::http_date(there.modified)},
                      {"Accept-Ranges", "bytes"},
                      {"Cache-Control", "private, no-cache"}};
  if (selection.kind == Kind::not_modified) {
    response.status = 304;
    return response;
  }
  DownloadRequest wanted{.verify = verify};
  if (selection.kind == Kind::part) wanted.range = {selection.first, selection.length};
  auto download = services->files.download(entry.id, wanted, request.call);
  if (!download) return file_problem(entry.id, download.error());
  response.headers.add("Content-Type", content_type_of(entry));
  response.headers.add("Content-Disposition", http::attachment(entry.original_filename));
  // What was uploaded is never to be run as a page of this server.
  response.headers.add("X-Content-Type-Options", "nosniff");
  if (selection.kind == Kind::part) {
    response.status = 206;
    response.headers.add("Content-Range", http::content_range(selection, there.size));
  }
  response.stream = std::make_unique<FileBody>(element, std::move(services), std::move(*download));
  return response;
}

Reply download(Element& element, const FileId& id, Request& request) {
  std::vector<http::FieldProblem> problems;
  const auto verified = query_flag(request.query, "verify", problems);
  if (!problems.empty()) return unprocessable(std::move(problems));
  auto services = element.services();
  const auto row = services->files.metadata(id, request.call);
  if (!row) return file_problem(id, row.error());
  const http::Representation there = representation_of(row->entry);
  http::Selection selection = http::select(request.headers, there);
  // A range is of what GET sends.
  using Kind = http::Selection::Kind;
  if (request.method == Method::head &&
      (selection.kind == Kind::part || selection.kind == Kind::beyond))
    selection = {};
  if (selection.kind == http::Selection::Kind::failed)
    return Problem{.status = 412, .detail = "The file is another one by now"};
  if (selection.kind == http::Selection::Kind::beyond)
    return Problem{.status = 416,
                   .detail = "The range begins behind the end of the file",
                   .headers = {{"Content-Range", http::content_range(selection, there.size)}}};
  if (*verified && selection.kind == Kind::part)
    return unprocessable("query", "verify", "Only a whole file can be verified", "value_error");
  const Verify verify = *verified ? Verify::yes : Verify::no;
  return send(element, std::move(services), row->entry, selection, verify, request);
}

// --- Update and removal -------------------------------------------------------------------------

/// A text that may be taken away with null.
std::optional<std::optional<std::string>> clearable(JsonObject& body, std::string_view name) {
  if (!body.has(name)) return std::nullopt;
  return body.text(name);
}

// As read_changes() reads them.
constexpr http::BodyField kChangesBody[] = {
    {"description", "string"},       {"version", "string"},
    {"retention_policy", "string"},  {"metadata", "object"},
    {"custom_attributes", "object"}, {"tags", "strings"},
    {"ttl_days", "integer"},         {"retention_expires_at", "date-time"}};

FileChanges read_changes(JsonObject& body) {
  FileChanges changes;
  changes.description = clearable(body, "description");
  changes.version = clearable(body, "version");
  changes.retention_policy = clearable(body, "retention_policy");
  changes.metadata = body.object("metadata");
  changes.custom_attributes = body.object("custom_attributes");
  changes.tags = body.texts("tags");
  if (body.has("ttl_days")) changes.ttl_days = body.number("ttl_days");
  if (body.has("retention_expires_at")) {
    const auto text = body.text("retention_expires_at");
    const auto moment = text ? Timestamp::parse(*text) : Result<Timestamp>(Timestamp());
    if (!moment)
      body.refuse("retention_expires_at", "Input should be a valid datetime", "datetime_parsing");
    else
      changes.retention_expires_at = text ? std::optional(*moment) : std::nullopt;
  }
  return changes;
}

bool names_nothing(const FileChanges& changes) {
  return !changes.description && !changes.version && !changes.metadata &&
         !changes.custom_attributes && !changes.tags && !changes.retention_policy &&
         !changes.ttl_days && !changes.retention_expires_at;
}

Reply update(Element& element, const FileId& id, Request& request) {
  auto text = http::read_all(*request.body, kBodyMost);
  if (!text) return text.error();
  JsonObject body(std::move(*text));
  UpdateRequest wanted{.changes = read_changes(body), .base = {}};
  if (!body.problems().empty()) return unprocessable(body.problems());
  const auto services = element.services();
  const auto seen = seen_revision(services->files, id, request);
  if (!seen) return change_problem(id, seen.error(), request);
  wanted.base = *seen;
  // Neither the file nor the log of changes has anything to tell of that.
  if (names_nothing(wanted.changes) && may_write_files(services->mode))
    return show(element, id, request);
  const auto row = services->files.update(id, wanted, request.call);
  if (!row) return change_problem(id, row.error(), request);
  return entry_response(element, *row);
}

Reply remove(Element& element, const FileId& id, Request& request) {
  const auto services = element.services();
  if (services->mode != ElementMode::edit)
    return Problem{.status = 400,
                   .detail = "File deletion not allowed in " +
                             std::string(to_string(services->mode)) +
                             " mode. Only EDIT mode allows deletion."};
  FileWork work(element, services->mode, FileWork::Kind::removal);
  const auto removed = remove_seen(services->files, id, request);
  if (!removed) return change_problem(id, removed.error(), request);
  work.succeed();
  return http::Response{.status = 204};
}

// --- Lists --------------------------------------------------------------------------------------

http::Response page_response(const Element& element, const Window& window, const EntryPage& page) {
  const Timestamp now = element.parts().deps.clock->now();
  JsonWriter json;
  json.begin_object().member("total", page.total);
  if (page.total_kind == TotalKind::lower_bound) json.member("total_is_lower_bound", true);
  for (const std::string_view name : {"files", "items"}) {
    if (name == "items" && !window.has_offset) continue;
    json.key(name).begin_array();
    for (const IndexedEntry& row : page.entries) {
      json.begin_object();
      append_entry(json, row, now);
      json.end_object();
    }
    json.end_array();
  }
  json.member("limit", window.limit).member("offset", window.offset);
  if (window.page > 0) json.member("page", window.page).member("page_size", window.limit);
  json.member("has_more", window.offset + page.entries.size() < page.total);
  json.end_object();
  return http::json_response(200, std::move(json).str());
}

// As read_filter() and read_window() read them.
constexpr std::array kListFields{
    http::QueryField{"username", "string", "who uploaded it"},
    http::QueryField{"content_type", "string", "its type"},
    http::QueryField{"tag", "string", "one of its tags"},
    http::QueryField{"extension", "string", "with which its name ends"},
    http::QueryField{"retention_policy", "string", "temporary or permanent"},
    http::QueryField{"filename", "string", "its name"},
    http::QueryField{"min_size", "integer", "bytes, at least"},
    http::QueryField{"max_size", "integer", "bytes, at most"},
    http::QueryField{"created_from", "date-time", "not before"},
    http::QueryField{"created_until", "date-time", "before"},
    http::QueryField{"limit", "integer", "so many, at most 1000"},
    http::QueryField{"skip", "integer", "behind so many"},
    http::QueryField{"offset", "integer", "the same, and the files stand in items, too"},
    http::QueryField{"page", "integer", "or by pages, from 1"},
    http::QueryField{"page_size", "integer", "files a page, at most 1000"}};
constexpr std::array kSearchFields{http::QueryField{"query", "string", "words, or an id"},
                                   http::QueryField{"q", "string", "the same"},
                                   http::QueryField{"mode", "string", "words, prefix or exact"}};
constexpr auto kListQuery = http::joined(kListFields, kBoundFields);
constexpr auto kSearchQuery = http::joined(kSearchFields, kListFields, kBoundFields);

Reply list(Element& element, Request& request) {
  QueryFields fields(request.query);
  PageRequest wanted;
  wanted.filter = read_filter(fields);
  const Window window = read_window(fields);
  wanted.limit = window.limit;
  wanted.offset = window.offset;
  if (!fields.problems().empty()) return unprocessable(std::move(fields.problems()));
  const auto page = element.services()->files.list(wanted, request.call);
  if (!page) return page.error();
  return page_response(element, window, *page);
}

Reply search(Element& element, Request& request) {
  QueryFields fields(request.query);
  SearchRequest wanted;
  wanted.filter = read_filter(fields);
  const Window window = read_window(fields);
  wanted.limit = window.limit;
  wanted.offset = window.offset;
  const auto query = fields.text("query"), short_name = fields.text("q");
  if (query || short_name)
    wanted.query = query ? *query : *short_name;
  else
    fields.refuse("query", "Field required", "missing");
  const std::string mode = fields.text("mode").value_or("words");
  if (mode == "prefix")
    wanted.mode = MatchMode::prefix;
  else if (mode == "exact")
    wanted.mode = MatchMode::exact;
  else if (mode != "words")
    fields.refuse("mode", "Input should be 'words', 'prefix' or 'exact'", "enum");
  if (!fields.problems().empty()) return unprocessable(std::move(fields.problems()));
  const auto page = element.services()->files.search(wanted, request.call);
  if (!page) return page.error();
  return page_response(element, window, *page);
}

// --- The garbage collector ----------------------------------------------------------------------

constexpr http::BodyField kCollectBody[] = {{"reason", "string"}};

/// Whatever the mode: the registry has let go of the file already.
Reply collect(Element& element, const FileId& id, Request& request) {
  auto text = http::read_all(*request.body, kBodyMost);
  if (!text) return text.error();
  JsonObject body(text->empty() ? "{}" : std::move(*text));
  const auto reason = body.text("reason");
  if (!body.problems().empty()) return unprocessable(body.problems());
  FileWork work(element, element.services()->mode, FileWork::Kind::removal);
  const auto removed = remove_seen(element.unrestricted().files, id, request);
  if (!removed && removed.error().code != Errc::not_found)
    return change_problem(id, removed.error(), request);
  work.succeed();
  JsonWriter json;
  json.begin_object()
      .member("status", removed ? "deleted" : "already_deleted")
      .member("file_id", to_string(id))
      .member("deleted_at", to_string(element.parts().deps.clock->now()))
      .member("deleted_by", request.identity ? request.identity->name : std::string())
      .key("reason");
  if (reason)
    json.value(*reason);
  else
    json.null();
  json.end_object();
  return http::json_response(200, std::move(json).str());
}

Reply exists(Element& element, const FileId& id, Request& request) {
  const auto row = element.services()->files.metadata(id, request.call);
  if (!row && row.error().code != Errc::not_found) return file_problem(id, row.error());
  JsonWriter json;
  json.begin_object()
      .member("exists", row.has_value())
      .member("file_id", to_string(id))
      .end_object();
  return http::json_response(200, std::move(json).str());
}

using OfFile = Reply (*)(Element&, const FileId&, Request&);

http::Handler of_file(Element& element, OfFile handler) {
  return [&element, handler](Request& request) -> Reply {
    auto id = path_id(request);
    if (auto* problem = std::get_if<Problem>(&id)) return std::move(*problem);
    return handler(element, std::get<FileId>(id), request);
  };
}

auth::Rule collectors() {
  return {.callers = auth::Callers::service_accounts,
          .roles = {"operator", "admin"},
          .denial =
              "Service account access required. Only service accounts can perform GC operations."};
}

}  // namespace

Result<void> add_file_routes(Element& element, http::Site& site) {
  const auto add = [&](http::Route route, const auth::Rule& rule) {
    return site.add(element.parts().gate->protect(std::move(route), rule));
  };
  const auth::Rule any;
  const auth::Rule removers{.roles = {"operator", "admin"},
                            .denial = "Operator or admin access required"};
  const auto lists = [&element](Reply (*handler)(Element&, Request&)) {
    return bounded(element,
                   [&element, handler](Request& request) { return handler(element, request); });
  };
  http::QuickHandler quick;  // not for a database that is reached by a network
  if (element.settings().embedded)
    quick = positioned_quick(element, [&element](Request& request, const Call& call) {
      return show_indexed(element, request, call);
    });
  const std::string one = "/api/v1/files/{id}";
  const std::pair<http::Route, auth::Rule> routes[] = {
      {{.method = Method::get,
        .pattern = "/api/v1/files",
        .handler = lists(list),
        .summary = "Files, the newest first",
        .query = kListQuery},
       any},
      {{.method = Method::get,
        .pattern = "/api/v1/files/search",
        .handler = lists(search),
        .summary = "Files by the words of their names and descriptions",
        .query = kSearchQuery},
       any},
      {{.method = Method::get,
        .pattern = one,
        .handler = bounded(element, of_file(element, show)),
        .quick = quick,
        .summary = "What is known of a file",
        .query = kBoundFields},
       any},
      {{.method = Method::get,
        .pattern = one + "/download",
        .handler = bounded(element, of_file(element, download)),
        .summary = "Its bytes, or a range of them",
        .query = kDownloadFields,
        .headers = http::kDownloadHeaders},
       any},
      {{.method = Method::patch,
        .pattern = one,
        .handler = positioned(element, of_file(element, update)),
        .summary =
            "Changes description, version, metadata, tags, retention; with If-Match only of a "
            "file that has this ETag",
        .headers = http::kChangeConditions,
        .body = {http::BodyShape::Media::json, kChangesBody}},
       auth::writers()},
      {{.method = Method::del,
        .pattern = one,
        .handler = positioned(element, of_file(element, remove)),
        .summary = "Removes a file; with If-Match only one that has this ETag",
        .headers = http::kChangeConditions},
       removers},
      {{.method = Method::del,
        .pattern = "/api/v1/gc/{id}",
        .handler = of_file(element, collect),
        .summary =
            "Removes a file that the registry has let go of; with If-Match only one that has "
            "this ETag",
        .headers = http::kChangeConditions,
        .body = {http::BodyShape::Media::json, kCollectBody}},
       collectors()},
      {{.method = Method::get,
        .pattern = "/api/v1/gc/{id}/exists",
        .handler = of_file(element, exists),
        .summary = "Whether a file is there"},
       collectors()},
  };
  for (const auto& [route, rule] : routes)
    if (auto added = add(route, rule); !added) return added;
  return {};
}

}  // namespace artcache::element
