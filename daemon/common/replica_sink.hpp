// SPDX-License-Identifier: Apache-2.0
// The files of one element in the tables of a role, as a replica of its index.
#pragma once

#include <artcache/follower.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/replica_tables.hpp"

namespace artcache::replica {

/// Where a role keeps what it follows; both live longer than whoever is given this.
struct Replica {
  Database* database = nullptr;
  const Tables* tables = nullptr;
  Names names = {};
};

/// What has happened to the files of one element.
struct SinkCounts {
  std::uint64_t added = 0, updated = 0, deleted = 0, failed = 0;
};

/// Applies records and the position in one transaction; several processes may do so on one
/// database, and each record still counts once. Its digest is kept along with the rows and, every
/// `recount_every` and after recount_next(), made anew from them, so that what somebody else did to
/// the tables is noticed. Counts and recount_next() may be used from any thread.
class Sink final : public ReplicaSink {
 public:
  Sink(const Replica& replica, Owner owner, std::chrono::milliseconds recount_every,
       const Deps& deps);

  Result<Standing> standing(const Call& call) override;
  /// Errors: also conflict (rows before these are missing here).
  Result<void> apply(std::span<const LogRow> rows, const Call& call) override;
  /// Errors: also conflict (another process has changed one of them since keys() told of it: what
  /// is put may be older than that).
  Result<void> mend(std::span<const Record> put, std::span<const std::string> removed,
                    const Call& call) override;
  /// Not ahead of where another process has got to since standing(): what that one applied may be
  /// older than what was mended, and the log makes it good from there.
  Result<void> stand_at(const Position& position, const Call& call) override;
  Result<std::vector<BucketDigest>> bucket_digests(unsigned bits, const Call& call) override;
  Result<void> keys(unsigned bits, std::span<const std::uint32_t> buckets, const KeySink& sink,
                    const Call& call) override;

  /// The next standing() is made from the rows.
  void recount_next() { recount_ = true; }
  [[nodiscard]] SinkCounts counts() const;

 private:
  struct Changes;
  struct Done;
  static void add(Changes& changes, const std::string& key, const Record* record,
                  std::uint64_t seq);
  [[nodiscard]] bool is_as_told(const std::string& key, const Held* held) const;
  void note_told(const Changes& changes);
  [[nodiscard]] bool is_told_dead(std::string_view key,
                                  const std::optional<ContentHash>& hash) const;
  Result<Changes> still_dead(Session& session, const Changes& changes) const;
  Result<void> carry_out(Changes changes, const Call& call);
  Result<void> commit(const Changes& changes, const Call& call);
  Result<Done> change(Session& session, const Changes& asked) const;
  Result<void> settle_dead(Session& session, const Changes& changes, std::span<const Held> held,
                           Done& done) const;
  Result<void> recount(const Call& call);
  void begin_metrics() const;
  void count(std::string_view name, Metrics::Labels labels, std::uint64_t count) const;
  void report(const Changes& changes, const Done& done, std::chrono::nanoseconds took) const;
  void log(const Changes& changes, const Done& done) const;

  Database& database_;
  const Tables& tables_;
  const Names names_;
  const Owner owner_;
  const std::chrono::milliseconds recount_every_;
  const Deps deps_;
  Clock::SteadyTime recounted_at_;
  /// What keys() has told last in this comparison, with what was mended since.
  struct Told {
    unsigned bits = 0;
    std::vector<std::uint32_t> buckets;
    std::unordered_map<std::string, ContentHash> hashes;
  };
  Told told_;
  std::optional<Position> told_source_;  ///< where the replica stood, as standing() has told last
  /// The dead letters that standing() has told last, by key, with the hashes of the source.
  std::map<std::string, std::optional<ContentHash>, std::less<>> told_dead_;
  std::atomic<bool> recount_ = true;
  std::atomic<std::uint64_t> added_ = 0, updated_ = 0, deleted_ = 0, failed_ = 0;
};

}  // namespace artcache::replica
