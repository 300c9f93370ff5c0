// SPDX-License-Identifier: Apache-2.0
// Files of a bucket, read in ranges.
#pragma once

#include <artcache/storage_backend.hpp>
#include <memory>

#include "backends/s3/place.hpp"

namespace artcache::s3 {

/// The reader outlives the storage if need be. Errors: as StorageBackend::open().
Result<std::unique_ptr<ByteReader>> open_reader(std::shared_ptr<Client> client, std::string key,
                                                std::string path, ByteRange range,
                                                const Call& call);

/// As StorageBackend::read_sidecars(). At most `concurrency` files are held at once.
Result<void> read_small(Client& client, const std::string& prefix,
                        std::span<const std::string_view> paths, std::uint64_t size_most,
                        const SidecarSink& sink, const Call& call);

/// Nothing when there is no such file.
Result<std::optional<FileInfo>> find_info(Client& client, const std::string& key,
                                          std::string_view path, const Call& call);

}  // namespace artcache::s3
