// SPDX-License-Identifier: Apache-2.0
// StorageBackend::read_sidecars() over folders.
#pragma once

#include <artcache/storage_backend.hpp>
#include <span>
#include <string_view>

#include "backends/file/listing.hpp"
#include "backends/file/root.hpp"

namespace artcache::file {

/// Reads with up to `pool.threads` threads, each with one buffer that is used again and the
/// folder it was in last: paths of one folder that stand together cost one look-up of it. The
/// threads cost about 0.1 ms a call: some thousand paths at once are quicker than some hundred.
Result<void> read_many(const Root& root, std::span<const std::string_view> paths,
                       std::uint64_t size_most, const SidecarSink& sink, const Pool& pool,
                       const Call& call);

}  // namespace artcache::file
