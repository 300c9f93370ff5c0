// SPDX-License-Identifier: Apache-2.0
// /api/v1/files: the registry of files of all storage elements.
#include <utility>

#include "roles/admin/files.hpp"

namespace artcache::admin {
namespace {

using http::Method;

void append_file(JsonWriter& json, const RegisteredFile& file) {
  const FileEntry& e = file.entry;
  json.begin_object()
      .member("file_id", to_string(e.id))
      .member("original_filename", e.original_filename)
      .member("storage_filename", e.storage_filename)
      .member("file_size", e.file_size)
      .member("checksum_sha256", to_string(e.checksum))
      .member("content_type", e.content_type);
  append_text(json, "description", e.description);
  append_text(json, "version", e.version);
  append_text(json, "retention_policy", e.retention_policy);
  json.key("ttl_days");
  if (e.ttl_days)
    json.value(*e.ttl_days);
  else
    json.null();
  append_time(json, "ttl_expires_at", e.retention_expires_at);
  json.member("storage_element_id", file.element)
      .member("storage_path", e.data_path())
      .member("uploaded_by", e.created_by_id)
      .member("created_by_username", e.created_by_username)
      .key("tags")
      .begin_array();
  for (const std::string& tag : e.tags) json.value(tag);
  json.end_array().key("user_metadata").raw(e.metadata);
  append_time(json, "deleted_at", file.deleted_at);
  append_text(json, "deletion_reason", file.deletion_reason);
  append_text(json, "deleted_by", file.deleted_by);
  json.member("status", file.gone         ? "gone"
                        : file.deleted_at ? "deleted"
                                          : "active")
      .member("created_at", to_string(e.created_at))
      .member("updated_at", to_string(e.updated_at))
      .end_object();
}

std::optional<std::string> word(const http::Request& request, std::string_view name) {
  const auto found = request.query.find(name);
  return found && !found->empty() ? std::optional(std::string(*found)) : std::nullopt;
}

constexpr http::QueryField kDeletedField{"include_deleted", "boolean", "those, too"};
constexpr http::QueryField kShowQuery[] = {kDeletedField};
constexpr http::QueryField kListQuery[] = {{"page", "integer", "from 1"},
                                           {"page_size", "integer", "files a page, at most 1000"},
                                           kDeletedField,
                                           {"retention_policy", "string", "temporary or permanent"},
                                           {"storage_element_id", "string", "where it is"},
                                           {"uploaded_by", "string", "who uploaded it"},
                                           {"filename", "string", "its name"}};
constexpr http::QueryField kRemoveQuery[] = {
    {"deletion_reason", "string", "for the audit trail, at most 255 bytes"}};

Deleted deleted_wanted(const http::Request& request, std::vector<http::FieldProblem>& problems) {
  const auto text = request.query.find("include_deleted");
  const auto flag = text ? parse_flag(*text) : std::optional(false);
  if (!flag)
    problems.push_back({{"query", "include_deleted"}, "Input should be a boolean", "bool_parsing"});
  return flag.value_or(false) ? Deleted::include : Deleted::leave_out;
}

http::Response page_response(const Listing<RegisteredFile>& found, std::int64_t page,
                             std::int64_t size) {
  JsonWriter json;
  json.begin_object().key("files").begin_array();
  for (const RegisteredFile& file : found.items) append_file(json, file);
  json.end_array()
      .member("total", found.total)
      .member("page", page)
      .member("page_size", size)
      .member("total_pages", (found.total + size - 1) / size);
  if (found.total >= kFilesCounted) json.member("total_is_lower_bound", true);
  json.end_object();
  return http::json_response(200, std::move(json).str());
}

http::Reply list(Parts& parts, http::Request& request) {
  std::vector<http::FieldProblem> problems;
  const std::int64_t page = query_number(request, "page", 1, 1, 1'000'000'000, problems);
  const std::int64_t size = query_number(request, "page_size", 50, 1, 1000, problems);
  FileFilter filter;
  filter.deleted = deleted_wanted(request, problems);
  filter.retention_policy = word(request, "retention_policy");
  filter.element = word(request, "storage_element_id");
  filter.uploaded_by = word(request, "uploaded_by");
  filter.name = word(request, "filename");
  if (filter.retention_policy && *filter.retention_policy != "temporary" &&
      *filter.retention_policy != "permanent")
    problems.push_back(
        {{"query", "retention_policy"}, "Input should be 'temporary' or 'permanent'", "enum"});
  if (!problems.empty()) return unprocessable(std::move(problems));
  const auto found = parts.database->read(request.call, [&](Session& s) {
    return list_files(s, filter, {.skip = (page - 1) * size, .limit = size});
  });
  if (!found) return found.error();
  return page_response(*found, page, size);
}

http::Reply show(Parts& parts, http::Request& request) {
  auto id = path_file(request);
  if (auto* problem = std::get_if<http::Problem>(&id)) return std::move(*problem);
  std::vector<http::FieldProblem> problems;
  const Deleted deleted = deleted_wanted(request, problems);
  if (!problems.empty()) return unprocessable(std::move(problems));
  const auto file = find_file(parts, std::get<FileId>(id), deleted, request.call);
  if (!file) return file.error();
  if (!*file) return file_not_found(std::get<FileId>(id));
  return file_response(200, **file);
}

http::Reply remove(Parts& parts, http::Request& request, Deed& deed) {
  auto id = path_file(request);
  if (auto* problem = std::get_if<http::Problem>(&id)) return std::move(*problem);
  const FileId file = std::get<FileId>(id);
  deed.target = to_string(file);
  const std::string reason(request.query.find("deletion_reason").value_or("manual_deletion"));
  if (reason.size() > 255)
    return unprocessable("query", "deletion_reason", "String should have at most 255 characters",
                         "string_too_long");
  deed.details = reason;
  const Deletion deletion{.at = parts.now(), .reason = reason, .by = request.identity->name};
  const Timestamp due = deletion.at + std::chrono::microseconds(parts.options.cleanup_delay);
  const auto marked = parts.database->write(
      request.call, [&](Session& s) { return delete_file(s, file, deletion, due); });
  if (!marked) return marked.error();
  if (*marked == 0) return file_not_found(file);
  parts.clean_soon();
  JsonWriter json;
  json.begin_object()
      .member("file_id", to_string(file))
      .member("deleted_at", to_string(deletion.at))
      .member("deletion_reason", reason)
      .member("cleanup_scheduled_at", to_string(due))
      .member("message", "File marked as deleted")
      .end_object();
  return http::json_response(200, std::move(json).str());
}

http::Reply restore(Parts& parts, http::Request& request, Deed& deed) {
  auto id = path_file(request);
  if (auto* problem = std::get_if<http::Problem>(&id)) return std::move(*problem);
  const FileId file = std::get<FileId>(id);
  deed.target = to_string(file);
  const auto found = find_file(parts, file, Deleted::include, request.call);
  if (!found) return found.error();
  if (!*found) return file_not_found(file);
  if (!(*found)->deleted_at) return file_response(200, **found);
  const auto done =
      parts.database->write(request.call, [&](Session& s) { return restore_file(s, file); });
  if (!done && done.error().code == Errc::conflict)
    return http::Problem{.status = 409, .detail = "The removal of the file has begun"};
  if (!done) return done.error();
  return show(parts, request);
}

/// How far the registry is with each element.
http::Reply sync_status(Parts& parts, http::Request& request) {
  return http::json_response(200, parts.fleet ? parts.fleet->status_json(request.call)
                                              : R"({"elements":[],"in_step":false})");
}

/// What is left in the registry of an element that is gone for good.
http::Reply forget_element(Parts& parts, http::Request& request, Deed& deed) {
  const std::string element(request.values.find("element").value_or(""));
  deed.target = element;
  if (!parts.fleet) return not_found("Storage element " + element);
  const auto removed = parts.fleet->forget(element, request.call);
  if (!removed) return removed.error();
  return http::json_response(200, replica::forgotten_json(element, *removed));
}

}  // namespace

std::variant<FileId, http::Problem> path_file(const http::Request& request) {
  const auto id = FileId::parse(request.values.find("id").value_or(""));
  if (id) return *id;
  return unprocessable("path", "file_id", "Input should be a valid UUID", "uuid_parsing");
}

http::Problem file_not_found(const FileId& id) { return not_found("File " + to_string(id)); }

Result<std::optional<RegisteredFile>> find_file(const Parts& parts, const FileId& id,
                                                Deleted deleted, const Call& call) {
  ARTCACHE_TRY(auto copies,
               parts.database->read(call, [&](Session& s) { return find_copies(s, id); }));
  for (RegisteredFile& copy : copies)
    if (deleted == Deleted::include || !copy.deleted_at) return std::optional(std::move(copy));
  return std::optional<RegisteredFile>();
}

http::Response file_response(int status, const RegisteredFile& file) {
  JsonWriter json;
  append_file(json, file);
  return http::json_response(status, std::move(json).str());
}

// As edit_file() reads them.
constexpr http::BodyField kEditBody[] = {
    {"description", "string"},  {"version", "string"},           {"tags", "strings"},
    {"metadata", "object"},     {"user_metadata", "object"},     {"retention_policy", "string"},
    {"ttl_days", "integer"},    {"ttl_expires_at", "date-time"}, {"storage_element_id", "string"},
    {"storage_path", "string"}, {"finalized_at", "date-time"}};

Result<void> add_file_routes(http::Site& site, Parts& parts) {
  const std::string all = "/api/v1/files", one = all + "/{id}";
  const auto look = [&](const std::string& pattern, const char* summary,
                        http::Reply (*what)(Parts&, http::Request&),
                        std::span<const http::QueryField> query = {}) {
    return site.add(
        parts.gate->protect({.pattern = pattern,
                             .handler = [&parts, what](http::Request& r) { return what(parts, r); },
                             .summary = summary,
                             .query = query},
                            {}));
  };
  const auto act = [&](Method method, const std::string& pattern, const char* action,
                       const char* summary, const auth::Rule& rule,
                       http::Reply (*what)(Parts&, http::Request&, Deed&),
                       std::span<const http::QueryField> query = {}) {
    return site.add(parts.gate->protect(
        {.method = method,
         .pattern = pattern,
         .handler =
             audited(parts, action,
                     [&parts, what](http::Request& r, Deed& d) { return what(parts, r, d); }),
         .summary = summary,
         .query = query,
         .body = what == edit_file ? http::BodyShape{http::BodyShape::Media::json, kEditBody}
                                   : http::BodyShape{}},
        rule));
  };
  const auth::Rule writers = auth::writers();
  const auth::Rule admins{.roles = {"admin", "super_admin"}};
  ARTCACHE_CHECK(look(all, "Files of all storage elements, the newest first", list, kListQuery));
  ARTCACHE_CHECK(look(one, "What is known of a file", show, kShowQuery));
  ARTCACHE_CHECK(
      look(all + "/sync-status", "How far the registry is with each element", sync_status));
  ARTCACHE_CHECK(act(Method::del, all + "/sync-status/{element}", "storage_element.forget",
                     "Removes what is kept of an element that nobody names any more", admins,
                     forget_element));
  const char* const changes = "Changes description, version, metadata, tags, retention";
  ARTCACHE_CHECK(act(Method::patch, one, "file.update", changes, writers, edit_file));
  ARTCACHE_CHECK(act(Method::put, one, "file.update", changes, writers, edit_file));
  ARTCACHE_CHECK(act(Method::del, one, "file.delete",
                     "Marks a file as deleted; it is removed from its element later", admins,
                     remove, kRemoveQuery));
  return act(Method::post, one + "/restore", "file.restore",
             "Takes the mark off again, while the file is not being removed yet", admins, restore);
}

}  // namespace artcache::admin
