// SPDX-License-Identifier: Apache-2.0
// Makes the index say what sidecars say, one transaction after the other.
#pragma once

#include <string>
#include <vector>

#include "core/reconcile/context.hpp"

namespace artcache::reconcile {

/// Freshness that is not older than this part of a TTL is left as it is: rewriting every row of an
/// index costs as much as reading every sidecar, and gains an hour of a day.
inline constexpr int kFreshPart = 24;

/// For one thread. Counts into `statistics` and names what went wrong in `tally`.
class Applier {
 public:
  Applier(const Context& context, Session& session, Tally& tally, RunStatistics& statistics)
      : context_(context), session_(session), tally_(tally), statistics_(statistics) {}

  /// Puts what was read. Files that vanished since they were listed are `forgotten`, and their
  /// entries stay as they are. One outcome a file, in their order.
  Result<std::vector<Settled>> put(Chunk& chunk);
  /// Counts and names a sidecar that could not be read.
  Settled unread(const Opened& file);

  /// Reads these sidecars and makes the index follow, also where they are gone or tell of another
  /// file than before. One outcome a sidecar, in their order.
  Result<std::vector<Settled>> settle(std::vector<std::string> paths) {
    return settle_owned(std::move(paths), {});
  }
  Result<std::vector<Settled>> settle(std::span<const ScannedFile> files) {
    std::vector<std::string> paths;
    for (const ScannedFile& file : files) paths.push_back(file.path);
    return settle(std::move(paths));
  }

  /// The same of the sidecars that these entries name, and one outcome an entry.
  Result<std::vector<Settled>> settle_owned(std::vector<std::string> paths,
                                            std::span<const FileId> owners);

  /// As Succession does.
  Result<std::vector<char>> remove(std::span<const Gone> gone);
  Result<Settled> replace(const FileId& id, const RowBrief& row, Standing own);
  /// Takes out of the scan table what a listing did not show, and no entry comes from.
  Result<void> forget(std::span<const ScannedFile> stale);

 private:
  struct Batch;
  Result<std::vector<std::size_t>> confirm(Chunk& chunk, std::vector<Settled>& outcomes);
  Result<void> freshen(std::span<const FileId> ids, std::uint64_t as_of,
                       const std::vector<std::size_t>& files, std::vector<Settled>& outcomes);
  Result<Position> put_batch(Batch& batch, std::vector<Settled>& outcomes);
  void count(Settled outcome);
  Result<void> forget_paths(std::span<const std::string_view> paths);
  Result<void> settle_gone(const Chunk& chunk, std::vector<Settled>& outcomes);
  [[nodiscard]] Succession succession() const;
  Result<void> settle_bereft(std::span<const Bereft> entries, const Chunk& chunk,
                             std::span<const FileId> owners, std::vector<Settled>& outcomes);
  Result<void> yield_to_twin(const Opened& file);

  const Context& context_;
  Session& session_;
  Tally& tally_;
  RunStatistics& statistics_;
};

}  // namespace artcache::reconcile
