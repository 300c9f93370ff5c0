// SPDX-License-Identifier: Apache-2.0
// Records by the bits of their keys' hashes, as range digests put them.
#pragma once

#include <artcache/follower.hpp>

namespace artcache::sync {

/// The bucket of a key among 2^bits, `bits` from 0 to 16.
[[nodiscard]] std::uint32_t bucket_of(std::string_view key, unsigned bits);

/// LogSource::keys() of an index.
Result<void> keys_of(EntryReader& index, unsigned bits, std::span<const std::uint32_t> buckets,
                     const KeySink& sink, const Call& call);

/// Numbers of the buckets that differ.
[[nodiscard]] std::vector<std::uint32_t> differing(std::span<const BucketDigest> a,
                                                   std::span<const BucketDigest> b);

}  // namespace artcache::sync
