// SPDX-License-Identifier: Apache-2.0
// CacheRebuildService: takes the lock of an operation, runs it, and says so in the log.
#include <algorithm>
#include <array>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/lock_manager.hpp>
#include <optional>
#include <utility>

#include "core/locks/lock_table.hpp"
#include "core/reconcile/check.hpp"
#include "core/reconcile/cleanup.hpp"
#include "core/reconcile/context.hpp"
#include "core/reconcile/rebuild.hpp"
#include "core/reconcile/refresh_queue.hpp"
#include "core/reconcile/repair.hpp"
#include "core/reconcile/watch.hpp"
#include "util/background.hpp"
#include "util/hash.hpp"
#include "util/here.hpp"
#include "util/pause.hpp"
#include "util/random.hpp"
#include "util/try.hpp"

namespace artcache {

using namespace reconcile;

namespace {

constexpr std::size_t kRefreshBatch = 100;
constexpr std::chrono::milliseconds kQueueLook{500};
/// After a yield: how often the lock is asked for again.
constexpr std::chrono::milliseconds kAskAgain{50};
/// How often it is asked for while lower operations are on their way to their safe points: 30 s.
constexpr int kAskedForPlaceMost = 600;

struct Operation {
  LockClass lock_class;
  std::string_view name;     // for people, in the lock record
  std::string_view started;  // log lines
  std::string_view completed;
};
constexpr Operation kFull{LockClass::manual_rebuild, "full rebuild", "Starting full cache rebuild",
                          "Full cache rebuild completed"};
constexpr Operation kIncremental{LockClass::manual_rebuild, "incremental rebuild",
                                 "Starting incremental cache rebuild",
                                 "Incremental cache rebuild completed"};
constexpr Operation kCheck{LockClass::manual_check, "consistency check",
                           "Starting consistency check", "Consistency check completed"};
constexpr Operation kRepair{LockClass::manual_rebuild, "repair", "Starting repair",
                            "Repair completed"};
constexpr Operation kCleanup{LockClass::background_cleanup, "cleanup of expired entries",
                             "Starting cleanup of expired entries",
                             "Expired cache cleanup completed"};
constexpr Operation kRefresh{LockClass::lazy_rebuild, "refresh", "", ""};
constexpr Operation kWatch{LockClass::lazy_rebuild, "watch", "", ""};

/// What becomes of an operation whose lock somebody else holds.
enum class IfHeld : std::uint8_t { refuse, wait };

/// One thread at a time, while it lives.
class Turn {
 public:
  explicit Turn(std::atomic<bool>& taken) : taken_(taken), ours_(!taken.exchange(true)) {}
  ~Turn() {
    if (ours_) taken_ = false;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  explicit operator bool() const { return ours_; }

 private:
  std::atomic<bool>& taken_;
  const bool ours_;
};

/// With a result.
template <class F>
auto in_background(F&& work) -> decltype(work()) {
  std::optional<decltype(work())> result;
  util::in_background([&] { result.emplace(work()); });
  return std::move(*result);
}

std::string random_name() {
  std::array<std::uint8_t, 8> bytes{};
  util::fill_random(bytes);
  std::string text;
  util::append_hex(text, bytes);
  return text;
}

}  // namespace

class CacheRebuildService::Impl {
 public:
  Impl(StorageBackend& storage, MetadataStore& index, LockManager& locks, RebuildSettings settings,
       const Deps& deps)
      : locks_(locks),
        settings_(std::move(settings)),
        budget_(*deps.clock),
        context_{storage, index, budget_, settings_, deps},
        queue_(settings_.refresh_queue_most) {
    if (settings_.table.empty()) settings_.table = index.describe();
  }

