// SPDX-License-Identifier: Apache-2.0
// How far the role is with each element, and what those who run it can do about it.
#include <utility>

#include "roles/query/query.hpp"

namespace artcache::query {
namespace {

using http::Method;
using http::Problem;
using http::Reply;
using http::Request;

/// While the database is away, which is when somebody asks, its part is missing and no more.
constexpr std::chrono::seconds kTablesMost{2};

Reply show_status(Parts& parts, Request& request) {
  const Timestamp now = parts.deps.clock->now();
  bool in_step = true;
  JsonWriter json;
  json.begin_object().key("elements").begin_array();
  const Call call = request.call.within(kTablesMost, *parts.deps.clock);
  for (const replica::FollowingStatus& status : parts.fleet->statuses(call)) {
    // One that nobody names any more cannot be, and keeps nobody from being so.
    in_step = in_step && (status.follow.in_step || status.gone_since);
    append_status(json, status, now);
  }
  json.end_array().member("in_step", in_step).end_object();
  return http::json_response(200, std::move(json).str());
}

/// Every element, or the one that `?storage_element_id=` names.
Reply sync_full(Parts& parts, Request& request) {
  auto elements = parts.fleet->all();
  if (const auto name = request.query.find("storage_element_id")) {
    const auto one = parts.fleet->find(*name);
    if (!one)
      return Problem{.status = 404,
                     .detail = "Storage element " + std::string(*name) + " not found"};
    elements = {one};
  }
  replica::Synced sum;
  JsonWriter positions;
  positions.begin_object();
  for (const auto& one : elements) {
    const auto done = one->sync_full(request.call);
    if (!done) {
      Problem problem = http::to_problem(done.error());
      problem.detail = "Storage element " + one->element().element + ": " + done.error().message;
      return problem;
    }
    sum.added += done->added;
    sum.updated += done->updated;
    sum.deleted += done->deleted;
    positions.member(one->element().element, to_string(done->position));
  }
  positions.end_object();
  JsonWriter json;
  json.begin_object()
      .member("added", sum.added)
      .member("updated", sum.updated)
      .member("deleted", sum.deleted)
      .key("position")
      .raw(std::move(positions).str())
      .end_object();
  return http::json_response(200, std::move(json).str());
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
  const auto dropped = parts.database->write(request.call, [&](Session& session) {
    return standings().drop_dead(session, element, key, parts.deps.clock->now());
  });
  if (!dropped) return dropped.error();
  if (!*dropped) return no_letter();
  return http::Response{.status = 204};
}

}  // namespace

Result<void> add_sync_routes(http::Site& site, Parts& parts) {
  const auto add = [&](Method method, std::string_view pattern, Reply (*handler)(Parts&, Request&),
                       std::string summary, const auth::Rule& rule) {
    return site.add(parts.gate->protect(
        {.method = method,
         .pattern = "/api/v1/admin/sync/" + std::string(pattern),
         .handler = [&parts, handler](Request& request) { return handler(parts, request); },
         .summary = std::move(summary)},
        rule));
  };
  const auth::Rule admins{.roles = {"admin", "super_admin"}, .denial = "Admin access required"};
  const auth::Rule readers{.roles = {"admin", "super_admin", "operator", "auditor", "readonly"}};
  const std::string_view letter = "dead-letters/{element}/{id}";
  ARTCACHE_CHECK(
      add(Method::post, "full", sync_full, "Compares everything with the elements", admins));
  ARTCACHE_CHECK(
      add(Method::get, "status", show_status, "How far it is with each element", readers));
  ARTCACHE_CHECK(
      add(Method::get, "dead-letters", list_letters, "What could not be applied", readers));
  ARTCACHE_CHECK(add(Method::post, std::string(letter) + "/retry", retry_letter,
                     "Tries to apply it once more", admins));
  return add(Method::del, letter, drop_letter, "Does not tell of it any more", admins);
}

}  // namespace artcache::query
