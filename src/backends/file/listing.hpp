// SPDX-License-Identifier: Apache-2.0
// StorageBackend::list() over folders.
#pragma once

#include <artcache/call.hpp>
#include <artcache/storage_backend.hpp>
#include <string>
#include <vector>

#include "backends/file/root.hpp"

namespace artcache::file {

/// What is the same for every call of one storage.
struct Pool {
  unsigned threads = 1;
  const Clock* clock = nullptr;
};

/// Lists with up to `pool.threads` threads. Depth first: what is kept is a few open folders and
/// one buffer for each level, however many files and folders there are. A folder with very many
/// entries is read by one thread, and looked at by all.
Result<void> list_folder(const Root& root, const ListRequest& request,
                         const std::vector<std::string>& hidden, const ListSink& sink,
                         const Pool& pool, const Call& call);

}  // namespace artcache::file
