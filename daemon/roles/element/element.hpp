// SPDX-License-Identifier: Apache-2.0
// A storage element behind HTTP: its files, its cache endpoints, and what runs beside the requests.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/element.hpp>
#include <artcache/file_service.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <artcache/storage_backend.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "auth/guard.hpp"
#include "http/site.hpp"
#include "roles/element/jobs.hpp"
#include "roles/element/log_polls.hpp"
#include "util/mutex.hpp"

namespace artcache::element {

/// How much of the storage all runs may take, and refreshes of what is read; 0: all there is.
struct RunRates {
  std::uint64_t files_per_second = 0, bytes_per_second = 0;
};

/// What an element is told. Times of zero mean: no limit, or never.
struct ElementSettings {
  std::string id = "se-01";
  std::string name = "storage-element", display_name = "Storage Element", version = "1.2.0";
  ElementMode mode = ElementMode::edit;
  std::uint64_t priority = 100;
  std::string table = {};                              ///< what log lines call the index
  std::string storage_type = "local", base_path = {};  ///< "local" or "s3"; folder or bucket/folder
  std::string datacenter = {};
  std::optional<std::uint64_t> capacity_bytes = {};  ///< STORAGE_MAX_SIZE
  std::optional<std::int32_t> ttl_hours = {};
  std::uint64_t upload_most = std::uint64_t{1} << 40;
  std::size_t details_most = 1000;
  std::chrono::nanoseconds run_limit{0};  ///< of a rebuild, check or cleanup
  RunRates run_rates = {};
  std::chrono::nanoseconds snapshot_limit{std::chrono::hours(1)};  ///< for its reader; 0: none
  /// start() begins a full rebuild when the index may be wrong, as a new one is.
  bool rebuild_suspect = false;
  /// A point read takes microseconds: it may be tried on the I/O thread.
  bool embedded = false;
};

/// What an element works with; outlives it.
struct ElementParts {
  StorageBackend* storage = nullptr;
  MetadataStore* index = nullptr;
  LockManager* locks = nullptr;   ///< of operations, wherever operators want them
  LockManager* claims = nullptr;  ///< of files under change: in the index, whose fence they need
  auth::Gate* gate = nullptr;
  Deps deps;
};

/// The two services of one mode, with the threads that refresh expired entries and settle changes
/// which were cut short.
class Services {
 public:
  Services(const ElementParts& parts, const ElementSettings& settings, ElementMode mode);
  ~Services();
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  /// Begins to refresh what expired reads have queued, and to settle. Once.
  void start();
  /// Begins to settle alone, what its own changes leave. Once, and not besides start().
  void start_settling();
  /// Settles what there is now; the rounds go on with what that leaves.
  void settle_once(const Call& call);
  /// Ends that, and waits for it.
  void stop();

  const ElementMode mode;
  CacheRebuildService caches;
  FileService files;

 private:
  const Deps deps_;
  void settle(const std::stop_token& stop);
  std::jthread refresher_, settler_;
};

/// Locks that tell the job which asks for one when it was granted.
class ToldLocks final : public LockManager {
 public:
  ToldLocks(LockManager& locks, Jobs& jobs) : locks_(locks), jobs_(jobs) {}

  Result<Lease> try_acquire(const LockRequest& request, const Call& call) override {
    auto lease = locks_.try_acquire(request, call);
    if (lease) jobs_.begun(call.stop);
    return lease;
  }
  Result<RenewOutcome> renew(Lease& lease, std::string_view progress, const Call& call) override {
    return locks_.renew(lease, progress, call);
  }
  Result<void> release(const Lease& lease, const Call& call) override {
    return locks_.release(lease, call);
  }
  Result<std::vector<LockHolder>> list(std::string_view element, const Call& call) override {
    return locks_.list(element, call);
  }
  Result<bool> force_break(std::string_view element, LockClass lock_class,
                           const Call& call) override {
    return locks_.force_break(element, lock_class, call);
  }

 private:
  LockManager& locks_;
  Jobs& jobs_;
};

/// Safe to use from any thread once its routes are added.
class Element {
 public:
  Element(ElementSettings settings, const ElementParts& parts);
  ~Element() { stop(); }
  Element(const Element&) = delete;
  Element& operator=(const Element&) = delete;

  /// Errors: conflict (a route is there already).
  Result<void> add_routes(http::Site& site);

  /// Takes up the mode that a transition left behind, settles what crashed writers left, and begins
  /// to refresh. Errors: unavailable, corrupt, timed_out, cancelled.
  Result<void> start(const Call& call);
  /// Cancels jobs and ends all threads; a run that is cut short is resumed by the next one.
  void stop();

