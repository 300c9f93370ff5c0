// SPDX-License-Identifier: Apache-2.0
// The disk behind CrashVfs: what each file holds now, and what a power cut would leave of it.
#pragma once

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "support/crash_vfs.hpp"

namespace artcache::test {

using Content = std::vector<std::uint8_t>;

/// Something that was done to a file since it was synced last.
struct PendingWrite {
  std::size_t offset = 0;  ///< of the bytes; the new length for a truncation
  Content bytes;
  bool truncates = false;
};

struct CrashFile {
  Content now, durable;
  std::vector<PendingWrite> pending;
  bool durable_name = false;  ///< a cut does not take the file away as a whole

  /// All of it is on the disk.
  void sync();

  // Locks, as flock would hold them for the whole machine.
  int readers = 0;
  const void* reserved = nullptr;
  const void* pending_lock = nullptr;
  const void* exclusive = nullptr;
  /// The wal-index: memory that the connections share; -1 in a lock is "exclusive".
  std::vector<std::unique_ptr<Content>> shared_memory;
  std::array<int, SQLITE_SHM_NLOCK> shared_locks{};
};

void write_at(Content& content, std::size_t offset, std::span<const std::uint8_t> bytes);

/// The state behind one CrashVfs, under one mutex.
class CrashVfs::Machine {
 public:
  Machine();
  ~Machine() { sqlite3_vfs_unregister(&vfs_); }

  /// Counts one event; false when the power is gone, with or before it.
  bool happens() {
    if (cut_) return false;
    ++events_;
    if (cut_in_ > 0 && --cut_in_ == 0) cut_ = true;
    return !cut_;
  }
  [[nodiscard]] std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (const auto& [path, file] : files_) sum += static_cast<std::int64_t>(file->now.size());
    return sum;
  }

  std::string name_;
  sqlite3_vfs vfs_{};
  sqlite3_vfs* const system_ = sqlite3_vfs_find(nullptr);
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<CrashFile>, std::less<>> files_;
  std::map<std::string, std::shared_ptr<CrashFile>, std::less<>> removed_;  ///< not yet durably
  std::uint64_t events_ = 0, cut_in_ = 0, fail_sync_in_ = 0, boots_ = 1, nameless_ = 0;
  std::int64_t bytes_most_ = -1;
  bool cut_ = false;
};

}  // namespace artcache::test
