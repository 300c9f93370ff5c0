// SPDX-License-Identifier: Apache-2.0
// Edits of files: the element has the truth, the registry learns of them from its log.
#include <utility>

#include "roles/admin/files.hpp"

namespace artcache::admin {
namespace {

constexpr std::chrono::milliseconds kLookAgain{20};
constexpr std::int64_t kTtlDaysMost = 365;

void append_clearable(JsonWriter& json, JsonObject& body, std::string_view name) {
  if (!body.has(name)) return;
  append_text(json, name, body.text(name));
}

/// PUT of the original named these too; they are what the element says, and no wish.
void refuse_what_is_told(JsonObject& body, const RegisteredFile& file) {
  const std::string why = "Is what the storage element says; finalize moves a file";
  const auto element = body.text("storage_element_id"), path = body.text("storage_path");
  if (element && *element != file.element) body.refuse("storage_element_id", why, "read_only");
  if (path && *path != file.entry.data_path()) body.refuse("storage_path", why, "read_only");
  if (body.text("finalized_at")) body.refuse("finalized_at", why, "read_only");
}

/// The 400 of a retention that cannot be.
std::optional<http::Problem> append_retention(JsonWriter& json, JsonObject& body,
                                              const FileEntry& entry) {
  const auto wanted = body.text("retention_policy");
  const auto days = body.number("ttl_days");
  const auto expires_text = body.text("ttl_expires_at");
  if (!wanted && !days && !expires_text) return std::nullopt;
  const std::string policy = wanted.value_or(entry.retention_policy.value_or(""));
  if (policy != "temporary" && policy != "permanent") {
    body.refuse("retention_policy", "Input should be 'temporary' or 'permanent'", "enum");
    return std::nullopt;
  }
  const auto expires = expires_text ? Timestamp::parse(*expires_text) : Timestamp();
  if (!expires)
    body.refuse("ttl_expires_at", "Input should be a valid datetime", "datetime_parsing");
  if (policy == "permanent") {
    if (days || expires_text)
      return http::Problem{.status = 400, .detail = "A permanent file has no TTL"};
    json.member("retention_policy", policy).key("ttl_days").null();
    json.key("retention_expires_at").null();
    return std::nullopt;
  }
  if (entry.retention_policy == "permanent")
    return http::Problem{.status = 400, .detail = "A permanent file cannot become temporary"};
  const std::int64_t ttl = days.value_or(entry.ttl_days.value_or(0));
  if (ttl < 1 || ttl > kTtlDaysMost) {
    body.refuse("ttl_days", "Input should be from 1 to 365", "int_range");
    return std::nullopt;
  }
  const Timestamp end =
      expires_text && expires ? *expires : entry.created_at + std::chrono::hours(24 * ttl);
  json.member("retention_policy", policy)
      .member("ttl_days", ttl)
      .member("retention_expires_at", to_string(end));
  return std::nullopt;
}

/// The body of PATCH at the element, or what is wrong with the one that came.
std::variant<std::string, http::Problem> element_body(JsonObject& body,
                                                      const RegisteredFile& file) {
  JsonWriter json;
  json.begin_object();
  append_clearable(json, body, "description");
  append_clearable(json, body, "version");
  if (const auto tags = body.texts("tags")) {
    json.key("tags").begin_array();
    for (const std::string& tag : *tags) json.value(tag);
    json.end_array();
  }
  const char* const metadata = body.has("user_metadata") ? "user_metadata" : "metadata";
  if (const auto object = body.object(metadata)) json.key("metadata").raw(*object);
  refuse_what_is_told(body, file);
  if (auto problem = append_retention(json, body, file.entry)) return std::move(*problem);
  json.end_object();
  if (!body.problems().empty()) return unprocessable(body.problems());
  return std::move(json).str();
}

/// The copy on this element as of `changed` or later.
Result<std::optional<RegisteredFile>> wait_for_log(const Parts& parts, const RegisteredFile& file,
                                                   Timestamp changed, const Call& call) {
  const auto end = parts.deps.clock->steady() + parts.options.edit_wait;
  util::Mutex mutex;
  util::CondVar never;
  for (;;) {
    ARTCACHE_TRY(auto copies, parts.database->read(
                                  call, [&](Session& s) { return find_copies(s, file.entry.id); }));
    for (RegisteredFile& copy : copies)
      if (copy.element == file.element && copy.entry.updated_at >= changed)
        return std::optional(std::move(copy));
    if (parts.deps.clock->steady() >= end) return std::optional<RegisteredFile>();
    ARTCACHE_CHECK(call.check("wait for the log", *parts.deps.clock));
    const util::MutexLock lock(mutex);
    never.wait_for(mutex, kLookAgain);
  }
}

/// What the element did not like is for the client to know; what is wrong with it is not theirs.
http::Reply pass_on(const FileId& id, const RegisteredFile& file, web::HttpReply reply) {
  const int status = reply.head.status;
  if (status == 404) return file_not_found(id);
  if (status == 400 || status == 409 || status == 413 || status == 422)
    return http::json_response(status, std::move(reply.body));
  return http::Problem{.status = 503,
                       .detail = "Storage element " + file.element + " cannot change the file now",
                       .headers = {{"Retry-After", "5"}},
                       .cause = "it answers " + std::to_string(status)};
}

http::Reply change_at_element(Parts& parts, const RegisteredFile& file, std::string json,
                              const Call& call) {
  const auto element =
      parts.database->read(call, [&](Session& s) { return find_element_id(s, file.element); });
  if (!element) return element.error();
  auto reply = *element ? parts.element_files->change((*element)->api_url, to_string(file.entry.id),
                                                      std::move(json), call)
                        : Error{Errc::unavailable, "nobody knows where this element is"};
  if (!reply)
    return http::Problem{.status = 503,
                         .detail = "Storage element " + file.element + " does not answer",
                         .headers = {{"Retry-After", "5"}},
                         .cause = reply.error().message};
  if (reply->head.status != 200) return pass_on(file.entry.id, file, std::move(*reply));
  JsonObject said(std::move(reply->body));
  const auto changed = Timestamp::parse(said.text("updated_at").value_or(""));
  if (!changed) return file_response(202, file);
  const auto seen = wait_for_log(parts, file, *changed, call);
  if (!seen) return seen.error();
  return *seen ? file_response(200, **seen) : file_response(202, file);
}

}  // namespace

http::Reply edit_file(Parts& parts, http::Request& request, Deed& deed) {
  auto id = path_file(request);
  if (auto* problem = std::get_if<http::Problem>(&id)) return std::move(*problem);
  deed.target = to_string(std::get<FileId>(id));
  auto text = http::read_all(*request.body, 1024 * 1024);
  if (!text) return text.error();
  const auto file = find_file(parts, std::get<FileId>(id), Deleted::leave_out, request.call);
  if (!file) return file.error();
  if (!*file) return file_not_found(std::get<FileId>(id));
  JsonObject body(std::move(*text));
  auto json = element_body(body, **file);
  if (auto* problem = std::get_if<http::Problem>(&json)) return std::move(*problem);
  deed.details = (*file)->element;
  return change_at_element(parts, **file, std::get<std::string>(std::move(json)), request.call);
}

}  // namespace artcache::admin
