// SPDX-License-Identifier: Apache-2.0
// Runs finalizes to their end, over restarts; and removes files where they are not to be.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "roles/ingester/ingester.hpp"
#include "util/here.hpp"
#include "util/mutex.hpp"

namespace artcache::ingester {

/// Why a cleanup has a keeper: the source of a finalize that completed, the copy of one that
/// failed.
inline constexpr std::string_view kFinalized = "finalized";
inline constexpr std::string_view kFinalizeFailed = "a finalize that failed";
/// That of one that failed whose source has the file no more, for whatever reason: it may be the
/// last there is, and stays until the source has the file again.
inline constexpr std::string_view kSourceLost = "a finalize that failed and lost its source";

struct FinalizeWish {
  FileId file;
  std::optional<std::string> target = {};  ///< id of an element; none: the one that is next
  std::optional<std::string> description = {}, metadata = {};  ///< instead of the source's
  std::string requested_by = {};
};

/// Safe to use from any thread. One process at a time on one database.
class Finalizer {
 public:
  explicit Finalizer(const Parts& parts) : parts_(parts) {}
  ~Finalizer() { stop(); }
  Finalizer(const Finalizer&) = delete;
  Finalizer& operator=(const Finalizer&) = delete;

  /// Goes on with what was not ended, on threads of its own. Once.
  void start();
  /// Ends them; what is not ended goes on after the next start.
  void stop();

  /// The finalize of the file: that which runs, or has completed, or else a new one, which is
  /// stored when this returns. Errors: not_found (no element has the file), invalid_argument (it
  /// is permanent already), unavailable (an element that may have it is away, no element takes
  /// it), and those of the database.
  Result<Finalize> begin(const FinalizeWish& wish, const Call& call);
  /// As it is when it has ended, or after Options::finalize_wait; at once when finalize_waits_most
  /// wait already. Errors: not_found, cancelled, and those of the database.
  Result<Finalize> wait(const std::string& id, const Call& call);

 private:
  struct Place {
    ElementView element;
    FileFacts facts;
  };
  Result<Place> locate(const FileId& file, const Call& call);
  Result<ElementView> choose_target(const FinalizeWish& wish, std::uint64_t size, const Call& call);
  Result<ElementView> reachable(const std::string& id) const;
  Result<FileFacts> needed(const ElementView& element, const FileId& file, const Call& call);

  void work(std::stop_token stop);
  std::optional<Finalize> take(const Call& call);
  void advance(Finalize job, const Call& call);
  Result<bool> store(Finalize& job, const FinalizeMove& move);
  /// Both set the base.
  Result<void> copy(Finalize& job, const Call& call);
  Result<void> verify(Finalize& job, const Call& call);
  Result<void> send_copy(const Finalize& job, const FileFacts& facts, const ElementView& source,
                         const ElementView& target, const Call& call);
  Result<void> tell_as_made(const Finalize& job, const FileFacts& copy, const ElementView& target,
                            const Call& call);

  void clean(std::stop_token stop);
  void clean_one(const Cleanup& cleanup, const Call& call);
  /// Forgets what ended long ago.
  Result<void> trim(const Call& call);
  Result<void> collect(const Cleanup& cleanup, const Call& call);
  Result<void> may_go(const Cleanup& cleanup, const FileFacts& file, const Call& call);
  static Error source_lost(const Cleanup& cleanup);
  Result<void> carry_edits(Finalize& job, const FileFacts& source, const FileFacts& copy,
                           const ElementView& target, const Call& call);
  void log(LogLevel level, std::string_view message, const std::string& file,
           std::string_view reason, const std::string& source = util::here()) const;

  const Parts& parts_;
  util::Mutex mutex_;
  util::CondVar changed_;
  std::atomic<std::size_t> waits_ = 0;
  std::set<std::string> busy_ ARTCACHE_GUARDED_BY(mutex_);
  std::map<std::string, Clock::SteadyTime> not_before_ ARTCACHE_GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;
};

/// Errors: those of Site::add().
Result<void> add_finalize_routes(http::Site& site, Parts& parts, Finalizer& finalizer);

}  // namespace artcache::ingester
