// SPDX-License-Identifier: Apache-2.0
// What the routes of the query role share.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/json_writer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "auth/guard.hpp"
#include "common/following.hpp"
#include "http/site.hpp"
#include "roles/query/search.hpp"
#include "web/http_client.hpp"

namespace artcache::query {

/// The token with which the role speaks to elements. Errors: unavailable, timed_out, cancelled.
using Token = std::function<Result<std::string>(const Call&)>;
using RejectToken = std::function<void(std::string_view)>;

/// Lives as long as the role; the routes hold references.
struct Parts {
  Deps deps;
  std::unique_ptr<Database> database;
  std::unique_ptr<replica::Fleet> fleet;
  auth::Gate* gate = nullptr;
  web::HttpClient* http = nullptr;
  Token token;
  /// Somebody did not believe this token.
  RejectToken reject_token = [](std::string_view) {};
  std::chrono::nanoseconds search_most{std::chrono::seconds(30)};
  std::chrono::nanoseconds bound_most{std::chrono::seconds(1)};    ///< until a bound is kept
  std::chrono::nanoseconds answer_most{std::chrono::seconds(30)};  ///< for an element to answer
};

// The routes, by subject. Errors: those of Site::add().
Result<void> add_search_routes(http::Site& site, Parts& parts);
Result<void> add_download_routes(http::Site& site, Parts& parts);
Result<void> add_sync_routes(http::Site& site, Parts& parts);

/// A read that keeps the bound of its query, which it waits for, or is refused: 410 when the
/// position is of no element that is followed, 503 when the bound is not kept by then.
http::Handler bounded(Parts& parts, http::Handler handler);

/// The `{id}` of the path, or the 422 that says that it is none.
std::variant<FileId, http::Problem> path_id(const http::Request& request);
http::Problem file_not_found(const FileId& id);

/// A file in all the names that clients know.
void append_file(JsonWriter& json, const FoundFile& file);

}  // namespace artcache::query
