// SPDX-License-Identifier: Apache-2.0
// Believable stores for demonstrations, tests and measurements.
#pragma once

#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <artcache/storage_backend.hpp>
#include <cstdint>
#include <functional>
#include <string>

namespace artcache::cli {

struct SampleRequest {
  std::uint64_t files = 0;
  std::uint64_t seed = 1;
  bool with_data = true;  ///< false: sidecars only, for measuring
};

struct SampleResult {
  std::uint64_t files = 0;
  std::uint64_t data_bytes = 0, sidecar_bytes = 0;
};

/// Called now and then with the number of files made so far; from one thread at a time.
using SampleProgress = std::function<void(std::uint64_t done)>;

/// Fills a storage with `files` files of several users, 50 to a folder, their sidecars in all
/// dialects: the same bytes under the same names for the same seed. What stands there already is
/// replaced, so a run that was interrupted can be repeated.
/// Errors: those of the storage.
Result<SampleResult> make_sample(StorageBackend& storage, const SampleRequest& request,
                                 const SampleProgress& progress, const Call& call);

struct SampleSidecar {
  std::string path, bytes;
};

/// The sidecar that make_sample() would make for the file of this number, without any storage.
SampleSidecar sample_sidecar(std::uint64_t seed, std::uint64_t number);

}  // namespace artcache::cli
