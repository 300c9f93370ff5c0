// SPDX-License-Identifier: Apache-2.0
#include "roles/admin/registry.hpp"

#include <algorithm>
#include <array>
#include <artcache/url.hpp>
#include <charconv>
#include <utility>

namespace artcache::admin {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

Error incomplete(std::string_view name) {
  return {Errc::corrupt, "element: its info has no good '" + std::string(name) + "'"};
}

Result<std::string> text_in(const JsonMembers& info, std::string_view name) {
  const util::JsonValue* value = info.find(name);
  if (value == nullptr || value->kind != util::JsonKind::string) return incomplete(name);
  std::string out = decoded(*value);
  if (out.size() > 1000 || out.find('\0') != std::string::npos) return incomplete(name);
  return out;
}

Result<std::int64_t> number_in(const JsonMembers& info, std::string_view name) {
  const util::JsonValue* value = info.find(name);
  std::int64_t out = 0;
  if (value == nullptr || value->kind != util::JsonKind::number) return incomplete(name);
  const std::string_view text = value->text;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || out < 0)
    return incomplete(name);
  return out;
}

Result<std::optional<StorageElement>> find_known(Session& session, const StorageElement& said) {
  if (said.element_id) {
    ARTCACHE_TRY(auto known, find_element_id(session, *said.element_id, Intent::change));
    if (known) return known;
  }
  ARTCACHE_TRY(auto there, find_element_url(session, said.api_url, Intent::change));
  // Another element at the address of one that is known: the address is not free.
  if (there && there->element_id && said.element_id && *there->element_id != *said.element_id)
    return Error{Errc::conflict, "element: '" + *there->element_id + "' has this address"};
  return there;
}

/// Elements that were given no name of their own all call themselves the same.
Result<void> make_name_unique(Session& session, StorageElement& said) {
  ARTCACHE_TRY(const auto elements, list_elements(session));
  const bool taken = std::any_of(elements.begin(), elements.end(),
                                 [&](const StorageElement& one) { return one.name == said.name; });
  if (taken) said.name += " " + said.element_id.value_or(said.api_url);
  return {};
}

/// Whether this account may say how an element is, and that it is at `address`. Requests go there
/// with tokens: one that no account is bound to stays where people put it, unless an account asks
/// that opens every door anyway.
bool speaks_for(const http::Identity& caller, const StorageElement& known,
                const std::string& address) {
  if (known.client_id) return *known.client_id == caller.client_id;
  return caller.role == "admin" || known.api_url == address;
}

/// What decides where tokens and files go, and who may say so.
std::string news_of(const StorageElement& before, const StorageElement& now) {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : "; ") + text; };
  if (before.element_id != now.element_id) add("named at " + now.api_url);
  if (before.api_url != now.api_url) add("moved from " + before.api_url + " to " + now.api_url);
  if (before.client_id != now.client_id) add("bound to " + now.client_id.value_or("nobody"));
  return out;
}

}  // namespace

Result<std::string> tidy_url(std::string_view text) {
  while (text.ends_with('/')) text.remove_suffix(1);
  ARTCACHE_TRY(const Url url, Url::parse(text));
  const bool web = url.scheme() == "http" || url.scheme() == "https";
  if (!web || url.hosts().size() != 1 || !url.user().empty() || !url.parameters().empty())
    return Error{Errc::invalid_argument, "url: an element has an address like http://host:8010"};
  return std::string(text);
}

Result<StorageElement> parse_info(std::string_view json, std::string_view api_url) {
  auto info = JsonMembers::parse(json);
  if (!info) return Error{Errc::corrupt, "element: its info is no JSON object"};
  StorageElement out;
  out.api_url = api_url;
  ARTCACHE_TRY(const std::string name, text_in(*info, "name"));
  ARTCACHE_TRY(const std::string display, text_in(*info, "display_name"));
  ARTCACHE_CHECK(text_in(*info, "version"));
  ARTCACHE_TRY(out.mode, text_in(*info, "mode"));
  ARTCACHE_TRY(out.storage_type, text_in(*info, "storage_type"));
  ARTCACHE_TRY(out.base_path, text_in(*info, "base_path"));
  ARTCACHE_TRY(out.capacity_bytes, number_in(*info, "capacity_bytes"));
  ARTCACHE_TRY(out.used_bytes, number_in(*info, "used_bytes"));
  ARTCACHE_TRY(out.file_count, number_in(*info, "file_count"));
  ARTCACHE_TRY(const std::string status, text_in(*info, "status"));
  ARTCACHE_TRY(out.priority, number_in(*info, "priority"));
  ARTCACHE_TRY(out.element_id, text_in(*info, "element_id"));
  out.name = display.empty() ? name : display;
  out.status = status == "operational" ? "online" : status;
  return out;
}

void take_over(StorageElement& known, const StorageElement& said, Timestamp now) {
  known.element_id = said.element_id;
  known.mode = said.mode;
  known.storage_type = said.storage_type;
  known.status = said.status;
  known.priority = said.priority;
  known.base_path = said.base_path;
  known.api_url = said.api_url;
  known.capacity_bytes = said.capacity_bytes;
  known.used_bytes = said.used_bytes;
  known.file_count = said.file_count;
  known.last_health_check = known.updated_at = now;
}

Result<StorageElement> ask(const Parts& parts, const std::string& api_url, const Call& call) {
  if (!parts.fetch) return Error{Errc::unsupported, "element: this build asks no other servers"};
  const Call brief = call.within(std::chrono::seconds(10), *parts.deps.clock);
  ARTCACHE_TRY(const std::string json, parts.fetch(api_url + "/api/v1/info", brief));
  return parse_info(json, api_url);
}

