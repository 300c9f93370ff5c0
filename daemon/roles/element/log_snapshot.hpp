// SPDX-License-Identifier: Apache-2.0
// A snapshot of an index as the body of an answer.
#pragma once

#include <artcache/clock.hpp>
#include <artcache/metadata_store.hpp>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "http/message.hpp"
#include "util/mutex.hpp"

namespace artcache::element {

/// One of the few snapshots that may be read at a time; given back in the end, whatever happens.
class SnapshotPlace {
 public:
  using All = std::shared_ptr<std::atomic<int>>;
  /// Nothing when `most` of `all` are taken.
  static std::optional<SnapshotPlace> take(const All& all, int most) {
    SnapshotPlace mine(all, all->fetch_add(1));
    return mine.before_ < most ? std::optional(std::move(mine)) : std::nullopt;
  }
  ~SnapshotPlace() {
    if (all_) --*all_;
  }
  SnapshotPlace(SnapshotPlace&&) noexcept = default;
  SnapshotPlace& operator=(SnapshotPlace&&) = delete;

 private:
  SnapshotPlace(All all, int before) : all_(std::move(all)), before_(before) {}
  All all_;
  int before_;
};

/// How long a snapshot may take in all, by which clock.
struct SnapshotLimit {
  std::chrono::nanoseconds time{0};  ///< 0: as long as it takes
  const Clock* clock = &system_clock();
};

/// Frames of all records and an end with their position. The index is read on a thread of its own,
/// not further ahead of the client than a few batches; it ends with the body, or when the limit is
/// over: then the transaction on the index ends at once, and the next read is timed_out.
class LogSnapshot final : public http::BodySource {
 public:
  /// Of the records whose keys begin with `prefix`.
  LogSnapshot(MetadataStore& index, std::string prefix, SnapshotPlace place, SnapshotLimit limit);
  ~LogSnapshot() override;
  LogSnapshot(const LogSnapshot&) = delete;
  LogSnapshot& operator=(const LogSnapshot&) = delete;

  Result<std::size_t> read(std::span<std::byte> into, const Call& call) override;
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return std::nullopt; }

 private:
  void fill(const std::stop_token& stop);
  Result<void> fill_by(const Call& call);
  Result<void> put(std::string frames, const Call& call);

  MetadataStore& index_;
  const std::string prefix_;
  const SnapshotPlace place_;
  const SnapshotLimit limit_;
  util::Mutex mutex_;
  util::CondVar changed_;
  std::string ready_ ARTCACHE_GUARDED_BY(mutex_);
  bool over_ ARTCACHE_GUARDED_BY(mutex_) = false;
  Result<void> how_ ARTCACHE_GUARDED_BY(mutex_);
  std::string taken_;  // being read
  std::size_t at_ = 0;
  std::jthread filler_;
};

}  // namespace artcache::element
