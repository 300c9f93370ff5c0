// SPDX-License-Identifier: Apache-2.0
// `s3://bucket/prefix?endpoint=…&region=…`: a storage in a bucket. docs/operations/s3.md has the
// parameters. A key space: folders exist where files are below them.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/storage_backend.hpp>
#include <memory>

namespace artcache::s3 {

/// The factory for the scheme `s3`. Asks the bucket for one object, and unless told otherwise puts
/// `.artcache/conditional-put` to find out whether the server decides must_not_exist.
/// Errors: invalid_argument, not_found (the bucket), unavailable (also: access denied), timed_out,
/// cancelled.
Result<std::unique_ptr<StorageBackend>> open_storage(const Url& url, const Deps& deps,
                                                     const Call& call);

}  // namespace artcache::s3
