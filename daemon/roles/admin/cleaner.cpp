// SPDX-License-Identifier: Apache-2.0
#include "roles/admin/cleaner.hpp"
#include "util/here.hpp"

#include <algorithm>
#include <utility>

namespace artcache::admin {
namespace {

constexpr std::int64_t kAtOnce = 100;
constexpr std::chrono::seconds kRound{2};

constexpr std::string_view kAway = "the element does not answer";

}  // namespace

std::chrono::milliseconds cleanup_pause(std::int64_t retries, std::chrono::milliseconds least,
                                        std::chrono::milliseconds most) {
  const auto doublings = std::clamp<std::int64_t>(retries - 1, 0, 20);
  return std::min(least * (std::int64_t{1} << doublings), std::max(least, most));
}

void Cleaner::start() {
  if (!thread_.joinable()) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void Cleaner::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  wake();
  thread_.join();
}

void Cleaner::wake() {
  const util::MutexLock lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void Cleaner::run(std::stop_token stop) {
  Call call;
  call.stop = stop;
  while (!stop.stop_requested()) {
    const auto done = pass(call);
    if (!done && done.error().code != Errc::cancelled) {
      const std::string source = util::here();
      const LogField fields[]{{"reason", std::string_view(done.error().message)},
                              {"source", std::string_view(source)}};
      parts_.deps.logger->log({.level = LogLevel::error,
                               .logger = "file_registry",
                               .message = "The cleanup of files has to wait for the next round",
                               .fields = fields,
                               .request_id = {}});
    }
    const util::MutexLock lock(mutex_);
    if (!woken_ && !stop.stop_requested()) changed_.wait_for(mutex_, kRound);
    woken_ = false;
  }
}

Result<void> Cleaner::pass(const Call& call) {
  const auto begun = parts_.deps.clock->steady();
  // What is put off in this round is not due in it once more.
  const Timestamp due_by = parts_.now();
  std::set<std::string> away;
  bool worked = false;
  for (;;) {
    ARTCACHE_TRY(const auto due, parts_.database->read(call, [&](Session& s) {
      return due_cleanups(s, due_by, kAtOnce);
    }));
    worked = worked || !due.empty();
    for (const Cleanup& cleanup : due) {
      ARTCACHE_CHECK(call.check("cleanup of files", *parts_.deps.clock));
      if (away.contains(cleanup.element)) continue;
      ARTCACHE_TRY(const bool answers, clean(cleanup, due_by, call));
      if (!answers) away.insert(cleanup.element);
    }
    if (static_cast<std::int64_t>(due.size()) < kAtOnce) break;
  }
  ARTCACHE_TRY(const auto pending,
               parts_.database->read(call, [](Session& s) { return count_pending(s); }));
  Metrics& metrics = *parts_.deps.metrics;
  metrics.gauge("gc_queue_pending_size", {}, static_cast<double>(pending));
  if (!worked) return {};
  const std::chrono::duration<double> took = parts_.deps.clock->steady() - begun;
  metrics.observe("gc_run_duration_seconds", {}, took.count());
  metrics.gauge("gc_last_run_timestamp", {},
                std::chrono::duration<double>(parts_.now().since_epoch()).count());
  return {};
}

Result<bool> Cleaner::clean(Cleanup cleanup, Timestamp due_by, const Call& call) {
  ARTCACHE_TRY(const bool begun, parts_.database->write(call, [&](Session& s) {
    return begin_cleanup(s, cleanup.id, parts_.now());
  }));
  if (!begun) return true;
  const Result<void> done = remove(cleanup, call);
  if (!done && done.error().code == Errc::cancelled) return done.error();
  parts_.deps.metrics->count(done ? "gc_files_cleaned_total" : "gc_files_failed_total", {}, 1);
  // What is wrong with one file alone holds up no others.
  const bool answers = done || done.error().code == Errc::conflict;
  if (answers) away_.erase(cleanup.element);
  if (done) {
    cleanup.processed_at = parts_.now();
    cleanup.error.reset();
  } else {
    const Options& options = parts_.options;
    if (answers && cleanup.retries == 0)
      log("A file is removed later than it should be", cleanup, done.error().message);
    ++cleanup.retries;
    cleanup.error = done.error().message;
    cleanup.next_attempt_at =
        parts_.now() + std::chrono::microseconds(cleanup_pause(
                           cleanup.retries, options.cleanup_retry, options.cleanup_retry_most));
  }
  AuditEntry entry;
  entry.at = parts_.now();
  entry.actor = "admin";
  entry.action = "file.cleanup";
  entry.target = cleanup.file_id;
  entry.status = 200;
  entry.details = cleanup.element;
  const auto stored = parts_.database->write(call, [&](Session& s) -> Result<void> {
    ARTCACHE_CHECK(store_cleanup(s, cleanup));
    return done ? add_audit(s, entry) : Result<void>();
  });
  if (!stored) return stored.error();
  if (!answers) ARTCACHE_CHECK(put_off(cleanup, due_by, call));
  return answers;
}

Result<void> Cleaner::put_off(const Cleanup& failed, Timestamp due_by, const Call& call) {
  ARTCACHE_TRY(const std::int64_t others, parts_.database->write(call, [&](Session& s) {
    return postpone_cleanups(s, failed.element, kAway, due_by, failed.next_attempt_at);
  }));
  if (others > 0)
    parts_.deps.metrics->count("gc_files_failed_total", {}, static_cast<double>(others));
  if (away_.insert(failed.element).second)
    log("Files of an element are removed later than they should be", failed, *failed.error);
  return {};
}

Result<void> Cleaner::remove(const Cleanup& cleanup, const Call& call) {
  ARTCACHE_TRY(const auto element, parts_.database->read(call, [&](Session& s) {
    return find_element_id(s, cleanup.element);
  }));
  if (!element) return Error{Errc::unavailable, "nobody knows where this element is"};
  return parts_.element_files->remove(element->api_url, cleanup.file_id, cleanup.reason, call);
}

void Cleaner::log(std::string_view message, const Cleanup& cleanup, std::string_view reason) const {
  const LogField fields[]{{"storage_element_id", std::string_view(cleanup.element)},
                          {"file_id", std::string_view(cleanup.file_id)},
                          {"reason", reason}};
  parts_.deps.logger->log({.level = LogLevel::warning,
                           .logger = "file_registry",
                           .message = message,
                           .fields = fields,
                           .request_id = {}});
}

}  // namespace artcache::admin
