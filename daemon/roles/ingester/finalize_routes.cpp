// SPDX-License-Identifier: Apache-2.0
// /api/v1/finalize: makes a temporary file permanent, and tells how far that is.
#include <artcache/json_writer.hpp>
#include <utility>

#include "common/json_read.hpp"
#include "roles/ingester/finalizer.hpp"

namespace artcache::ingester {
namespace {

using http::Problem;
using http::Reply;
using http::Request;

constexpr std::size_t kBodyMost = 64 * 1024;

void append_time(JsonWriter& json, std::string_view name, const std::optional<Timestamp>& time) {
  json.key(name);
  if (time)
    json.value(to_string(*time));
  else
    json.null();
}

void append_error(JsonWriter& json, const Finalize& one) {
  json.key("error_message");
  if (one.state.error.empty())
    json.null();
  else
    json.value(one.state.error);
}

http::Response begun_response(const Finalize& one) {
  JsonWriter json;
  json.begin_object()
      .member("transaction_id", one.id)
      .member("file_id", to_string(one.file))
      .member("status", to_string(one.state.status))
      .member("source_storage_element_id", one.source)
      .member("target_storage_element_id", one.target)
      .member("checksum_verified", one.state.checksum_verified);
  const bool done = one.state.status == FinalizeStatus::completed;
  append_time(json, "finalized_at", done ? one.completed_at : std::nullopt);
  json.member("new_storage_path", "/files/" + to_string(one.file));
  append_time(json, "cleanup_scheduled_at", one.cleanup_at);
  append_error(json, one);
  json.end_object();
  return http::json_response(202, std::move(json).str());
}

http::Response status_response(const Finalize& one) {
  JsonWriter json;
  json.begin_object()
      .member("transaction_id", one.id)
      .member("file_id", to_string(one.file))
      .member("status", to_string(one.state.status))
      .member("progress_percent", std::int64_t{progress_percent(one.state.status)})
      .member("created_at", to_string(one.created_at));
  append_time(json, "completed_at", one.completed_at);
  append_error(json, one);
  json.end_object();
  return http::json_response(200, std::move(json).str());
}

Reply refused(const Error& error) {
  Problem problem = http::to_problem(error);
  if (error.code == Errc::not_found) problem.status = 404;
  if (error.code == Errc::invalid_argument) problem.status = 400;
  problem.detail = error.message;
  return problem;
}

constexpr http::BodyField kFinalizeBody[] = {
    {"target_storage_element_id", "string"}, {"description", "string"}, {"metadata", "object"}};

Reply finalize(Finalizer& finalizer, Request& request) {
  const auto file = FileId::parse(request.values.find("file_id").value_or(""));
  if (!file)
    return unprocessable("path", "file_id", "Input should be a valid UUID", "uuid_parsing");
  auto text = http::read_all(*request.body, kBodyMost);
  if (!text) return text.error();
  JsonObject body(text->empty() ? "{}" : *std::move(text));
  FinalizeWish wish{.file = *file,
                    .target = body.text("target_storage_element_id"),
                    .description = body.text("description"),
                    .metadata = body.object("metadata")};
  if (!body.problems().empty()) return unprocessable(body.problems());
  if (request.identity) wish.requested_by = request.identity->name;
  const auto begun = finalizer.begin(wish, request.call);
  if (!begun) return refused(begun.error());
  const auto ended = finalizer.wait(begun->id, request.call);
  if (!ended) return refused(ended.error());
  return begun_response(*ended);
}

Reply status(Parts& parts, Request& request) {
  const std::string id(request.values.find("transaction_id").value_or(""));
  const auto found =
      parts.database->read(request.call, [&](db::Session& s) { return find_finalize(s, id); });
  if (!found) return found.error();
  if (!*found) return Problem{.status = 404, .detail = "Transaction " + id + " not found"};
  return status_response(**found);
}

}  // namespace

Result<void> add_finalize_routes(http::Site& site, Parts& parts, Finalizer& finalizer) {
  http::Route begin{.method = http::Method::post, .pattern = "/api/v1/finalize/{file_id}"};
  begin.body_most = kBodyMost;
  begin.summary = "Makes a temporary file permanent";
  begin.body = {http::BodyShape::Media::json, kFinalizeBody};
  begin.handler = [&finalizer](Request& request) { return finalize(finalizer, request); };
  if (auto added = site.add(parts.gate->protect(std::move(begin), auth::writers())); !added)
    return added;
  http::Route look{.pattern = "/api/v1/finalize/{transaction_id}/status"};
  look.summary = "How far that is";
  look.handler = [&parts](Request& request) { return status(parts, request); };
  return site.add(parts.gate->protect(std::move(look), {}));
}

}  // namespace artcache::ingester
