// SPDX-License-Identifier: Apache-2.0
// Keeps an index in step with its storage: rebuild, check, repair, cleanup, refresh, watch.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/element.hpp>
#include <artcache/export.hpp>
#include <artcache/file_id.hpp>
#include <artcache/io_budget.hpp>
#include <artcache/json_writer.hpp>
#include <artcache/record.hpp>
#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <artcache/watch.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace artcache {

class LockManager;
class MetadataStore;
class StorageBackend;

// --- Reports ------------------------------------------------------------------------------------

/// How far a run has come. `total` is 0 while nobody knows.
struct RunProgress {
  std::string_view phase;  ///< "listing", "comparing", "pruning", …
  std::uint64_t processed = 0, total = 0;
  double per_second = 0;
};
/// Called a few times a second, by one thread of the operation while its caller waits.
using ProgressSink = std::function<void(const RunProgress&)>;

/// What a run was true between, and whether it saw everything.
struct RunVerdict {
  Timestamp started_at, completed_at;
  std::chrono::nanoseconds duration{0};
  Position from, to;          ///< of the index, when the run began and when it ended
  std::string not_seen = {};  ///< empty: complete; else what was not seen, and why
  [[nodiscard]] bool complete() const { return not_seen.empty(); }
};

/// Messages up to a limit, and how many there were.
struct MessageList {
  std::vector<std::string> texts;
  std::uint64_t total = 0;
};

struct RunStatistics {
  std::uint64_t attr_files_scanned = 0;  ///< sidecars that the listing showed
  std::uint64_t cache_entries_before = 0, cache_entries_after = 0;
  std::uint64_t entries_created = 0;  ///< full: all that were read and are now in the index
  std::uint64_t entries_updated = 0;
  std::uint64_t entries_deleted = 0;
  // What really happened.
  std::uint64_t entries_inserted = 0, entries_changed = 0, entries_unchanged = 0;
  std::uint64_t entries_refreshed = 0;  ///< cleanup: replaced in place
  std::uint64_t sidecars_opened = 0, bytes_read = 0;
  std::uint64_t unreadable = 0;  ///< sidecars that say nothing; their entries were left alone
  std::uint64_t twins = 0;       ///< sidecars that tell of an id which a newer one tells of
};

enum class RunKind : std::uint8_t { full, incremental, cleanup_expired };
/// The wire name: "full", "incremental", "cleanup_expired".
ARTCACHE_EXPORT std::string_view to_string(RunKind kind);

struct RebuildReport {
  RunKind kind = RunKind::full;
  RunVerdict verdict;
  RunStatistics statistics;
  MessageList errors;  ///< sidecars that could not be read, twins, what was not seen
};

/// What a check can find. The first three say that index and sidecars differ; the others concern
/// data files and freshness.
enum class FindingKind : std::uint8_t {
  orphan_cache,   ///< an entry without a sidecar, or whose sidecar tells of another file now
  orphan_attr,    ///< a sidecar without an entry
  stale,          ///< the entry says something else than its sidecar
  expired,        ///< nobody has compared the entry with its sidecar for longer than its TTL
  unreadable,     ///< a sidecar that says nothing
  missing_data,   ///< a sidecar without its data file
  orphan_data,    ///< a data file without a sidecar
  size_mismatch,  ///< the data file has another size than its sidecar says
  bad_checksum,   ///< the data file has other bytes than its sidecar says
  pending,        ///< an upload or removal of this element is under way, or was cut short
};
inline constexpr std::size_t kFindingKinds = 10;
/// The wire name: "orphan_cache", …
ARTCACHE_EXPORT std::string_view to_string(FindingKind kind);

struct Finding {
  FindingKind kind = FindingKind::stale;
  std::optional<FileId> id;
  std::string path;    ///< of the sidecar, or of the data file for the kinds that concern data
  std::string detail;  ///< for people
};