  /// Runs `work` under the lock of the operation; when it yields to a higher class, again from
  /// the beginning once that is done, which is the same comparison gone on with.
  template <class F>
  auto under_lock(const Operation& operation, IfHeld if_held, const Call& call, F&& work)
      -> decltype(work(std::declval<Session&>())) {
    const std::string waiter = random_name();
    // Watching takes it for every change.
    const LogLevel level = &operation == &kWatch ? LogLevel::debug : LogLevel::info;
    for (;; if_held = after_yield(operation, if_held)) {
      ARTCACHE_TRY(Session session, acquire(operation, waiter, if_held, call));
      context_.log(
          level, "Lock acquired successfully",
          {{"element_id", settings_.element}, {"lock_type", to_string(operation.lock_class)}},
          call);
      auto result = work(session);
      if (!result && result.error().code == Errc::lease_lost)
        count("artcache_lock_losses_total", operation);
      if (result || !session.yielded()) return result;
      count("artcache_lock_yields_total", operation);
      context_.log(LogLevel::info, "Lock given up to a higher operation",
                   {{"element_id", settings_.element}, {"operation", operation.name}}, call);
    }
  }

  template <class F>
  auto run_operation(const Operation& operation, const Call& call, F&& work,
                     IfHeld if_held = IfHeld::refuse) -> decltype(work(std::declval<Session&>())) {
    auto result = in_background([&] {
      return under_lock(operation, if_held, call, [&](Session& session) {
        context_.log(LogLevel::info, operation.started, {{"element_id", settings_.element}}, call);
        return work(session);
      });
    });
    if (result) {
      finished(operation, result->verdict, call);
    } else {
      const std::string text = to_string(result.error());
      // Who is refused, or stopped, met no fault.
      const Errc why = result.error().code;
      const bool fault = why != Errc::busy && why != Errc::cancelled;
      const std::string source = util::here();
      context_.log(fault ? LogLevel::error : LogLevel::warning, "Operation did not complete",
                   {{"operation", operation.name},
                    {"element_id", settings_.element},
                    {"error", text},
                    {"source", source}},
                   call);
    }
    return result;
  }

  Result<RebuildReport> rebuild(RunKind kind, const RebuildRequest& request, const Call& call,
                                IfHeld if_held = IfHeld::refuse) {
    const bool full = kind == RunKind::full;
    const auto keep_run = [&](const RebuildReport& report) {
      keep(kLastRunNote, full ? kFull : kIncremental, report.verdict,
           std::to_string(report.statistics.attr_files_scanned) + " sidecars, " +
               std::to_string(report.statistics.cache_entries_after) + " entries",
           call);
    };
    return run_operation(
        full ? kFull : kIncremental, call,
        [&](Session& session) {
          // Nothing is: S000's operators look for the line to see that it has begun.
          if (full)
            context_.log(LogLevel::info, "Truncated cache table: " + settings_.table, {}, call);
          return reconcile::rebuild(context_, kind, request, session, keep_run);
        },
        if_held);
  }

  /// For doctor: best effort, since the run is done whatever becomes of the note about it.
  void keep(std::string_view name, const Operation& operation, const RunVerdict& verdict,
            const std::string& figures, const Call& call) {
    std::string text = to_string(verdict.completed_at);
    text.append(" ").append(operation.name).append(": ");
    text.append(verdict.complete() ? "complete" : "not complete").append(", ").append(figures);
    if (!verdict.complete()) text.append("; not seen: ").append(verdict.not_seen);
    text.resize(std::min(text.size(), kNoteMost));
    (void)context_.index.set_note(name, text, 0, call);
  }

  Result<RefreshOutcome> refresh(const FileId& id, const Call& call) {
    return under_lock(
        kRefresh, IfHeld::refuse, call, [&](Session& session) -> Result<RefreshOutcome> {
          Tally tally(context_);
          RunStatistics statistics;
          ARTCACHE_TRY(const auto outcomes,
                       reconcile::refresh(context_, {&id, 1}, session, tally, statistics));
          return outcomes.front();
        });
  }

  Result<void> run(const Call& call) {
    const Turn turn(running_);
    if (!turn) return Error{Errc::conflict, "refresh queue: somebody works it off already"};
    return in_background([&] { return work_off(call); });
  }
  Result<void> work_off(const Call& call) {
    while (call.check("refresh queue", *context_.deps.clock)) {
      const auto ids = queue_.take(kRefreshBatch, kQueueLook, call.stop);
      if (!ids.empty()) refresh_batch(ids, call);
    }
    return {};
  }

