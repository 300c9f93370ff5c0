// SPDX-License-Identifier: Apache-2.0
#include "roles/element/jobs.hpp"

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

#include "util/random.hpp"

namespace artcache::element {
namespace {

/// How long after its end at most a refused run is told to who began it.
constexpr std::chrono::minutes kToldWithin{1};

std::string new_id() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::uint8_t bytes[8];
  util::fill_random(bytes);
  std::string id;
  for (const std::uint8_t byte : bytes) id.append({kHex[byte >> 4], kHex[byte & 15U]});
  return id;
}

Error unknown_job(std::string_view id) {
  return Error{Errc::not_found, "Job " + std::string(id) + " not found"};
}

}  // namespace

std::string_view to_string(JobState state) {
  switch (state) {
    case JobState::running:
      return "running";
    case JobState::succeeded:
      return "succeeded";
    case JobState::failed:
      return "failed";
    case JobState::cancelled:
      break;
  }
  return "cancelled";
}

bool was_refused(const JobView& job) {
  return !job.begun && job.error && job.error->code == Errc::busy;
}

void append_members(JsonWriter& json, const JobView& job, WithResult result) {
  json.member("job_id", job.id)
      .member("operation", job.operation)
      .member("status", to_string(job.state))
      .member("started_at", to_string(job.started_at));
  json.key("completed_at");
  if (job.completed_at)
    json.value(to_string(*job.completed_at));
  else
    json.null();
  json.key("progress").begin_object();
  json.member("phase", job.phase)
      .member("processed", job.processed)
      .member("total", job.total)
      .member("per_second", job.per_second)
      .end_object();
  if (job.error) json.member("error", to_string(*job.error));
  if (result == WithResult::yes && !job.result.empty()) json.key("result").raw(job.result);
}

Result<std::string> Jobs::start(std::string operation, const Call& from,
                                std::optional<std::chrono::nanoseconds> limit, Work work) {
  auto job = std::make_unique<Job>();
  job->view.id = new_id();
  job->view.operation = std::move(operation);
  job->view.started_at = deps_.clock->now();
  Call call;
  call.stop = job->stop.get_token();
  call.request_id = from.request_id;
  if (limit) call = call.within(*limit, *deps_.clock);
  std::string id = job->view.id;
  std::list<std::unique_ptr<Job>> old;
  std::optional<Error> no_thread;
  {
    const util::MutexLock held(mutex_);
    if (stopped_) return Error{Errc::cancelled, "job: the element is being stopped"};
    const auto running = static_cast<std::size_t>(std::ranges::count_if(
        jobs_, [](const auto& other) { return other->view.state == JobState::running; }));
    if (running >= kRunningMost)
      return Error{Errc::busy, "job: " + std::to_string(running) + " are running already"};
    old = take_old();
    Job& placed = *job;
    jobs_.push_back(std::move(job));
    try {
      placed.thread =
          std::thread([this, &placed, call, work = std::move(work)] { run(placed, call, work); });
    } catch (const std::system_error& refused) {
      jobs_.pop_back();
      no_thread = Error{Errc::busy, std::string("job: no thread is to be had: ") + refused.what()};
    }
  }
  for (const auto& over : old)
    if (over->thread.joinable()) over->thread.join();
  if (no_thread) return *std::move(no_thread);
  return id;
}

std::list<std::unique_ptr<Jobs::Job>> Jobs::take_old() {
  std::list<std::unique_ptr<Job>> old;
  const Timestamp now = deps_.clock->now();
  // Of a younger one the caller may not have been told yet.
  const auto is_told = [&](const JobView& job) {
    return was_refused(job) && job.completed_at && *job.completed_at + kToldWithin < now;
  };
  for (const bool any : {false, true})
    for (auto at = jobs_.begin(); at != jobs_.end() && jobs_.size() >= kKeptMost;) {
      const auto next = std::next(at);
      if ((*at)->finished && (any || is_told((*at)->view))) old.splice(old.end(), jobs_, at);
      at = next;
    }
  return old;
}

void Jobs::run(Job& job, const Call& call, const Work& work) {
  const ProgressSink progress = [&](const RunProgress& p) {
    const util::MutexLock held(mutex_);
    job.view.phase = p.phase;
    job.view.processed = p.processed;
    job.view.total = p.total;
    job.view.per_second = p.per_second;
    ++job.view.version;
    changed_.notify_all();
  };
  // A thread that throws would take the process with it.
  try {
    end(job, work(call, progress));
  } catch (const std::exception& defect) {
    end(job, Error{Errc::internal, std::string("job: ") + defect.what()});
  }
}

