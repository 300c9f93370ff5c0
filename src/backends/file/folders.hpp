// SPDX-License-Identifier: Apache-2.0
// The folders that files are put into, made when they are missing, and how sure writes are.
#pragma once

#include <artcache/result.hpp>
#include <shared_mutex>
#include <string_view>

#include "backends/file/root.hpp"

namespace artcache::file {

/// `off` is for tests and benchmarks: after a power cut, acknowledged files may be missing.
enum class Sync { on, off };

/// Safe to call from any thread.
class Folders {
 public:
  Folders(const Root& root, Sync sync) : root_(root), sync_(sync) {}

  /// Opens a folder so that it can be synced, making what is missing on the way. When it returns,
  /// all folders down to this one are durable: those that another thread is just making, too.
  /// (Another process that puts the first file into a folder which this one is still making
  /// relies on the file system writing its journal in order, as ext4, XFS and btrfs do.)
  Result<util::Fd> open_or_make(std::string_view folder);

  /// fsync of a file or folder; nothing when this storage does not sync.
  Errno sync(int fd) const;

  [[nodiscard]] const Root& root() const { return root_; }

 private:
  Result<util::Fd> make(std::string_view folder);
  Result<util::Fd> enter_or_make(const util::Fd& parent, std::string_view path,
                                 std::string_view name) const;
  const Root& root_;
  const Sync sync_;
  std::shared_mutex making_;  // alone: folders are being made and may not be durable yet
};

}  // namespace artcache::file
