// SPDX-License-Identifier: Apache-2.0
// A put: temporary file, sync, rename, sync of the folder.
#pragma once

#include <artcache/storage_backend.hpp>
#include <memory>

#include "backends/file/folders.hpp"

namespace artcache::file {

/// StorageBackend::stage() of a checked path.
Result<std::unique_ptr<StagedFile>> stage_file(Folders& folders, const PutRequest& request,
                                               const Clock& clock);

}  // namespace artcache::file
