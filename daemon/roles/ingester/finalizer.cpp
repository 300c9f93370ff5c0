// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/finalizer.hpp"

#include <algorithm>
#include <utility>

#include "auth/secret.hpp"
#include "util/try.hpp"

namespace artcache::ingester {
namespace {

// So that one large file does not keep the others waiting.
constexpr int kWorkers = 2;
constexpr std::chrono::seconds kRound{1}, kPauseMost{30};

std::chrono::seconds pause_after(std::uint32_t attempts) {
  const std::chrono::seconds pause(1U << std::min(attempts, 5U));
  return std::min(pause, kPauseMost);
}

/// One of the requests that wait, as long as it lives, where there is room for one more.
class Seat {
 public:
  Seat(std::atomic<std::size_t>& taken, std::size_t most)
      : all_(taken), taken_(all_.fetch_add(1) < most) {
    if (!taken_) --all_;
  }
  ~Seat() {
    if (taken_) --all_;
  }
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;
  [[nodiscard]] bool taken() const { return taken_; }

 private:
  std::atomic<std::size_t>& all_;
  const bool taken_;
};

std::optional<Error> failure_of(const Result<void>& done) {
  return done ? std::nullopt : std::optional(done.error());
}

}  // namespace

void Finalizer::start() {
  if (!threads_.empty()) return;
  for (int i = 0; i < kWorkers; ++i)
    threads_.emplace_back([this](std::stop_token stop) { work(stop); });
  threads_.emplace_back([this](std::stop_token stop) { clean(stop); });
}

void Finalizer::stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  {
    const util::MutexLock lock(mutex_);
    changed_.notify_all();
  }
  threads_.clear();
}

// --- To begin -----------------------------------------------------------------------------------

Result<Finalize> Finalizer::begin(const FinalizeWish& wish, const Call& call) {
  const auto last = [&] {
    return parts_.database->read(call, [&](db::Session& s) { return last_finalize(s, wish.file); });
  };
  ARTCACHE_TRY(auto known, last());
  if (known && known->state.status != FinalizeStatus::failed) return *std::move(known);
  auto found = locate(wish.file, call);
  if (!found && !parts_.elements->complete()) {
    parts_.elements->refresh(call);
    found = locate(wish.file, call);
  }
  ARTCACHE_TRY(const Place place, std::move(found));
  if (place.element.mode != ElementMode::edit)
    return Error{Errc::invalid_argument,
                 "File " + to_string(wish.file) + " is not temporary, or was finalized already"};
  ARTCACHE_TRY(const ElementView target, choose_target(wish, place.facts.size, call));
  Finalize made{.id = auth::random_uuid(),
                .file = wish.file,
                .source = place.element.id,
                .target = target.id,
                .description = wish.description,
                .metadata = wish.metadata,
                .requested_by = wish.requested_by,
                .created_at = parts_.deps.clock->now()};
  const auto added =
      parts_.database->write(call, [&](db::Session& s) { return add_finalize(s, made); });
  if (!added && added.error().code != Errc::conflict) return added.error();
  if (!added) {
    // Somebody was quicker; theirs it is.
    ARTCACHE_TRY(auto theirs, last());
    if (!theirs) return added.error();
    return *std::move(theirs);
  }
  const util::MutexLock lock(mutex_);
  changed_.notify_all();
  return made;
}

Result<Finalizer::Place> Finalizer::locate(const FileId& file, const Call& call) {
  // A copy that is to be removed, as of an upload whose answer was lost and that succeeded at
  // another element then, is not the one that its owner was told of.
  ARTCACHE_TRY(const auto cleaned, parts_.database->read(call, [&](db::Session& s) {
    return cleaned_elements(s, file);
  }));
  std::optional<Place> permanent;
  std::string away;
  for (const ElementView& element : parts_.elements->now()) {
    if (element.mode == ElementMode::edit && std::ranges::count(cleaned, element.id) > 0) continue;
    if (permanent && element.mode != ElementMode::edit) continue;
    auto found = element.healthy || element.mode == ElementMode::ar
                     ? parts_.client->find(element.url, file, call)
                     : Result<std::optional<FileFacts>>(Error{Errc::unavailable, "it is away"});
    if (!found) {
      if (call.stop.stop_requested()) return std::move(found).error();
      away = element.id;
    } else if (*found) {
      Place place{.element = element, .facts = **std::move(found)};
      if (element.mode == ElementMode::edit) return place;
      permanent = std::move(place);
    }
  }
  if (permanent) return *std::move(permanent);
  if (!away.empty())
    return Error{Errc::unavailable,
                 "No storage element that answers has the file; " + away + " is away"};
  if (!parts_.elements->complete())
    return Error{Errc::unavailable,
                 "Not all storage elements are known yet, and none of those that "
                 "are has the file"};
  return Error{Errc::not_found, "File " + to_string(file) + " not found in registry"};
}

Result<ElementView> Finalizer::choose_target(const FinalizeWish& wish, std::uint64_t size,
                                             const Call& call) {
  // A copy that is still to be removed there would take the new one with it.
  ARTCACHE_TRY(const auto excluded, parts_.database->read(call, [&](db::Session& s) {
    return cleaned_elements(s, wish.file);
  }));
  const auto first = [&]() -> Result<ElementView> {
    std::vector<ElementView> elements = parts_.elements->now();
    if (wish.target)
      std::erase_if(elements, [&](const ElementView& one) { return one.id != *wish.target; });
    return choose(elements, {.mode = ElementMode::rw,
                             .size = size,
                             .excluded = excluded,
                             .thresholds = parts_.options.thresholds});
  };
  auto chosen = first();
  if (chosen) return chosen;
  parts_.elements->refresh(call);
  return first();
}

