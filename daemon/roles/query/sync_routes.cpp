// SPDX-License-Identifier: Apache-2.0
// How far the role is with each element, and what those who run it can do about it.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "roles/query/query.hpp"

namespace artcache::query {
namespace {

using http::Method;
using http::Problem;
using http::Reply;
using http::Request;

constexpr http::QueryField kElementQuery[] = {
    {"storage_element_id", "string", "of this element alone"}};
constexpr http::QueryField kLettersQuery[] = {kElementQuery[0],
                                              {"all", "string", "1: those that were dropped, too"}};

Reply show_status(Parts& parts, Request& request) {
  return http::json_response(200, parts.fleet->status_json(request.call));
}

/// What came of a full comparison, and why some elements were not compared.
struct Compared {
  replica::Synced sum = {};
  std::map<std::string, Position> positions = {};
  std::map<std::string, std::string> failures = {};
};

Compared compare_with(const Parts& parts, const std::vector<std::string>& elements,
                      const Call& call) {
  Compared out;
  for (const std::string& element : elements) {
    const auto one = parts.fleet->find(element);
    if (!one) {
      out.failures.emplace(element, "nobody names it");
      continue;
    }
    const auto done = one->sync_full(call);
    if (!done) {
      out.failures.emplace(element, http::to_problem(done.error()).detail);
      continue;
    }
    out.sum.added += done->added;
    out.sum.updated += done->updated;
    out.sum.deleted += done->deleted;
    out.positions.emplace(element, done->position);
  }
  return out;
}

/// Of every element, or of the one that `?storage_element_id=` names: 200 when all were compared,
/// else 503 with what has come of the others.
Reply sync_full(Parts& parts, Request& request) {
  std::vector<std::string> elements;
  if (const auto name = request.query.find("storage_element_id")) {
    if (!parts.fleet->find(*name))
      return Problem{.status = 404,
                     .detail = "Storage element " + std::string(*name) + " not found"};
    elements.emplace_back(*name);
  } else {
    const auto known = parts.fleet->statuses(request.call);
    if (!known) return known.error();
    for (const auto& one : *known) elements.push_back(one.element.element);
  }
  if (elements.empty()) return Error{Errc::unavailable, "no storage element is known so far"};
  const Compared done = compare_with(parts, elements, request.call);
  JsonWriter json;
  json.begin_object();
  if (!done.failures.empty()) {
    std::string detail = "Not compared:";
    for (const auto& [element, reason] : done.failures) detail.append(" " + element);
    json.member("detail", detail);
  }
  json.member("added", done.sum.added)
      .member("updated", done.sum.updated)
      .member("deleted", done.sum.deleted)
      .key("position")
      .begin_object();
  for (const auto& [element, position] : done.positions) json.member(element, to_string(position));
  json.end_object().key("failed").begin_object();
  for (const auto& [element, reason] : done.failures) json.member(element, reason);
  json.end_object().end_object();
  if (done.failures.empty()) return http::json_response(200, std::move(json).str());
  http::Response response = http::json_response(503, std::move(json).str());
  response.headers.add("Retry-After", "5");
  return response;
}

/// What is left of one that is gone for good.
Reply forget_element(Parts& parts, Request& request) {
  const std::string element(request.values.find("element").value_or(""));
  const auto removed = parts.fleet->forget(element, request.call);
  if (!removed) return removed.error();
  return http::json_response(200, replica::forgotten_json(element, *removed));
}

// --- Dead letters -------------------------------------------------------------------------------

void append_letter(JsonWriter& json, const BuriedLetter& letter) {
  const auto hash = [&](std::string_view name, const std::optional<ContentHash>& value) {
    json.key(name);
    if (value)
      json.value(to_string(*value));
    else
      json.null();
  };
  json.begin_object()
      .member("storage_element_id", letter.element)
      .member("file_id", letter.letter.key)
      .member("seq", letter.letter.seq);
  hash("content_hash", letter.letter.hash);
  hash("kept_hash", letter.letter.kept);
  json.member("reason", letter.letter.reason)
      .member("failed_at", to_string(letter.failed_at))
      .member("dropped", letter.dropped_at.has_value())
      .end_object();
}

/// Those that were dropped with `?all=1` alone.
Reply list_letters(Parts& parts, Request& request) {
  const bool all = request.query.find("all").value_or("") == "1";
  const std::string element(request.query.find("storage_element_id").value_or(""));
  auto letters = parts.database->read(
      request.call, [&](Session& session) { return standings().list_dead(session, element); });
  if (!letters) return letters.error();
  if (!all)
    std::erase_if(*letters, [](const BuriedLetter& one) { return one.dropped_at.has_value(); });
  JsonWriter json;
  json.begin_object().member("total", std::uint64_t{letters->size()}).key("dead_letters");
  json.begin_array();
  for (const BuriedLetter& one : *letters) append_letter(json, one);
  json.end_array().end_object();
  return http::json_response(200, std::move(json).str());
}

Problem no_letter() { return {.status = 404, .detail = "Dead letter not found"}; }

Reply retry_letter(Parts& parts, Request& request) {
  const std::string key(request.values.find("id").value_or(""));
  const auto owner = parts.fleet->find(request.values.find("element").value_or(""));
  if (!owner) return no_letter();
  const auto applied = owner->retry(key, request.call);
  if (!applied && applied.error().code == Errc::not_found) return no_letter();
  if (!applied) return applied.error();
  JsonWriter json;
  json.begin_object().member("file_id", key).member("applied", *applied).end_object();
  return http::json_response(200, std::move(json).str());
}

Reply drop_letter(Parts& parts, Request& request) {
  const std::string element(request.values.find("element").value_or(""));
  const std::string key(request.values.find("id").value_or(""));
  const auto owner = parts.fleet->find(element);
  // That nobody follows an element any more keeps nobody from dropping what is left of it.
  const auto dropped =
      owner ? owner->drop(key, request.call)
            : parts.database->write(request.call, [&](Session& session) {
                return standings().drop_dead(session, element, key, parts.deps.clock->now());
              });
  if (!dropped) return dropped.error();
  if (!*dropped) return no_letter();
  return http::Response{.status = 204};
}

}  // namespace

Result<void> add_sync_routes(http::Site& site, Parts& parts) {
  const auto add = [&](Method method, std::string_view pattern, Reply (*handler)(Parts&, Request&),
                       std::string summary, const auth::Rule& rule,
                       std::span<const http::QueryField> query = {}) {
    return site.add(parts.gate->protect(
        {.method = method,
         .pattern = "/api/v1/admin/sync/" + std::string(pattern),
         .handler = [&parts, handler](Request& request) { return handler(parts, request); },
         .threads = handler == sync_full ? http::Threads::lasting : http::Threads::workers,
         .summary = std::move(summary),
         .query = query},
        rule));
  };
  const auth::Rule admins{.roles = {"admin", "super_admin"}, .denial = "Admin access required"};
  const auth::Rule readers{.roles = {"admin", "super_admin", "operator", "auditor", "readonly"}};
  ARTCACHE_CHECK(add(Method::del, "elements/{element}", forget_element,
                     "Removes what is kept of an element that nobody names any more", admins));
  const std::string_view letter = "dead-letters/{element}/{id}";
  ARTCACHE_CHECK(add(Method::post, "full", sync_full, "Compares everything with the elements",
                     admins, kElementQuery));
  ARTCACHE_CHECK(
      add(Method::get, "status", show_status, "How far it is with each element", readers));
  ARTCACHE_CHECK(add(Method::get, "dead-letters", list_letters, "What could not be applied",
                     readers, kLettersQuery));
  ARTCACHE_CHECK(add(Method::post, std::string(letter) + "/retry", retry_letter,
                     "Tries to apply it once more", admins));
  return add(Method::del, letter, drop_letter, "Does not tell of it any more", admins);
}

}  // namespace artcache::query
