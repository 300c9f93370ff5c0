// SPDX-License-Identifier: Apache-2.0
// Jobs over HTTP: the table, one of them, its events as they happen, and an end before its time.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "roles/element/element.hpp"

namespace artcache::element {
namespace {

using http::Method;
using http::Reply;
using http::Request;

// Each holds a thread of those for requests that last, of which others want some, too.
constexpr int kStreamsMost = 8;
/// Of all elements of the process, whose threads for what lasts they share.
std::atomic<int> streams_open{0};
constexpr std::chrono::seconds kHeartbeat{15};

std::string_view id_of(const Request& request) {
  return request.values.find("job_id").value_or(std::string_view{});
}

Error unknown_job(std::string_view id) {
  return Error{Errc::not_found, "Job " + std::string(id) + " not found"};
}

std::string job_json(const JobView& job, WithResult result) {
  JsonWriter json;
  json.begin_object();
  append_members(json, job, result);
  json.end_object();
  return std::move(json).str();
}

Reply list_jobs(Element& element, Request&) {
  const auto jobs = element.jobs().list();
  JsonWriter json;
  json.begin_object().member("total", jobs.size()).key("jobs").begin_array();
  for (const JobView& job : jobs) json.raw(job_json(job, WithResult::no));
  json.end_array().end_object();
  return http::json_response(200, std::move(json).str());
}

Reply show_job(Element& element, Request& request) {
  const auto job = element.jobs().find(id_of(request));
  if (!job) return unknown_job(id_of(request));
  return http::json_response(200, job_json(*job, WithResult::yes));
}

Reply cancel_job(Element& element, Request& request) {
  if (!element.jobs().cancel(id_of(request))) return unknown_job(id_of(request));
  const auto job = element.jobs().find(id_of(request));
  if (!job) return unknown_job(id_of(request));
  return http::json_response(202, job_json(*job, WithResult::no));
}

/// Server-sent events: `progress` for every change, at last `done` with the result.
class EventSource final : public http::BodySource {
 public:
  EventSource(Jobs& jobs, std::string id) : jobs_(jobs), id_(std::move(id)) {}
  ~EventSource() override { --streams_open; }
  EventSource(const EventSource&) = delete;
  EventSource& operator=(const EventSource&) = delete;

  Result<std::size_t> read(std::span<std::byte> into, const Call& call) override {
    if (text_.empty() && !over_) {
      auto job = jobs_.wait_change(id_, version_, kHeartbeat, call);
      if (!job) return std::move(job).error();
      text_ = next_event(*job);
    }
    const std::size_t bytes = std::min(into.size(), text_.size());
    std::memcpy(into.data(), text_.data(), bytes);
    text_.erase(0, bytes);
    return bytes;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return std::nullopt; }

 private:
  std::string next_event(const JobView& job) {
    over_ = job.state != JobState::running;
    // Nothing new: a comment keeps the connection open on the way.
    if (!over_ && job.version == version_) return ":\n\n";
    version_ = job.version;
    return std::string("event: ") + (over_ ? "done" : "progress") +
           "\ndata: " + job_json(job, WithResult::yes) + "\n\n";
  }

  Jobs& jobs_;
  const std::string id_;
  std::uint64_t version_ = UINT64_MAX;  ///< none: the first event comes at once
  bool over_ = false;
  std::string text_;
};

Reply follow_job(Element& element, Request& request) {
  if (!element.jobs().find(id_of(request))) return unknown_job(id_of(request));
  // Taken back by the source, whatever becomes of it.
  const int before = streams_open++;
  auto source = std::make_unique<EventSource>(element.jobs(), std::string(id_of(request)));
  if (before >= kStreamsMost) return Error{Errc::busy, "Too many clients follow jobs"};
  http::Response response;
  response.headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}};
  response.stream = std::move(source);
  return response;
}

}  // namespace

Result<void> add_job_routes(Element& element, http::Site& site) {
  const auth::Rule rule{.callers = auth::Callers::service_accounts, .roles = {"admin"}};
  std::vector<http::Route> routes;
  routes.push_back({.method = Method::get,
                    .pattern = "/api/v1/cache/jobs",
                    .handler = [&element](Request& r) { return list_jobs(element, r); },
                    .summary = "Runs of this process, the last one first"});
  routes.push_back({.method = Method::get,
                    .pattern = "/api/v1/cache/jobs/{job_id}",
                    .handler = [&element](Request& r) { return show_job(element, r); },
                    .summary = "One run, with its result once it is over"});
  routes.push_back({.method = Method::del,
                    .pattern = "/api/v1/cache/jobs/{job_id}",
                    .handler = [&element](Request& r) { return cancel_job(element, r); },
                    .summary = "Stops a run at its next safe point"});
  routes.push_back({.method = Method::get,
                    .pattern = "/api/v1/cache/jobs/{job_id}/events",
                    .handler = [&element](Request& r) { return follow_job(element, r); },
                    .threads = http::Threads::lasting,
                    .summary = "The progress of a run as server-sent events"});
  for (http::Route& route : routes) {
    auto added = site.add(element.parts().gate->protect(std::move(route), rule));
    if (!added) return added;
  }
  return {};
}

}  // namespace artcache::element