  /// Those of the mode of this moment; who holds them keeps them.
  [[nodiscard]] std::shared_ptr<Services> services() const;
  /// For who may remove files in every mode: the garbage collector.
  [[nodiscard]] Services& unrestricted() { return unrestricted_; }
  /// rw to ro, ro to ar, and back from ro to rw; kept in the index.
  /// Errors: conflict (it is not in `from`, there is no such way, another change goes on), and
  /// those of the index.
  Result<void> change_mode(ElementMode from, ElementMode to, const Call& call);

  /// Those of this moment.
  [[nodiscard]] RunRates run_rates() const;
  /// From now on, for what runs already, too; but for a run that began in another mode.
  void set_run_rates(const RunRates& rates);

  /// A follower has seen the log at this position, and the log knows it no more: the index was put
  /// back. It is suspect until an incremental rebuild, which is begun, has seen everything. Once
  /// for all positions up to the highest one, until the log does not know either what it has told
  /// since: then it was put back once more. Returns at once.
  void rewound(const Position& seen, const Call& from);
  /// The same of a follower whose word does not count, as of one who may only read: it is logged
  /// and counted, once likewise and unless one whose word does has said so, and nothing else comes
  /// of it.
  void doubted(const Position& seen, const Call& from);
  /// A follower was told of the log up to here.
  void told(const Position& upto);

  [[nodiscard]] const ElementSettings& settings() const { return settings_; }
  [[nodiscard]] const ElementParts& parts() const { return parts_; }
  Jobs& jobs() { return jobs_; }
  LogPolls& polls() { return polls_; }

  /// How much room there is, by capacity_bytes or by the storage. `used` is by the files of the
  /// element alone.
  struct Room {
    std::uint64_t total = 0, used = 0, available = 0, files = 0;
    bool index_trusted = true;  ///< that the files are all, and no more
    /// What is not available, be it taken by these files or by others on the same disk.
    [[nodiscard]] std::uint64_t taken() const { return total > available ? total - available : 0; }
    [[nodiscard]] double percent_used() const;
  };
  /// Errors: unavailable, timed_out.
  Result<Room> room(const Call& call) const;

 private:
  Result<void> change_alone(ElementMode from, ElementMode to, const Call& call);
  /// What is known of an index that was put back.
  struct Rewinds {
    std::uint64_t upto = 0;
    Position told = {};  ///< the furthest since it was put back
  };
  /// Whether nobody has come with it yet; afterwards somebody has. Errors: those of the index.
  Result<bool> is_news(Rewinds Element::*whose, const Position& seen, const Call& from);

  const ElementSettings settings_;
  Jobs jobs_;
  ToldLocks locks_;
  const ElementParts parts_;
  LogPolls polls_;
  Services unrestricted_;
  mutable util::Mutex mutex_;
  std::shared_ptr<Services> services_ ARTCACHE_GUARDED_BY(mutex_);
  RunRates run_rates_ ARTCACHE_GUARDED_BY(mutex_);
  bool started_ ARTCACHE_GUARDED_BY(mutex_) = false;
  bool changing_ ARTCACHE_GUARDED_BY(mutex_) = false;  ///< the mode
  // By those whose word counts, and by anybody.
  Rewinds believed_ ARTCACHE_GUARDED_BY(mutex_), heard_ ARTCACHE_GUARDED_BY(mutex_);
};

/// What a run does that another one's lock keeps from beginning.
enum class IfRefused : std::uint8_t {
  fails,
  tries_on,  ///< every few seconds, for nobody waits for it who could ask again
};
/// How a run goes about it; each operation looks at what concerns it.
struct RunOptions {
  Prune prune = Prune::no;            ///< an incremental rebuild
  DataCheck data = DataCheck::names;  ///< a consistency check
};
/// Begins "rebuild", "rebuild_incremental", "consistency" or "cleanup_expired" as a job; its id.
/// Errors: not_found (no such operation), and those of Jobs::start().
Result<std::string> start_run(Element& element, std::string_view operation,
                              const RunOptions& options, IfRefused refused, const Call& from);

/// Each adds its routes. Errors: those of Site::add().
Result<void> add_cache_routes(Element& element, http::Site& site);
Result<void> add_budget_routes(Element& element, http::Site& site);
Result<void> add_job_routes(Element& element, http::Site& site);
Result<void> add_file_routes(Element& element, http::Site& site);
Result<void> add_upload_route(Element& element, http::Site& site);
Result<void> add_lock_routes(Element& element, http::Site& site);
Result<void> add_info_routes(Element& element, http::Site& site);
Result<void> add_log_routes(Element& element, http::Site& site);
Result<void> add_mode_routes(Element& element, http::Site& site);

}  // namespace artcache::element