struct ConsistencyReport {
  RunVerdict verdict;
  std::uint64_t total_attr_files = 0;  ///< readable sidecars
  std::uint64_t total_cache_entries = 0;
  std::uint64_t counts[kFindingKinds] = {};
  std::vector<Finding> findings;  ///< up to the limit of details for each kind
  std::uint64_t data_files_verified = 0;
  std::string suspect_reason;  ///< of the index; empty while it is trusted
  MessageList errors;

  [[nodiscard]] std::uint64_t count(FindingKind kind) const {
    return counts[static_cast<std::size_t>(kind)];
  }
  /// Index and sidecars agree.
  [[nodiscard]] bool is_consistent() const;
  /// 100 x what differs / the larger of the totals, two digits; 0 when there is nothing at all.
  [[nodiscard]] double inconsistency_percentage() const;
};

struct RepairReport {
  RunVerdict verdict;
  std::uint64_t entries_put = 0, entries_removed = 0, sidecars_written = 0;
  std::vector<Finding> left;  ///< what could not be mended, `detail` says why
  std::uint64_t left_total = 0;
  MessageList errors;
};

/// The members of one JSON object, inside an object that the caller has begun: the shapes of the
/// cache endpoints and of `artcache … --json`.
ARTCACHE_EXPORT void append_members(JsonWriter& json, const RebuildReport& report);
ARTCACHE_EXPORT void append_members(JsonWriter& json, const ConsistencyReport& report);
ARTCACHE_EXPORT void append_members(JsonWriter& json, const RepairReport& report);

// --- Requests -----------------------------------------------------------------------------------

enum class Prune : std::uint8_t { no, yes };

struct RebuildRequest {
  std::string folder = {};  ///< only what is below it; empty for the whole storage
  Prune prune = Prune::no;  ///< incremental only: a full rebuild always prunes
  ProgressSink progress = {};
};

enum class DataCheck : std::uint8_t {
  names,      ///< that data files exist and have the right size
  checksums,  ///< that they have the right bytes, too: reads all of them
};
struct CheckRequest {
  DataCheck data = DataCheck::names;
  /// Given every confirmed finding as it comes, beyond the limit of details too; by one thread of
  /// the operation while its caller waits.
  std::function<void(const Finding&)> on_finding = {};
  ProgressSink progress = {};
};

enum class RepairFrom : std::uint8_t {
  storage,  ///< the index is made to say what the sidecars say
  /// Lost sidecars are written anew where the data file stands, then as above; an entry whose
  /// sidecar cannot be is kept, and named.
  index,
};
enum class DryRun : std::uint8_t { no, yes };
struct RepairRequest {
  RepairFrom from = RepairFrom::storage;
  DryRun dry_run = DryRun::no;  ///< yes: says what would be done
  ProgressSink progress = {};
};

enum class RefreshOutcome : std::uint8_t {
  refreshed,   ///< the entry says what its sidecar says, and is fresh
  removed,     ///< the sidecar is gone, or tells of another file now, and the entry is gone
  unreadable,  ///< the sidecar says nothing; the entry was left as it was
  unknown,     ///< there is no such entry
};

struct RebuildSettings {
  std::string element = "default";  ///< whose locks are taken
  std::string table = {};           ///< what log lines call the table; describe() when empty
  ElementMode mode = ElementMode::edit;
  std::optional<std::int32_t> ttl_hours = {};  ///< default_ttl_hours(mode) otherwise
  std::size_t details_most = 1000;             ///< findings of each kind, and messages, in a report
  std::uint64_t sidecar_size_most = std::uint64_t{1024} * 1024;
  std::size_t refresh_queue_most = 10'000;
  /// Files whose ids and paths are held at once, about 40 bytes each: with more of them the
  /// storage is listed several times.
  std::size_t found_most = 1'500'000;
};

/// The notes in the index (EntryReader::note) that say what became of the last rebuild and of the
/// last check, by whatever process: `<time> <operation>: <verdict>`.
inline constexpr std::string_view kLastRunNote = "last_run";
inline constexpr std::string_view kLastCheckNote = "last_check";

