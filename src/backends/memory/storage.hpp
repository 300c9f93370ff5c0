// SPDX-License-Identifier: Apache-2.0
// `mem:`: a storage that lives as long as the object. Each open is a store of its own.
//
//   capacity=BYTES   what it holds at most, staged files included (no limit, and no figures)
//
// A key space: folders exist where files are below them.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/storage_backend.hpp>
#include <memory>

namespace artcache::memory {

/// The factory for the scheme `mem`. Errors: invalid_argument.
Result<std::unique_ptr<StorageBackend>> open_storage(const Url& url, const Deps& deps,
                                                     const Call& call);

}  // namespace artcache::memory
