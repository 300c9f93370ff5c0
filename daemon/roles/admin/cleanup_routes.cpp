// SPDX-License-Identifier: Apache-2.0
// /api/v1/files/cleanup-queue: which deleted files are still on their elements, and why.
#include <charconv>
#include <utility>

#include "http/query_fields.hpp"
#include "roles/admin/parts.hpp"

namespace artcache::admin {
namespace {

std::string_view state_of(const Cleanup& cleanup) {
  if (cleanup.processed_at) return "processed";
  return cleanup.retries > 0 ? "retrying" : "scheduled";
}

void append_cleanup(JsonWriter& json, const Cleanup& cleanup) {
  json.begin_object()
      .member("id", cleanup.id)
      .member("file_id", cleanup.file_id)
      .member("storage_element_id", cleanup.element)
      .member("storage_path", cleanup.path)
      .member("cleanup_reason", cleanup.reason)
      .member("priority", cleanup.priority)
      .member("state", state_of(cleanup))
      .member("scheduled_at", to_string(cleanup.scheduled_at))
      .member("next_attempt_at", to_string(cleanup.next_attempt_at));
  append_time(json, "attempted_at", cleanup.attempted_at);
  append_time(json, "processed_at", cleanup.processed_at);
  json.member("success", cleanup.processed_at.has_value());
  append_text(json, "error_message", cleanup.error);
  json.member("retry_count", cleanup.retries).end_object();
}

constexpr std::array kListFields{http::QueryField{"state", "string", "pending or processed"},
                                 http::QueryField{"file_id", "string", "of this file"}};
constexpr auto kListQuery = http::joined(http::kPageFields, kListFields);

http::Reply list(Parts& parts, http::Request& request) {
  Page page;
  if (auto problem = read_page(request, page)) return std::move(*problem);
  CleanupState state = CleanupState::any;
  const std::string_view wanted = request.query.find("state").value_or("");
  if (wanted == "pending")
    state = CleanupState::pending;
  else if (wanted == "processed")
    state = CleanupState::processed;
  else if (!wanted.empty())
    return unprocessable("query", "state", "Input should be 'pending' or 'processed'", "enum");
  std::optional<std::string> file;
  if (const auto id = request.query.find("file_id")) file = std::string(*id);
  const auto found = parts.database->read(
      request.call, [&](Session& s) { return list_cleanups(s, state, file, page); });
  if (!found) return found.error();
  JsonWriter json;
  json.begin_object().member("total", found->total).key("items").begin_array();
  for (const Cleanup& cleanup : found->items) append_cleanup(json, cleanup);
  json.end_array().member("skip", page.skip).member("limit", page.limit).end_object();
  return http::json_response(200, std::move(json).str());
}

http::Reply retry(Parts& parts, http::Request& request, Deed& deed) {
  const std::string_view text = request.values.find("id").value_or("");
  std::int64_t id = -1;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), id);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) id = -1;
  deed.target = std::string(text);
  const auto found = parts.database->write(
      request.call, [&](Session& s) { return hurry_cleanup(s, id, parts.now()); });
  if (!found) return found.error();
  if (!*found) return not_found("Cleanup");
  parts.clean_soon();
  JsonWriter json;
  append_cleanup(json, **found);
  return http::json_response(200, std::move(json).str());
}

}  // namespace

Result<void> add_cleanup_routes(http::Site& site, Parts& parts) {
  const std::string all = "/api/v1/files/cleanup-queue";
  ARTCACHE_CHECK(site.add(parts.gate->protect(
      {.pattern = all,
       .handler = [&parts](http::Request& r) { return list(parts, r); },
       .summary = "Deleted files that are to be removed from their elements, and those that were",
       .query = kListQuery},
      {.roles = {"admin", "super_admin", "operator", "auditor"}})));
  return site.add(parts.gate->protect(
      {.method = http::Method::post,
       .pattern = all + "/{id}/retry",
       .handler = audited(parts, "file.cleanup_retry",
                          [&parts](http::Request& r, Deed& d) { return retry(parts, r, d); }),
       .summary = "Tries one of them now"},
      {.roles = {"admin", "super_admin"}}));
}

}  // namespace artcache::admin