  Result<void> watch(const WatchRequest& request, const Call& call) {
    const Turn turn(watching_);
    if (!turn) return Error{Errc::conflict, "watch: somebody watches already"};
    WatchAccess access;
    access.beside_others = [this](const WatchAccess::Work& work, const Call& under) {
      return under_lock(kWatch, IfHeld::wait, under, work);
    };
    access.rescan_all = [this](const Call& under) {
      return rebuild(RunKind::incremental, {.prune = Prune::yes}, under, IfHeld::wait);
    };
    watched_.update([](WatchStatus& status) { status = {.running = true}; });
    auto ended =
        in_background([&] { return reconcile::watch(context_, access, request, watched_, call); });
    watched_.update([&](WatchStatus& status) {
      status.running = status.by_notices = false;
      if (!ended) status.message = to_string(ended.error());
    });
    return ended;
  }
  WatchStatus watch_status() const { return watched_.get(); }

  Status status() const {
    return {.queued = queue_.size(),
            .refreshed = refreshed_.load(),
            .refresh_failures = failures_.load(),
            .skipped_by_lock = skipped_.load(),
            .dropped = dropped_.load(),
            .running = running_.load()};
  }

  bool offer(const FileId& id) {
    if (queue_.offer(id)) return true;
    ++dropped_;
    return false;
  }

  const Context& context() const { return context_; }
  IoBudget& budget() { return budget_; }

 private:
  void count(std::string_view name, const Operation& operation) const {
    const std::array<MetricLabel, 1> labels{{{"lock_type", to_string(operation.lock_class)}}};
    context_.deps.metrics->count(name, labels, 1);
  }

  /// Nearly all of its time is waiting for others.
  Result<Session> acquire(const Operation& operation, const std::string& waiter, IfHeld if_held,
                          const Call& call) {
    const auto asked = context_.deps.clock->steady();
    auto session = ask_for_lock(operation, waiter, if_held, call);
    const bool busy = !session && session.error().code == Errc::busy;
    const std::array<MetricLabel, 2> labels{
        {{"lock_type", to_string(operation.lock_class)},
         {"outcome", session ? "granted" : (busy ? "busy" : "error")}}};
    context_.deps.metrics->observe("artcache_lock_wait_seconds", labels,
                                   seconds_of(context_.deps.clock->steady() - asked));
    return session;
  }

  /// Who has yielded waits for as long as it takes. Another one waits for lower operations, which
  /// have been asked to yield, and for nobody else. Only who waits keeps a place.
  Result<Session> ask_for_lock(const Operation& operation, const std::string& waiter,
                               IfHeld if_held, const Call& call) {
    LockRequest request{.element = settings_.element,
                        .lock_class = operation.lock_class,
                        .operation = std::string(operation.name),
                        .ttl = std::nullopt,
                        .waiter = if_held == IfHeld::wait ? waiter : std::string()};
    for (int tries = 0;; ++tries) {
      auto session = Session::begin(locks_, request, context_.deps, call);
      if (session) return session;
      if (session.error().code != Errc::busy) return session;
      if (if_held == IfHeld::refuse &&
          (tries == kAskedForPlaceMost || !gives_way(operation.lock_class, call)))
        return session.error().in("Cannot acquire lock");
      ARTCACHE_CHECK(call.check(operation.name, *context_.deps.clock));
      request.waiter = waiter;
      (void)util::pause_for(kAskAgain, call.stop);
    }
  }

  /// A lazy refresh is left out rather than late: what it yields to reads the entry as well.
  static IfHeld after_yield(const Operation& operation, IfHeld before) {
    return operation.lock_class == LockClass::lazy_rebuild ? before : IfHeld::wait;
  }

  /// Whether all that stands in the way has been asked to make room.
  bool gives_way(LockClass wanted, const Call& call) {
    const auto holders = locks_.list(settings_.element, call);
    return holders && std::ranges::none_of(*holders, [&](const LockHolder& holder) {
             return locks::conflicts(holder.lock_class, wanted) && holder.lock_class <= wanted;
           });
  }

  void finished(const Operation& operation, const RunVerdict& verdict, const Call& call) {
    context_.log(LogLevel::info, operation.completed,
                 {{"element_id", settings_.element},
                  {"duration_seconds", seconds_of(verdict.duration)},
                  {"verdict", verdict.complete() ? "complete" : "incomplete"}},
                 call);
    if (!verdict.complete())
      context_.log(LogLevel::warning, "Something was not seen",
                   {{"operation", operation.name}, {"not_seen", verdict.not_seen}}, call);
  }

