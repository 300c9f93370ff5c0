// SPDX-License-Identifier: Apache-2.0
// What all operations on one index share, and what each of them counts.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/storage_backend.hpp>
#include <atomic>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/reconcile/session.hpp"
#include "core/reconcile/succession.hpp"
#include "core/reconcile/walk.hpp"
#include "util/mutex.hpp"
#include "util/path_set.hpp"

namespace artcache::reconcile {

/// The name under which all of this logs.
inline constexpr std::string_view kLogger = "cache_rebuild";

/// What to tell people of Standing::another.
inline constexpr char kTellsOfAnother[] = "the sidecar of the entry tells of another file";

struct Context {
  StorageBackend& storage;
  MetadataStore& index;
  IoBudget& budget;
  const RebuildSettings& settings;
  const Deps deps;

  [[nodiscard]] Timestamp now() const { return deps.clock->now(); }
  [[nodiscard]] Freshness fresh() const {
    return {now(), settings.ttl_hours.value_or(default_ttl_hours(settings.mode))};
  }
  [[nodiscard]] WalkPlan plan() const;
  /// For read_chunk() on the one thread of an operation.
  [[nodiscard]] WalkPlan plan(Session& session) const;
  /// False only where there is no such file for certain: a link or a folder that may not be looked
  /// into is no reason to take an entry away, or to give up all the rest.
  [[nodiscard]] Result<bool> may_stand(std::string_view path, const Call& call) const;
  /// Reads it. Errors: those of read_chunk().
  [[nodiscard]] Result<Standing> standing(const std::string& path, const FileId& id,
                                          Session& session) const;
  void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields,
           const Call& call) const;
};

/// Collects messages up to the limit of details, and whether something was not seen. Safe to call
/// from any thread.
class Tally {
 public:
  static constexpr std::size_t kUnseenFoldersMost = 1000;

  explicit Tally(const Context& context) : context_(context) {}

  void message(std::string text);
  /// Further texts are only counted.
  [[nodiscard]] bool is_full() const;
  /// A part of the storage that nothing is known of: the verdict is not complete.
  void not_seen(std::string_view path, const Error& error);
  /// The same for what a listing skipped; links and what vanished hide nothing. It stands for all
  /// that lies below it: of that nothing more is told.
  void not_seen(const ListProblem& problem);
  /// What a part of this operation did not see, and has told of.
  void not_seen(const RunVerdict& part);

  [[nodiscard]] MessageList messages() const;
  /// Empty when everything was seen.
  [[nodiscard]] std::string unseen() const;

 private:
  const Context& context_;
  mutable util::Mutex mutex_;
  MessageList list_ ARTCACHE_GUARDED_BY(mutex_);
  std::uint64_t unseen_ ARTCACHE_GUARDED_BY(mutex_) = 0;
  std::string first_unseen_ ARTCACHE_GUARDED_BY(mutex_);
  util::PathSet unseen_folders_ ARTCACHE_GUARDED_BY(mutex_){kUnseenFoldersMost};
};

/// Tells people how far a run has come: a sink of progress, and log lines.
class Meter {
 public:
  Meter(const Context& context, const ProgressSink& sink, const Call& call);

  void phase(std::string_view phase, std::uint64_t total);
  /// From any thread.
  void add(std::uint64_t processed) { processed_.fetch_add(processed, std::memory_order_relaxed); }
  /// On the thread of the call: reports, if it is time.
  void report();
  /// For the lock record.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::uint64_t processed() const { return processed_.load(); }

 private:
  void log_marks(std::uint64_t processed);

  const Context& context_;
  const ProgressSink& sink_;
  const Call& call_;
  std::atomic<std::uint64_t> processed_{0};
  std::string_view phase_;
  std::uint64_t total_ = 0, next_mark_ = 100;
  Clock::SteadyTime begun_, told_;
};

/// The times and positions of a run.
class Stopwatch {
 public:
  static Result<Stopwatch> start(const Context& context, const Call& call);
  Result<RunVerdict> stop(const Tally& tally, const Call& call);
  [[nodiscard]] const IndexHead& before() const { return before_; }
  [[nodiscard]] Timestamp started_at() const { return started_at_; }
  /// Once stopped.
  [[nodiscard]] const IndexHead& after() const { return after_; }

 private:
  explicit Stopwatch(const Context& context);
  const Context* context_;
  Timestamp started_at_;
  Clock::SteadyTime begun_;
  IndexHead before_, after_;
};

/// The log's word for a duration: seconds with two digits.
double seconds_of(std::chrono::nanoseconds duration);

}  // namespace artcache::reconcile
