// SPDX-License-Identifier: Apache-2.0
// Keeps two daemons out of one folder.
#pragma once

#include <artcache/result.hpp>
#include <filesystem>
#include <utility>

#include "util/fd.hpp"

namespace artcache {

/// A folder that nobody else works in for as long as this lives. The kernel lets go of it with the
/// process, whatever ends that; the file `artcached.lock`, which says who it is, stays.
class FolderHold {
 public:
  /// Errors: busy (another one holds it, of this process too: the message names it and what to do),
  /// unavailable (the file cannot be made, or this file system keeps no locks).
  static Result<FolderHold> take(const std::filesystem::path& folder);

 private:
  explicit FolderHold(util::Fd file) : file_(std::move(file)) {}
  util::Fd file_;
};

}  // namespace artcache