Result<Finalize> Finalizer::wait(const std::string& id, const Call& call) {
  const Seat seat(waits_, parts_.options.finalize_waits_most);
  auto until = parts_.deps.clock->steady();
  if (seat.taken()) until += parts_.options.finalize_wait;
  for (;;) {
    ARTCACHE_TRY(auto found,
                 parts_.database->read(call, [&](db::Session& s) { return find_finalize(s, id); }));
    if (!found) return Error{Errc::not_found, "Transaction " + id + " not found"};
    if (is_end(found->state.status) || parts_.deps.clock->steady() >= until)
      return *std::move(found);
    ARTCACHE_CHECK(call.check("finalize", *parts_.deps.clock));
    const util::MutexLock lock(mutex_);
    changed_.wait_for(mutex_, kRound);
  }
}

// --- The work -----------------------------------------------------------------------------------

void Finalizer::work(std::stop_token stop) {
  Call call;
  call.stop = stop;
  while (!stop.stop_requested()) {
    if (auto job = take(call)) {
      const std::string id = job->id;
      advance(*std::move(job), call);
      const util::MutexLock lock(mutex_);
      busy_.erase(id);
      changed_.notify_all();
      continue;
    }
    const util::MutexLock lock(mutex_);
    if (!stop.stop_requested()) changed_.wait_for(mutex_, kRound);
  }
}

std::optional<Finalize> Finalizer::take(const Call& call) {
  auto running = parts_.database->read(call, [](db::Session& s) { return running_finalizes(s); });
  if (!running) return std::nullopt;
  const auto count = static_cast<double>(running->size());
  parts_.deps.metrics->gauge("finalize_transactions_in_progress", {}, count);
  const util::MutexLock lock(mutex_);
  const auto now = parts_.deps.clock->steady();
  for (Finalize& job : *running) {
    const auto pause = not_before_.find(job.id);
    if (pause != not_before_.end() && now < pause->second) continue;
    if (!busy_.insert(job.id).second) continue;
    not_before_.erase(job.id);
    return std::move(job);
  }
  return std::nullopt;
}

void Finalizer::advance(Finalize job, const Call& call) {
  const FinalizeStep step = next_step(job.state);
  if (step == FinalizeStep::none) return;
  if (begun(job.state).status != job.state.status) {
    job.state = begun(std::move(job.state));
    (void)store(job, {.state = job.state});  // for those who look on
  }
  const auto failure = failure_of(step == FinalizeStep::copy ? copy(job, call) : verify(job, call));
  const FinalizeMove move = after_step(job.state, failure, parts_.options.finalize_attempts);
  const auto stored = store(job, move);
  if (failure && failure->code != Errc::cancelled)
    log(LogLevel::warning, "A step of a finalize came to nothing", to_string(job.file),
        failure->message);
  if (move.again || !stored) {
    const util::MutexLock lock(mutex_);
    not_before_[job.id] = parts_.deps.clock->steady() + pause_after(move.state.attempts);
  }
  if (!stored || !*stored || !is_end(move.state.status)) return;
  const MetricLabel label[]{{"status", to_string(move.state.status)}};
  parts_.deps.metrics->count("file_finalize_total", label, 1);
  log(LogLevel::info, "A finalize has ended", to_string(job.file), label[0].value);
}

Result<bool> Finalizer::store(Finalize& job, const FinalizeMove& move) {
  const Timestamp now = parts_.deps.clock->now();
  job.state = move.state;
  Cleanup cleanup{.file = job.file, .due_at = now};
  if (move.effect == FinalizeEffect::remove_source) {
    cleanup.element = job.source;
    cleanup.keeper = job.target;
    cleanup.reason = kFinalized;
    cleanup.due_at = now + parts_.options.finalize_cleanup_after;
    job.cleanup_at = cleanup.due_at;
  } else if (move.effect == FinalizeEffect::remove_target) {
    cleanup.element = job.target;
    cleanup.keeper = job.source;
    cleanup.reason = kFinalizeFailed;
  }
  if (is_end(job.state.status)) job.completed_at = now;
  // Not with the call of the thread: what was done is written down also while it is stopped.
  return parts_.database->write(last_word(parts_.deps), [&](db::Session& s) -> Result<bool> {
    ARTCACHE_TRY(const std::int64_t rows, store_finalize(s, job));
    if (rows > 0 && !cleanup.element.empty()) ARTCACHE_CHECK(add_cleanup(s, cleanup));
    return rows > 0;
  });
}

Result<ElementView> Finalizer::reachable(const std::string& id) const {
  auto view = parts_.elements->find(id);
  if (!view || !view->healthy)
    return Error{Errc::unavailable, "storage element " + id + " is away"};
  return *std::move(view);
}

Result<FileFacts> Finalizer::needed(const ElementView& element, const FileId& file,
                                    const Call& call) {
  ARTCACHE_TRY(auto facts, parts_.client->find(element.url, file, call));
  if (!facts) return Error{Errc::not_found, "storage element " + element.id + " has no such file"};
  return *std::move(facts);
}

void Finalizer::log(LogLevel level, std::string_view message, const std::string& file,
                    std::string_view reason, const std::string& source) const {
  const LogField fields[]{{"file_id", std::string_view(file)},
                          {"reason", reason},
                          {"source", std::string_view(source)}};
  parts_.deps.logger->log({.level = level,
                           .logger = "ingester",
                           .message = message,
                           .fields = fields,
                           .request_id = {}});
}

}  // namespace artcache::ingester
