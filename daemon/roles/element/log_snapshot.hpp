// SPDX-License-Identifier: Apache-2.0
// A snapshot of an index as the body of an answer.
#pragma once

#include <artcache/metadata_store.hpp>
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "http/message.hpp"
#include "util/mutex.hpp"

namespace artcache::element {

/// Frames of all records and an end with their position. The index is read on a thread of its own,
/// not further ahead of the client than a few batches; it ends with the body.
class LogSnapshot final : public http::BodySource {
 public:
  /// Of the records whose keys begin with `prefix`. Takes itself out of `running` at its end.
  LogSnapshot(MetadataStore& index, std::string prefix, std::shared_ptr<std::atomic<int>> running);
  ~LogSnapshot() override;
  LogSnapshot(const LogSnapshot&) = delete;
  LogSnapshot& operator=(const LogSnapshot&) = delete;

  Result<std::size_t> read(std::span<std::byte> into, const Call& call) override;
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return std::nullopt; }

 private:
  void fill(const std::stop_token& stop);
  Result<void> put(std::string frames, const std::stop_token& stop);

  MetadataStore& index_;
  const std::string prefix_;
  const std::shared_ptr<std::atomic<int>> running_;
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
