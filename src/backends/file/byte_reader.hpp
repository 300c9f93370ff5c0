// SPDX-License-Identifier: Apache-2.0
// Data files, read from front to back.
#pragma once

#include <artcache/storage_backend.hpp>
#include <memory>
#include <string_view>

#include "backends/file/root.hpp"

namespace artcache::file {

/// StorageBackend::open() of a checked path.
Result<std::unique_ptr<ByteReader>> open_reader(const Root& root, std::string_view path,
                                                ByteRange range, const Clock& clock);

}  // namespace artcache::file
