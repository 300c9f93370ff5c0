// SPDX-License-Identifier: Apache-2.0
// `file:///folder`: a storage in a local folder.
//
//   create=on|off   make the folder when it is missing (off)
//   sync=on|off     fsync files and folders (on). Off is for tests and benchmarks: after a power
//                   cut, acknowledged files may be missing
//   threads=1..64   for listing and reading many files (as many as processors, at most 16)
//
// Links below the folder are never followed, mounts are. A put leaves a file `.tmp_*` behind when
// the process is killed in the middle; it never shows, and the next put, remove or sync of the same
// path takes it away (where the file system has flock()). A put over a symbolic link replaces the
// link. On file systems that give a replaced name a new place in its folder (btrfs), a file that
// is replaced while its folder is listed may be missing from that listing or be in it twice.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/storage_backend.hpp>
#include <memory>
#include <string>

#include "backends/file/folders.hpp"
#include "backends/file/root.hpp"

namespace artcache::file {

/// What an address says.
struct Options {
  std::string root;
  MissingRoot missing = MissingRoot::fails;
  Sync sync = Sync::on;
  unsigned threads = 1;
  Resolve resolve = Resolve::best;
  std::string description;  ///< for describe()
};

/// Errors: invalid_argument.
Result<Options> parse_options(const Url& url);

/// Errors: not_found, invalid_argument (no folder), unavailable.
Result<std::unique_ptr<StorageBackend>> open_storage(Options options, const Deps& deps,
                                                     const Call& call);

/// The factory for the scheme `file`.
Result<std::unique_ptr<StorageBackend>> open_storage(const Url& url, const Deps& deps,
                                                     const Call& call);

}  // namespace artcache::file