Result<Registered> register_element(Parts& parts, StorageElement said, const http::Identity& caller,
                                    const Call& call) {
  const Timestamp now = parts.now();
  return parts.database->write(call, [&](Session& s) -> Result<Registered> {
    ARTCACHE_TRY(auto known, find_known(s, said));
    if (known) {
      if (!speaks_for(caller, *known, said.api_url)) return Registered();
      const StorageElement before = *known;
      if (!known->client_id && caller.role == "admin") known->client_id = caller.client_id;
      take_over(*known, said, now);
      ARTCACHE_CHECK(store_element(s, *known));
      return Registered{.element = known, .news = news_of(before, *known)};
    }
    said.created_at = said.updated_at = now;
    said.last_health_check = now;
    said.client_id = caller.client_id;
    ARTCACHE_CHECK(make_name_unique(s, said));
    ARTCACHE_TRY(known, add_element(s, said));
    return Registered{.element = known, .news = "new, at " + said.api_url};
  });
}

Result<StorageElement> sync_element(Parts& parts, std::int64_t id, const Call& call) {
  ARTCACHE_TRY(const auto known,
               parts.database->read(call, [&](Session& s) { return find_element(s, id); }));
  if (!known) return Error{Errc::not_found, "Storage element not found"};
  const auto said = ask(parts, known->api_url, call);
  return parts.database->write(call, [&](Session& s) -> Result<StorageElement> {
    ARTCACHE_TRY(auto element, find_element(s, id, Intent::change));
    if (!element) return Error{Errc::not_found, "Storage element not found"};
    // Whoever answers at its address under another name is not this element.
    const bool itself = said && (!element->element_id || element->element_id == said->element_id);
    if (itself)
      take_over(*element, *said, parts.now());
    else
      element->status = "offline";
    ARTCACHE_CHECK(store_element(s, *element));
    return std::move(*element);
  });
}

Result<void> sync_stale_elements(Parts& parts, const Call& call) {
  if (!parts.fetch) return {};  // then only their own word counts
  ARTCACHE_TRY(const auto elements,
               parts.database->read(call, [](Session& s) { return list_elements(s); }));
  const auto age = parts.options.element_lifetime / 2;
  for (const StorageElement& element : elements) {
    const auto heard = element.last_health_check.value_or(Timestamp::min());
    if (parts.now() - heard < age) continue;
    ARTCACHE_CHECK(call.check("sync of elements", *parts.deps.clock));
    const auto synced = sync_element(parts, element.id, call);
    if (!synced && synced.error().code != Errc::not_found) return synced.error();
  }
  return {};
}

Result<void> follow_elements(Parts& parts, const Call& call) {
  if (!parts.fleet) return {};
  ARTCACHE_TRY(const auto elements,
               parts.database->read(call, [](Session& s) { return list_elements(s); }));
  std::vector<replica::Owner> owners;
  for (const StorageElement& element : elements)
    if (element.element_id) owners.push_back({*element.element_id, element.api_url});
  parts.fleet->update(owners);
  return {};
}

std::string status_now(const Parts& parts, const StorageElement& element) {
  const auto heard = element.last_health_check.value_or(Timestamp::min());
  const bool lately = parts.now() - heard < parts.options.element_lifetime;
  return lately ? element.status : "offline";
}

std::string_view capacity_status(const StorageElement& element) {
  if (element.capacity_bytes <= 0) return "ok";
  const double used =
      100.0 * static_cast<double>(element.used_bytes) / static_cast<double>(element.capacity_bytes);
  const bool edit = element.mode == "edit";
  if (used >= (edit ? 99 : 98)) return "full";
  if (used >= (edit ? 95 : 92)) return "critical";
  if (used >= (edit ? 90 : 85)) return "warning";
  return "ok";
}

void append_internal(JsonWriter& json, const Parts& parts, const StorageElement& e) {
  const bool online = status_now(parts, e) == "online";
  json.begin_object().member("id", e.id);
  append_text(json, "element_id", e.element_id);
  json.member("name", e.name)
      .member("mode", e.mode)
      .member("priority", e.priority)
      .member("api_url", e.api_url)
      .member("capacity_bytes", e.capacity_bytes)
      .member("used_bytes", e.used_bytes)
      .member("health_status", online ? "healthy" : "unhealthy")
      .member("capacity_status", capacity_status(e))
      .end_object();
}

void append_public(JsonWriter& json, const Parts& parts, const StorageElement& e) {
  const std::string status = status_now(parts, e);
  const double capacity = static_cast<double>(e.capacity_bytes);
  const double used = static_cast<double>(e.used_bytes);
  json.begin_object().member("id", e.id);
  append_text(json, "element_id", e.element_id);
  json.member("name", e.name)
      .member("mode", e.mode)
      .member("storage_type", e.storage_type)
      .member("status", status)
      .member("priority", e.priority)
      .member("base_path", e.base_path)
      .member("api_url", e.api_url)
      .member("capacity_bytes", e.capacity_bytes)
      .member("used_bytes", e.used_bytes)
      .member("file_count", e.file_count)
      .member("capacity_gb", capacity / kGiB)
      .member("used_gb", used / kGiB)
      .member("usage_percent", e.capacity_bytes > 0 ? 100.0 * used / capacity : 0.0)
      .key("retention_days");
  if (e.retention_days)
    json.value(*e.retention_days);
  else
    json.null();
  append_time(json, "last_health_check", e.last_health_check);
  append_text(json, "client_id", e.client_id);
  const bool writable = e.mode == "edit" || e.mode == "rw";
  json.member("is_available", status == "online")
      .member("is_writable", writable)
      .member("created_at", to_string(e.created_at))
      .member("updated_at", to_string(e.updated_at))
      .end_object();
}

}  // namespace artcache::admin
