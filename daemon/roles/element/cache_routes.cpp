// SPDX-License-Identifier: Apache-2.0
// Rebuild, incremental rebuild, check and cleanup over HTTP. Each is a job; who does not ask for
// one waits for it, and when it goes away the job goes on.
#include <algorithm>
#include <iterator>
#include <utility>

#include "common/json_read.hpp"
#include "roles/element/element.hpp"
#include "util/pause.hpp"

namespace artcache::element {
namespace {

using http::Method;
using http::Problem;
using http::Reply;
using http::Request;

// What clients of the original system are told of anybody else's token.
constexpr std::string_view kDenial =
    "Service account access required. Only service accounts with role ADMIN can manage the cache.";

using Run = Result<std::string> (*)(Services&, const RunOptions&, const Call&, const ProgressSink&);

struct Operation {
  Method method = Method::post;
  std::string_view path, name;
  std::string_view message;  ///< of the success
  std::string_view failure;  ///< in front of what went wrong
  std::string_view wrapped;  ///< the member that holds everything once more
  std::string_view summary;
  Run run = nullptr;
};

template <class Report>
Result<std::string> as_json(Result<Report> report) {
  if (!report) return std::move(report).error();
  JsonWriter json;
  json.begin_object();
  append_members(json, *report);
  json.end_object();
  return std::move(json).str();
}

Result<std::string> run_full(Services& s, const RunOptions&, const Call& call,
                             const ProgressSink& progress) {
  return as_json(s.caches.rebuild_full({.progress = progress}, call));
}
Result<std::string> run_incremental(Services& s, const RunOptions& options, const Call& call,
                                    const ProgressSink& progress) {
  return as_json(
      s.caches.rebuild_incremental({.prune = options.prune, .progress = progress}, call));
}
Result<std::string> run_check(Services& s, const RunOptions& options, const Call& call,
                              const ProgressSink& progress) {
  return as_json(s.caches.check_consistency({.data = options.data, .progress = progress}, call));
}
Result<std::string> run_cleanup(Services& s, const RunOptions&, const Call& call,
                                const ProgressSink&) {
  return as_json(s.caches.cleanup_expired(call));
}

/// A lock refuses at once, unless its holder was asked to yield.
constexpr std::chrono::milliseconds kRefusedWithin{500};
constexpr std::chrono::seconds kTryAgain{5};

constexpr Operation kOperations[] = {
    {Method::post, "/api/v1/cache/rebuild", "rebuild", "Cache rebuild completed successfully",
     "Cache rebuild failed", "result", "Makes the index say what all sidecars say", run_full},
    {Method::post, "/api/v1/cache/rebuild/incremental", "rebuild_incremental",
     "Incremental cache rebuild completed", "Incremental rebuild failed", "result",
     "The same, opening only new and changed sidecars", run_incremental},
    {Method::get, "/api/v1/cache/consistency", "consistency", "Consistency check completed",
     "Consistency check failed", "report", "Compares index and storage; changes nothing",
     run_check},
    {Method::post, "/api/v1/cache/cleanup-expired", "cleanup_expired",
     "Expired cache cleanup completed", "Cache cleanup failed", "result",
     "Compares every expired entry with its sidecar", run_cleanup},
};

constexpr http::QueryField kRunFields[] = {
    {"async", "boolean", "answers 202 with a job as soon as it has begun"},
    {"prune", "boolean", "an incremental rebuild removes entries without a sidecar, too"},
    {"data", "boolean", "a check reads every data file and compares its SHA-256, too"}};

/// The members flat, as scripts read them, and once more in the member that older clients know.
std::string success(const Operation& operation, std::string_view result) {
  JsonWriter json;
  json.begin_object()
      .member("status", "success")
      .member("message", operation.message)
      .key(operation.wrapped)
      .raw(result)
      .end_object();
  std::string text = std::move(json).str();
  text.back() = ',';
  text += result.substr(1);
  return text;
}

Problem failure(const Operation& operation, const Error& error) {
  Problem problem = http::to_problem(error);
  if (error.code == Errc::busy || error.code == Errc::lease_lost) {
    constexpr std::string_view kRefused = "Cannot acquire lock: ";
    problem.status = 503;
    problem.detail = error.message;
    if (!problem.detail.starts_with(kRefused)) problem.detail.insert(0, kRefused);
    problem.cause.clear();  // no fault, and the operation's own line tells of it
    problem.headers.set("Retry-After", "5");
  } else {
    problem.detail = std::string(operation.failure) + ": " + problem.detail;
  }
  return problem;
}

http::Response accepted(const JobView& job) {
  const std::string at = "/api/v1/cache/jobs/" + job.id;
  JsonWriter json;
  json.begin_object();
  append_members(json, job, WithResult::no);
  json.member("status_url", at).member("events_url", at + "/events").end_object();
  http::Response response = http::json_response(202, std::move(json).str());
  response.headers.add("Location", at);
  return response;
}

Reply answer(Element& element, const Operation& operation, Request& request) {
  std::vector<http::FieldProblem> problems;
  const auto detached = query_flag(request.query, "async", problems);
  const auto pruning = query_flag(request.query, "prune", problems);
  const auto reading = query_flag(request.query, "data", problems);
  if (!problems.empty()) return unprocessable(std::move(problems));
  const RunOptions options{.prune = *pruning ? Prune::yes : Prune::no,
                           .data = *reading ? DataCheck::checksums : DataCheck::names};
  const auto id = start_run(element, operation.name, options, IfRefused::fails, request.call);
  if (!id) return failure(operation, id.error());
  if (*detached) {
    // What another one's lock refuses is refused here, too, and not promised.
    const auto job = element.jobs().wait_begun(*id, kRefusedWithin, request.call);
    if (!job) return job.error();
    if (was_refused(*job)) return failure(operation, *job->error);
    return accepted(*job);
  }
  const auto job = element.jobs().wait(*id, request.call);
  if (!job) return job.error();
  if (job->error) return failure(operation, *job->error);
  return http::json_response(200, success(operation, job->result));
}

}  // namespace

Result<std::string> start_run(Element& element, std::string_view operation,
                              const RunOptions& options, IfRefused refused, const Call& from) {
  const auto row = std::ranges::find(kOperations, operation, &Operation::name);
  if (row == std::end(kOperations))
    return Error{Errc::not_found, "job: there is no '" + std::string(operation) + "'"};
  const auto limit = element.settings().run_limit;
  return element.jobs().start(
      std::string(operation), from, limit > limit.zero() ? std::optional(limit) : std::nullopt,
      [services = element.services(), run = row->run, options, refused](
          const Call& call, const ProgressSink& progress) {
        while (true) {
          auto done = run(*services, options, call, progress);
          if (done || done.error().code != Errc::busy || refused == IfRefused::fails ||
              !util::pause_for(kTryAgain, call.stop))
            return done;
        }
      });
}

Result<void> add_cache_routes(Element& element, http::Site& site) {
  const auth::Rule rule{.callers = auth::Callers::service_accounts,
                        .roles = {"admin"},
                        .denial = std::string(kDenial)};
  for (const Operation& operation : kOperations) {
    http::Route route{.method = operation.method, .pattern = std::string(operation.path)};
    route.summary = operation.summary;
    route.query = kRunFields;
    route.threads = http::Threads::lasting;
    route.handler = [&element, &operation](Request& request) {
      return answer(element, operation, request);
    };
    auto added = site.add(element.parts().gate->protect(std::move(route), rule));
    if (!added) return added;
  }
  return {};
}

}  // namespace artcache::element
