// SPDX-License-Identifier: Apache-2.0
// /api/v1/storage-elements for people, /api/v1/internal/storage-elements for machines.
#include <charconv>
#include <utility>

#include "http/query_fields.hpp"
#include "roles/admin/registry.hpp"

namespace artcache::admin {
namespace {

using Elements = std::vector<StorageElement>;

Result<Elements> all_elements(const Parts& parts, const Call& call) {
  return parts.database->read(call, [](Session& s) { return list_elements(s); });
}

http::Response element_response(const Parts& parts, int status, const StorageElement& element) {
  JsonWriter json;
  append_public(json, parts, element);
  return http::json_response(status, std::move(json).str());
}

http::Reply answer(const Parts& parts, const Result<StorageElement>& result, int status = 200) {
  if (result) return element_response(parts, status, *result);
  const Error& error = result.error();
  if (error.code == Errc::not_found) return not_found("Storage element");
  if (error.code == Errc::conflict)
    return http::Problem{.status = 409, .detail = "Storage element exists already"};
  return error;
}

/// What is wrong with an element elsewhere is no fault of ours, nor of the request.
http::Problem unreachable(const Error& error) {
  return {.status = 502, .detail = "The storage element does not answer: " + error.message};
}

bool fits(const Parts& parts, const StorageElement& element, std::string_view mode,
          std::int64_t free_least) {
  return status_now(parts, element) == "online" && (mode.empty() || element.mode == mode) &&
         element.capacity_bytes - element.used_bytes >= free_least;
}

constexpr http::QueryField kAvailableQuery[] = {
    {"mode", "string", "edit, rw, ro or ar"},
    {"min_free_bytes", "integer", "that are free at least"}};

http::Reply available(const Parts& parts, http::Request& request) {
  std::vector<http::FieldProblem> problems;
  const std::int64_t least = query_number(request, "min_free_bytes", 0, 0, INT64_MAX, problems);
  const std::string mode(request.query.find("mode").value_or(""));
  if (!mode.empty() && mode != "edit" && mode != "rw" && mode != "ro" && mode != "ar")
    problems.push_back({{"query", "mode"}, "Input should be 'edit', 'rw', 'ro' or 'ar'", "enum"});
  if (!problems.empty()) return unprocessable(std::move(problems));
  const auto elements = all_elements(parts, request.call);
  if (!elements) return elements.error();
  // Nobody asks for one that takes nothing in order to put something there.
  const bool takes_nothing = mode == "ro" || mode == "ar";
  JsonWriter json;
  json.begin_object().key("storage_elements").begin_array();
  std::int64_t total = 0;
  for (const StorageElement& element : *elements) {
    if (takes_nothing || !fits(parts, element, mode, least)) continue;
    append_internal(json, parts, element);
    ++total;
  }
  json.end_array().member("total", total).end_object();
  return http::json_response(200, std::move(json).str());
}

http::Reply internal_one(const Parts& parts, http::Request& request) {
  const std::string id(request.values.find("element_id").value_or(""));
  const auto found =
      parts.database->read(request.call, [&](Session& s) { return find_element_id(s, id); });
  if (!found) return found.error();
  if (!*found) return not_found("Storage element");
  JsonWriter json;
  append_internal(json, parts, **found);
  return http::json_response(200, std::move(json).str());
}

// Beside it, the members of its /api/v1/info.
constexpr http::BodyField kRegisterBody[] = {{"api_url", "string", http::BodyField::Need::needed}};

void tell_of(const Parts& parts, LogLevel level, std::string_view message,
             const http::Request& request, const Deed& deed) {
  const LogField fields[]{{"element", std::string_view(deed.target)},
                          {"account", std::string_view(request.identity->name)},
                          {"details", std::string_view(deed.details)}};
  parts.deps.logger->log({.level = level,
                          .logger = "admin",
                          .message = message,
                          .fields = fields,
                          .request_id = request.call.request_id});
}

/// What an element tells of itself: the members of /api/v1/info, and where it is reached.
http::Reply register_itself(Parts& parts, http::Request& request, Deed& deed) {
  const auto body = http::read_all(*request.body, 64 * 1024);
  if (!body) return body.error();
  const auto object = JsonMembers::parse(*body);
  const util::JsonValue* address = object ? object->find("api_url") : nullptr;
  if (address == nullptr || address->kind != util::JsonKind::string)
    return unprocessable({{{"body", "api_url"}, "Field required", "missing"}});
  const auto url = tidy_url(decoded(*address));
  if (!url) return unprocessable({{{"body", "api_url"}, url.error().message, "url_parsing"}});
  auto said = parse_info(*body, *url);
  if (!said) return unprocessable({{{"body"}, said.error().message, "value_error"}});
  deed.target = said->element_id.value_or("");
  deed.details = "at " + *url;
  const auto registered = register_element(parts, *said, *request.identity, request.call);
  if (!registered) return answer(parts, registered.error());
  if (!registered->element) {
    tell_of(parts, LogLevel::warning, "An account spoke for a storage element of another", request,
            deed);
    return http::Problem{.status = 403, .detail = "Another account speaks for this element"};
  }
  deed.details = registered->news;
  deed.of_note = !registered->news.empty();  // not what it says every half minute
  if (deed.of_note) tell_of(parts, LogLevel::info, "A storage element was entered", request, deed);
  // The tender would come to it in a few seconds; what it is told of errors is enough.
  static_cast<void>(follow_elements(parts, request.call));
  return answer(parts, *registered->element);
}

http::Reply list(const Parts& parts, http::Request& request) {
  Page page;
  if (auto problem = read_page(request, page)) return std::move(*problem);
  const auto elements = all_elements(parts, request.call);
  if (!elements) return elements.error();
  JsonWriter json;
  json.begin_object().member("total", elements->size()).key("items").begin_array();
  std::int64_t at = 0;
  for (const StorageElement& element : *elements) {
    const std::int64_t shown = at++ - page.skip;
    if (shown >= 0 && shown < page.limit) append_public(json, parts, element);
  }
  json.end_array().member("skip", page.skip).member("limit", page.limit).end_object();
  return http::json_response(200, std::move(json).str());
}

http::Reply summary(const Parts& parts, http::Request& request) {
  const auto elements = all_elements(parts, request.call);
  if (!elements) return elements.error();
  std::int64_t online = 0, capacity = 0, used = 0, files = 0;
  for (const StorageElement& element : *elements) {
    online += status_now(parts, element) == "online" ? 1 : 0;
    capacity += element.capacity_bytes;
    used += element.used_bytes;
    files += element.file_count;
  }
  const double share =
      capacity > 0 ? 100.0 * static_cast<double>(used) / static_cast<double>(capacity) : 0.0;
  JsonWriter json;
  json.begin_object()
      .member("total", elements->size())
      .member("online", online)
      .member("offline", static_cast<std::int64_t>(elements->size()) - online)
      .member("total_capacity_bytes", capacity)
      .member("total_used_bytes", used)
      .member("total_files", files)
      .member("usage_percent", share)
      .end_object();
  return http::json_response(200, std::move(json).str());
}

constexpr http::BodyField kDiscoverBody[] = {{"api_url", "string", http::BodyField::Need::needed},
                                             {"name", "string"}};

/// The address in the body, asked what it is.
std::optional<http::Problem> discover_at(const Parts& parts, http::Request& request,
                                         StorageElement& said) {
  auto body = BodyFields::read(request);
  if (!body) return http::to_problem(body.error());
  const auto url = tidy_url(body->needed_text("api_url", 512));
  const auto name = body->text("name", 100);
  if (body->has("api_url") && !url) body->refuse("api_url", url.error().message, "url_parsing");
  if (auto problem = body->problem()) return problem;
  auto found = ask(parts, *url, request.call);
  if (!found) return unreachable(found.error());
  said = std::move(*found);
  if (name && !name->empty()) said.name = *name;
  return std::nullopt;
}

http::Reply discover(const Parts& parts, http::Request& request) {
  StorageElement said;
  if (auto problem = discover_at(parts, request, said)) return std::move(*problem);
  return element_response(parts, 200, said);
}

http::Reply create(Parts& parts, http::Request& request, Deed& deed) {
  StorageElement said;
  if (auto problem = discover_at(parts, request, said)) return std::move(*problem);
  deed.target = said.element_id.value_or("");
  said.created_at = said.updated_at = parts.now();
  said.last_health_check = parts.now();
  return answer(
      parts, parts.database->write(request.call, [&](Session& s) { return add_element(s, said); }),
      201);
}

/// The id in the path; -1 for what is none, which no element has.
std::int64_t id_of(const http::Request& request) {
  const std::string_view text = request.values.find("id").value_or("");
  std::int64_t out = -1;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() ? out : -1;
}

Result<StorageElement> needed(Session& session, std::int64_t id, Intent intent = Intent::change) {
  ARTCACHE_TRY(auto found, find_element(session, id, intent));
  if (!found) return Error{Errc::not_found, "Storage element not found"};
  return std::move(*found);
}

http::Reply show(const Parts& parts, http::Request& request) {
  return answer(parts, parts.database->read(request.call, [&](Session& s) {
    return needed(s, id_of(request), Intent::look);
  }));
}

constexpr http::BodyField kChangeBody[] = {{"name", "string"},
                                           {"api_url", "string"},
                                           {"retention_days", "integer"},
                                           {"client_id", "string"}};

http::Reply change(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = std::to_string(id_of(request));
  auto body = BodyFields::read(request);
  if (!body) return body.error();
  const auto name = body->text("name", 100);
  const auto address = body->text("api_url", 512);
  const auto days = body->number("retention_days", 1, 36'500);
  const auto account = body->text("client_id", 100);
  const auto url = address ? tidy_url(*address) : Result<std::string>(std::string());
  if (!url) body->refuse("api_url", url.error().message, "url_parsing");
  if (auto problem = body->problem()) return std::move(*problem);
  return answer(parts,
                parts.database->write(request.call, [&](Session& s) -> Result<StorageElement> {
                  ARTCACHE_TRY(StorageElement element, needed(s, id_of(request)));
                  if (name && !name->empty()) element.name = *name;
                  if (address) element.api_url = *url;
                  if (days) element.retention_days = days;
                  if (account) element.client_id = account->empty() ? std::nullopt : account;
                  element.updated_at = parts.now();
                  ARTCACHE_CHECK(store_element(s, element));
                  return element;
                }));
}

http::Reply remove(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = std::to_string(id_of(request));
  const auto removed =
      parts.database->write(request.call, [&](Session& s) -> Result<StorageElement> {
        ARTCACHE_TRY(StorageElement element, needed(s, id_of(request)));
        if (element.file_count == 0) ARTCACHE_CHECK(remove_element(s, element.id));
        return element;
      });
  if (!removed) return answer(parts, removed);
  if (removed->file_count > 0)
    return http::Problem{.status = 409, .detail = "Storage element has files"};
  return http::Response{.status = 204};
}

http::Reply sync_one(Parts& parts, http::Request& request, Deed& deed) {
  deed.target = std::to_string(id_of(request));
  return answer(parts, sync_element(parts, id_of(request), request.call));
}

http::Reply sync_all(Parts& parts, http::Request& request, Deed&) {
  const auto elements = all_elements(parts, request.call);
  if (!elements) return elements.error();
  std::int64_t synced = 0;
  for (const StorageElement& element : *elements) {
    const auto now = sync_element(parts, element.id, request.call);
    if (!now && now.error().code != Errc::not_found) return now.error();
    if (now && now->status != "offline") ++synced;
  }
  const auto total = static_cast<std::int64_t>(elements->size());
  JsonWriter json;
  json.begin_object()
      .member("total", total)
      .member("synced", synced)
      .member("failed", total - synced)
      .end_object();
  return http::json_response(200, std::move(json).str());
}

Result<void> add_internal_routes(http::Site& site, Parts& parts) {
  const std::string base = "/api/v1/internal/storage-elements";
  ARTCACHE_CHECK(site.add(
      parts.gate->protect({.pattern = base + "/available",
                           .handler = [&parts](http::Request& r) { return available(parts, r); },
                           .summary = "The storage elements that are online",
                           .query = kAvailableQuery},
                          {})));
  ARTCACHE_CHECK(site.add(parts.gate->protect(
      {.method = http::Method::post,
       .pattern = base + "/register",
       .handler = audited(
           parts, "storage_element.register",
           [&parts](http::Request& r, Deed& deed) { return register_itself(parts, r, deed); }),
       .body_most = 64 * 1024,
       .summary = "An element says that it is there, and how it is",
       .body = {http::BodyShape::Media::json, kRegisterBody}},
      {.callers = auth::Callers::service_accounts, .roles = {"admin", "operator"}})));
  return site.add(
      parts.gate->protect({.pattern = base + "/{element_id}",
                           .handler = [&parts](http::Request& r) { return internal_one(parts, r); },
                           .summary = "One storage element"},
                          {}));
}

}  // namespace

Result<void> add_element_routes(http::Site& site, Parts& parts) {
  ARTCACHE_CHECK(add_internal_routes(site, parts));
  const std::string all = "/api/v1/storage-elements";
  const std::string one = all + "/{id}";
  using Media = http::BodyShape::Media;
  const auto shape = [](std::span<const http::BodyField> body) {
    return http::BodyShape{body.empty() ? Media::none : Media::json_or_form, body};
  };
  using Look = http::Reply (*)(const Parts&, http::Request&);
  // Seed 001 reads with the token of a service account.
  const auto look = [&](http::Method method, const std::string& pattern, const char* summary,
                        Look what, std::span<const http::QueryField> query = {},
                        std::span<const http::BodyField> body = {}) {
    return site.add(
        parts.gate->protect({.method = method,
                             .pattern = pattern,
                             .handler = [&parts, what](http::Request& r) { return what(parts, r); },
                             .body_most = 64 * 1024,
                             .summary = summary,
                             .query = query,
                             .body = shape(body)},
                            method == http::Method::get ? auth::Rule{} : people_who_change()));
  };
  using Act = http::Reply (*)(Parts&, http::Request&, Deed&);
  const auto act = [&](http::Method method, const std::string& pattern, const char* action,
                       const char* summary, Act what, std::span<const http::BodyField> body = {}) {
    return site.add(parts.gate->protect(
        {.method = method,
         .pattern = pattern,
         .handler =
             audited(parts, action,
                     [&parts, what](http::Request& r, Deed& d) { return what(parts, r, d); }),
         .body_most = 64 * 1024,
         .summary = summary,
         .body = shape(body)},
        people_who_change()));
  };
  using http::Method;
  ARTCACHE_CHECK(look(Method::get, all, "All storage elements", list, http::kPageFields));
  ARTCACHE_CHECK(look(Method::get, all + "/stats/summary", "All of them together", summary));
  ARTCACHE_CHECK(look(Method::get, one, "One storage element", show));
  ARTCACHE_CHECK(
      look(Method::post, all + "/discover", "What is at an address", discover, {}, kDiscoverBody));
  ARTCACHE_CHECK(act(Method::post, all, "storage_element.create",
                     "Adds the storage element at an address", create, kDiscoverBody));
  ARTCACHE_CHECK(act(Method::post, all + "/sync/{id}", "storage_element.sync",
                     "Asks one storage element how it is, and notes it", sync_one));
  ARTCACHE_CHECK(act(Method::post, all + "/sync-all", "storage_element.sync_all",
                     "Asks every storage element how it is, and notes it", sync_all));
  ARTCACHE_CHECK(act(Method::put, one, "storage_element.update",
                     "Changes what is noted of a storage element", change, kChangeBody));
  return act(Method::del, one, "storage_element.delete", "Forgets a storage element", remove);
}

}  // namespace artcache::admin