  /// Counts behind its log line: who sees the count finds the line.
  void refresh_batch(const std::vector<FileId>& ids, const Call& call) {
    context_.log(LogLevel::info, "Lazy rebuild triggered for expired entry",
                 {{"element_id", settings_.element},
                  {"file_id", to_string(ids.front())},
                  {"entries", static_cast<std::int64_t>(ids.size())}},
                 call);
    Tally tally(context_);
    RunStatistics statistics;
    const auto done = under_lock(kRefresh, IfHeld::refuse, call, [&](Session& session) {
      return reconcile::refresh(context_, ids, session, tally, statistics);
    });
    if (!done && done.error().code == Errc::busy) {
      context_.log(
          LogLevel::info,
          "Cannot acquire LAZY_REBUILD lock, skipping rebuild: lazy rebuild skipped due to lock",
          {{"element_id", settings_.element}, {"reason", done.error().message}}, call);
      skipped_ += ids.size();
      return;
    }
    if (!done) {
      const std::string text = to_string(done.error());
      context_.log(LogLevel::warning, "Lazy rebuild did not complete",
                   {{"element_id", settings_.element}, {"reason", text}}, call);
      failures_ += ids.size();
      return;
    }
    context_.log(LogLevel::info, "Cache entry rebuilt successfully from attr.json",
                 {{"entries", static_cast<std::int64_t>(ids.size())}}, call);
    refreshed_ += ids.size();
  }

  LockManager& locks_;
  RebuildSettings settings_;
  IoBudget budget_;
  const Context context_;
  RefreshQueue queue_;
  WatchBoard watched_;
  std::atomic<bool> running_{false}, watching_{false};
  std::atomic<std::uint64_t> refreshed_{0}, failures_{0}, skipped_{0}, dropped_{0};
};

CacheRebuildService::CacheRebuildService(StorageBackend& storage, MetadataStore& index,
                                         LockManager& locks, RebuildSettings settings,
                                         const Deps& deps)
    : impl_(std::make_unique<Impl>(storage, index, locks, std::move(settings), deps)) {}

CacheRebuildService::~CacheRebuildService() = default;

Result<RebuildReport> CacheRebuildService::rebuild_full(const RebuildRequest& request,
                                                        const Call& call) {
  return impl_->rebuild(RunKind::full, request, call);
}

Result<RebuildReport> CacheRebuildService::rebuild_incremental(const RebuildRequest& request,
                                                               const Call& call) {
  return impl_->rebuild(RunKind::incremental, request, call);
}

Result<ConsistencyReport> CacheRebuildService::check_consistency(const CheckRequest& request,
                                                                 const Call& call) {
  auto report = impl_->run_operation(kCheck, call, [&](Session& session) {
    return reconcile::check(impl_->context(), request, session);
  });
  if (report)
    impl_->keep(kLastCheckNote, kCheck, report->verdict,
                report->is_consistent() ? "consistent" : "not consistent", call);
  return report;
}

Result<RepairReport> CacheRebuildService::repair(const RepairRequest& request, const Call& call) {
  return impl_->run_operation(kRepair, call, [&](Session& session) {
    return reconcile::repair(impl_->context(), request, session);
  });
}

Result<RebuildReport> CacheRebuildService::cleanup_expired(const Call& call) {
  return impl_->run_operation(kCleanup, call, [&](Session& session) {
    return reconcile::cleanup_expired(impl_->context(), session);
  });
}

Result<RefreshOutcome> CacheRebuildService::refresh(const FileId& id, const Call& call) {
  return impl_->refresh(id, call);
}

bool CacheRebuildService::queue_refresh(const FileId& id) { return impl_->offer(id); }
Result<void> CacheRebuildService::run(const Call& call) { return impl_->run(call); }
CacheRebuildService::Status CacheRebuildService::status() const { return impl_->status(); }

Result<void> CacheRebuildService::watch(const WatchRequest& request, const Call& call) {
  return impl_->watch(request, call);
}
WatchStatus CacheRebuildService::watch_status() const { return impl_->watch_status(); }

IoBudget& CacheRebuildService::budget() { return impl_->budget(); }

}  // namespace artcache