void Jobs::end(Job& job, Result<std::string> result) {
  const util::MutexLock held(mutex_);
  JobView& view = job.view;
  view.completed_at = deps_.clock->now();
  ++view.version;
  if (result) {
    view.state = JobState::succeeded;
    view.result = std::move(*result);
  } else {
    const bool asked = job.stop.stop_requested() && result.error().code == Errc::cancelled;
    view.state = asked ? JobState::cancelled : JobState::failed;
    view.error = std::move(result).error();
  }
  job.finished = true;
  changed_.notify_all();
}

Jobs::Job* Jobs::at(std::string_view id) const {
  for (const auto& job : jobs_)
    if (job->view.id == id) return job.get();
  return nullptr;
}

std::optional<JobView> Jobs::find(std::string_view id) const {
  const util::MutexLock held(mutex_);
  const Job* const job = at(id);
  if (job == nullptr) return std::nullopt;
  return job->view;
}

std::vector<JobView> Jobs::list() const {
  const util::MutexLock held(mutex_);
  std::vector<JobView> views;
  for (auto job = jobs_.rbegin(); job != jobs_.rend(); ++job)
    if (!was_refused((*job)->view)) views.push_back((*job)->view);
  return views;
}

bool Jobs::cancel(std::string_view id) {
  std::stop_source stop{std::nostopstate};
  {
    const util::MutexLock held(mutex_);
    const Job* const job = at(id);
    if (job == nullptr) return false;
    stop = job->stop;
  }
  stop.request_stop();
  return true;
}

Result<JobView> Jobs::wait(std::string_view id, const Call& call) const {
  const auto job = find(id);
  if (!job) return unknown_job(id);
  JobView view = *job;
  while (view.state == JobState::running) {
    auto next = wait_change(id, view.version, std::chrono::hours(1), call);
    if (!next) return next;
    view = std::move(*next);
  }
  return view;
}

void Jobs::begun(const std::stop_token& job) {
  const util::MutexLock held(mutex_);
  for (const auto& one : jobs_) {
    if (one->stop.get_token() != job) continue;
    one->view.begun = true;
    ++one->view.version;
  }
  changed_.notify_all();
}

Result<JobView> Jobs::wait_begun(std::string_view id, std::chrono::milliseconds most,
                                 const Call& call) {
  using std::chrono::duration_cast, std::chrono::milliseconds;
  const auto until = std::chrono::steady_clock::now() + most;
  const auto job = find(id);
  if (!job) return unknown_job(id);
  JobView view = *job;
  while (view.state == JobState::running && !view.begun) {
    const auto left = until - std::chrono::steady_clock::now();
    if (left.count() <= 0) break;
    auto next =
        wait_change(id, view.version, duration_cast<milliseconds>(left) + milliseconds(1), call);
    if (!next) return next;
    view = std::move(*next);
  }
  const util::MutexLock held(mutex_);
  Job* const found = at(id);
  if (found == nullptr) return view;
  if (found->view.state == JobState::running) found->view.begun = true;
  return found->view;
}

Result<JobView> Jobs::wait_change(std::string_view id, std::uint64_t version,
                                  std::chrono::milliseconds most, const Call& call) const {
  const auto until = std::chrono::steady_clock::now() + most;
  // Made without the mutex: when the token is set already, it is called at once, here.
  const std::stop_callback wake(call.stop, [this] {
    const util::MutexLock held(mutex_);
    changed_.notify_all();
  });
  const util::MutexLock held(mutex_);
  for (;;) {
    const Job* const job = at(id);
    if (job == nullptr) return unknown_job(id);
    if (job->view.version != version || job->view.state != JobState::running) return job->view;
    if (auto go_on = call.check("wait", *deps_.clock); !go_on) return std::move(go_on).error();
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= left.zero()) return job->view;
    changed_.wait_for(mutex_,
                      std::min<std::chrono::nanoseconds>(left, call.remaining(*deps_.clock)));
  }
}

void Jobs::stop() {
  std::list<std::unique_ptr<Job>> all;
  {
    const util::MutexLock held(mutex_);
    stopped_ = true;
  }
  // Nobody adds any more, and only this takes them away now.
  std::vector<std::string> ids;
  {
    const util::MutexLock held(mutex_);
    for (const auto& job : jobs_) ids.push_back(job->view.id);
  }
  for (const std::string& id : ids) cancel(id);
  for (const std::string& id : ids) {
    std::thread thread;
    {
      const util::MutexLock held(mutex_);
      if (Job* const job = at(id)) thread = std::move(job->thread);
    }
    if (thread.joinable()) thread.join();
  }
}

}  // namespace artcache::element
