// SPDX-License-Identifier: Apache-2.0
#include "core/sync/buckets.hpp"

#include <algorithm>
#include <utility>

#include "util/try.hpp"

namespace artcache::sync {
namespace {

constexpr std::size_t kKeysAtOnce = 1000;

}  // namespace

std::uint32_t bucket_of(std::string_view key, unsigned bits) {
  return bits == 0 ? 0 : static_cast<std::uint32_t>(key_hash(key) >> (64 - bits));
}

Result<void> keys_of(EntryReader& index, unsigned bits, std::span<const std::uint32_t> buckets,
                     const KeySink& sink, const Call& call) {
  std::vector<KeyHash> batch;
  const auto choose = [&](std::span<const KeyAndHash> rows) -> Result<void> {
    for (const KeyAndHash& row : rows) {
      std::string key = to_string(row.id);
      if (std::ranges::binary_search(buckets, bucket_of(key, bits)))
        batch.push_back({std::move(key), row.hash});
    }
    // Of a few buckets hardly one key comes with many rows.
    if (batch.size() < kKeysAtOnce) return {};
    return sink(std::exchange(batch, {}));
  };
  ARTCACHE_CHECK(index.scan(choose, call));
  return batch.empty() ? Result<void>() : sink(batch);
}

std::vector<std::uint32_t> differing(std::span<const BucketDigest> a,
                                     std::span<const BucketDigest> b) {
  std::vector<std::uint32_t> numbers;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (a[i].count != b[i].count || a[i].digest != b[i].digest)
      numbers.push_back(static_cast<std::uint32_t>(i));
  return numbers;
}

}  // namespace artcache::sync
