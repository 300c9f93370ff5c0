// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/context.hpp"

#include <algorithm>
#include <cmath>

#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

constexpr std::chrono::milliseconds kTellEvery{100};

}  // namespace

WalkPlan Context::plan() const {
  return {.storage = storage,
          .log = index,
          .scanned = [this](std::span<const std::string_view> paths,
                            const Call& call) { return index.find_scanned(paths, call); },
          .size_most = settings.sidecar_size_most,
          .budget = &budget,
          .clock = deps.clock};
}

WalkPlan Context::plan(Session& session) const {
  WalkPlan alone = plan();
  alone.session = &session;
  return alone;
}

Result<bool> Context::may_stand(std::string_view path, const Call& call) const {
  const auto found = storage.stat(path, call);
  if (found) return found->has_value();
  if (found.error().code == Errc::unsupported || found.error().code == Errc::unavailable)
    return true;
  return found.error();
}

Result<Standing> Context::standing(const std::string& path, const FileId& id,
                                   Session& session) const {
  ARTCACHE_TRY(const Chunk chunk, read_chunk(plan(session), {{path}}, session.call()));
  const Result<PreparedEntry>& put = chunk.files.front().put;
  if (put) return put->entry.id == id ? Standing::may_tell : Standing::another;
  return put.error().code == Errc::not_found ? Standing::gone : Standing::may_tell;
}

void Context::log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields,
                  const Call& call) const {
  if (!deps.logger->enabled(level)) return;
  deps.logger->log({level, kLogger, message, {fields.begin(), fields.size()}, call.request_id});
}

double seconds_of(std::chrono::nanoseconds duration) {
  return std::round(std::chrono::duration<double>(duration).count() * 100) / 100;
}

// --- Tally --------------------------------------------------------------------------------------

void Tally::message(std::string text) {
  const util::MutexLock lock(mutex_);
  ++list_.total;
  if (list_.texts.size() < context_.settings.details_most) list_.texts.push_back(std::move(text));
}

bool Tally::is_full() const {
  const util::MutexLock lock(mutex_);
  return list_.texts.size() >= context_.settings.details_most;
}

void Tally::not_seen(std::string_view path, const Error& error) {
  std::string text = to_string(error);
  {
    const util::MutexLock lock(mutex_);
    if (unseen_folders_.covers(util::folder_of(path))) return;
    if (++unseen_ == 1) first_unseen_ = std::string(path) + ": " + text;
  }
  message(std::move(text));
}

void Tally::not_seen(const ListProblem& problem) {
  if (problem.error.code == Errc::not_found) return;
  if (problem.error.code == Errc::unsupported) return message(to_string(problem.error));
  not_seen(problem.path, problem.error);
  const util::MutexLock lock(mutex_);
  unseen_folders_.add_folder(problem.path);
}

void Tally::not_seen(const RunVerdict& part) {
  if (part.complete()) return;
  const util::MutexLock lock(mutex_);
  if (++unseen_ == 1) first_unseen_ = part.not_seen;
}

MessageList Tally::messages() const {
  const util::MutexLock lock(mutex_);
  return list_;
}

std::string Tally::unseen() const {
  const util::MutexLock lock(mutex_);
  if (unseen_ == 0) return {};
  if (unseen_ == 1) return first_unseen_;
  return first_unseen_ + " (and " + std::to_string(unseen_ - 1) + " more)";
}

// --- Meter --------------------------------------------------------------------------------------

Meter::Meter(const Context& context, const ProgressSink& sink, const Call& call)
    : context_(context),
      sink_(sink),
      call_(call),
      begun_(context.deps.clock->steady()),
      told_(begun_) {}

void Meter::phase(std::string_view phase, std::uint64_t total) {
  phase_ = phase;
  total_ = total;
  told_ = {};
  report();
}

void Meter::report() {
  const std::uint64_t processed = processed_.load(std::memory_order_relaxed);
  log_marks(processed);
  const Clock::SteadyTime now = context_.deps.clock->steady();
  if (!sink_ || now - told_ < kTellEvery) return;
  told_ = now;
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  sink_({.phase = phase_,
         .processed = processed,
         .total = total_,
         .per_second = seconds > 0 ? static_cast<double>(processed) / seconds : 0});
}

/// At 100, 500, 1000, and then every thousand or hundredth part, whichever is more.
void Meter::log_marks(std::uint64_t processed) {
  while (processed >= next_mark_) {
    context_.log(LogLevel::info, "Processed " + std::to_string(next_mark_) + " entries...", {},
                 call_);
    const std::uint64_t step =
        std::max<std::uint64_t>(1000, std::max(total_, processed) / 100 / 1000 * 1000);
    next_mark_ = next_mark_ == 100 ? 500 : next_mark_ == 500 ? 1000 : next_mark_ + step;
  }
}

std::string Meter::text() const {
  std::string text(phase_);
  text.append(": ").append(std::to_string(processed()));
  if (total_ > 0) text.append(" of ").append(std::to_string(total_));
  return text;
}

// --- Stopwatch ----------------------------------------------------------------------------------

Stopwatch::Stopwatch(const Context& context)
    : context_(&context), started_at_(context.now()), begun_(context.deps.clock->steady()) {}

Result<Stopwatch> Stopwatch::start(const Context& context, const Call& call) {
  Stopwatch watch(context);
  ARTCACHE_TRY(watch.before_, context.index.head(call));
  return watch;
}

Result<RunVerdict> Stopwatch::stop(const Tally& tally, const Call& call) {
  ARTCACHE_TRY(after_, context_->index.head(call));
  RunVerdict verdict;
  verdict.started_at = started_at_;
  verdict.completed_at = context_->now();
  verdict.duration = context_->deps.clock->steady() - begun_;
  verdict.from = before_.position;
  verdict.to = after_.position;
  verdict.not_seen = tally.unseen();
  return verdict;
}

}  // namespace artcache::reconcile