/// One storage, the index of it, and what keeps them in step. Safe to call from any thread;
/// what must not run at the same time is kept apart by the locks, in this process and others.
///
/// Nothing is truncated, renamed or swapped while a run goes on: readers always see whole entries,
/// writers go on, and what they write is never replaced by something older. A run that is killed
/// or stopped is resumed by the next one of its kind. Every change is made under the fence of the
/// lock, so a holder that lost it changes nothing.
///
/// Locks go by RebuildSettings::element: settle_element() tells which one an index is of.
///
/// Whoever calls an operation waits for threads of its own, which stand behind others: they
/// interrupt nobody when they wake up (SCHED_BATCH, where the caller had the usual policy), and are
/// nicer than the caller by 5, those that only read by 10. refresh() alone works on the thread that
/// called it. Sinks are called by those threads.
///
/// Errors of every operation: busy (another one holds the lock; the message names it), lease_lost,
/// unavailable, no_space, timed_out, cancelled, corrupt.
class ARTCACHE_EXPORT CacheRebuildService {
 public:
  /// What is named must outlive the service.
  CacheRebuildService(StorageBackend& storage, MetadataStore& index, LockManager& locks,
                      RebuildSettings settings, const Deps& deps);
  ~CacheRebuildService();
  CacheRebuildService(const CacheRebuildService&) = delete;
  CacheRebuildService& operator=(const CacheRebuildService&) = delete;

  /// Opens every sidecar, makes the index say what they say, and removes entries without a
  /// sidecar. Afterwards no entry whose sidecar was read is expired: freshness older than a 24th of
  /// the TTL is renewed. Fills an index that is nearly empty in bulk.
  Result<RebuildReport> rebuild_full(const RebuildRequest& request, const Call& call);
  /// Opens only new and changed sidecars, by their stamps, and those whose entry differs.
  Result<RebuildReport> rebuild_incremental(const RebuildRequest& request, const Call& call);
  /// Changes nothing. Each finding is looked at a second time; what the log says has changed
  /// meanwhile is left out.
  Result<ConsistencyReport> check_consistency(const CheckRequest& request, const Call& call);
  /// What is missing is written nowhere in modes ro and ar.
  Result<RepairReport> repair(const RepairRequest& request, const Call& call);
  /// Replaces every expired entry in place by what its sidecar says, removes those without one.
  Result<RebuildReport> cleanup_expired(const Call& call);

  /// The same for one entry, at once, whether it has expired or not. busy only beside a rebuild.
  Result<RefreshOutcome> refresh(const FileId& id, const Call& call);
  /// Queues an entry for run(); one that is queued already is not queued again. False when the
  /// queue is full: the next read asks again.
  bool queue_refresh(const FileId& id);
  /// Works the queue off until the call ends; for a thread of the host. One at a time.
  Result<void> run(const Call& call);

  struct Status {
    std::size_t queued = 0;
    std::uint64_t refreshed = 0, refresh_failures = 0, skipped_by_lock = 0, dropped = 0;
    bool running = false;  ///< somebody is in run()
  };
  [[nodiscard]] Status status() const;

  /// Follows the storage until the call ends, which is a success: compares all of it once, prunes,
  /// and then applies changes as they come; for a thread of the host. One at a time. Whatever ends
  /// it, the next one goes on from there. Where notices of changes were lost, the folders concerned
  /// are compared again, and the index is suspect until that is done.
  /// Waits for the locks that it needs, and holds none while nothing changes. What may pass (an
  /// index that is away, a lease that was lost) is tried again.
  /// Errors: conflict (somebody is in it), unsupported (the storage tells of no changes) and
  /// no_space (of too many folders), both only without WatchRequest::rescan_every; not_found (the
  /// storage is gone), no_space, corrupt.
  Result<void> watch(const WatchRequest& request, const Call& call);
  [[nodiscard]] WatchStatus watch_status() const;

  /// Slows every operation down to so much, refresh() and run() too; may be changed at any time.
  [[nodiscard]] IoBudget& budget();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace artcache
