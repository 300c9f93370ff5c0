// SPDX-License-Identifier: Apache-2.0
// How far a full rebuild has come, kept in the index for the next one, should it be cut short.
#pragma once

#include <artcache/metadata_store.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::reconcile {

/// Notes which sidecars were read, as hashes of their paths: a fiftieth of them at a time, so that
/// a kill costs no more than that. The notes are `unfinished_full_rebuild` with the beginning, and
/// `unfinished_full_rebuild/<n>` with sixteen digits a path, and
/// `unfinished_full_rebuild/loading` with the generation that a bulk load is to follow. For one
/// thread but for done().
class RunLog {
 public:
  RunLog(MetadataStore& index, std::uint64_t fence, const Call& call)
      : index_(index), fence_(fence), call_(call) {}

  /// Goes on with a run over the same folder that began less than `age_most` ago, or begins one.
  /// `expected` is how many sidecars there may be.
  Result<void> begin(std::string_view folder, std::uint64_t expected, Timestamp now,
                     std::chrono::microseconds age_most);
  /// Something was read in the part of this run that was cut short.
  [[nodiscard]] bool resumed() const { return loaded_ || !done_.empty(); }
  /// The sidecar was read in the part of this run that was cut short. From any thread.
  [[nodiscard]] bool done(std::string_view path) const;

  /// It has been read now, and what it says is in the index.
  Result<void> add(std::string_view path);
  /// A bulk load of everything is about to switch: once it has, everything is done.
  Result<void> loading();
  Result<void> end();

 private:
  Result<void> load();
  Result<void> write();

  MetadataStore& index_;
  const std::uint64_t fence_;
  const Call& call_;
  std::uint64_t seed_ = 0;
  std::size_t step_ = 0, parts_ = 0, recorded_ = 0;
  std::vector<std::uint64_t> done_;  // sorted
  bool loaded_ = false;              // all of it, in bulk
  std::string pending_;              // digits that are not written yet
};

}  // namespace artcache::reconcile
