// SPDX-License-Identifier: Apache-2.0
#include "core/sync/mender.hpp"

#include <algorithm>
#include <unordered_map>

#include "core/sync/buckets.hpp"
#include "util/try.hpp"

namespace artcache::sync {
namespace {

constexpr unsigned kCoarse = 10, kFine = 16;
/// Fine buckets whose keys are held at once: some ten thousand keys of a million records.
constexpr std::size_t kBucketsAtOnce = 1024;
constexpr std::size_t kRecordsAtOnce = 500;

/// The fine buckets that differ, in ascending order.
Result<std::vector<std::uint32_t>> differing_parts(LogSource& source, ReplicaSink& replica,
                                                   std::span<const std::uint32_t> coarse,
                                                   const Call& call) {
  std::vector<std::uint32_t> parts;
  for (const std::uint32_t bucket : coarse)
    for (std::uint32_t i = 0; i < 1U << (kFine - kCoarse); ++i)
      parts.push_back((bucket << (kFine - kCoarse)) + i);
  ARTCACHE_TRY(const auto theirs, source.some_digests(kFine, parts, call));
  ARTCACHE_TRY(const auto all, replica.bucket_digests(kFine, call));
  std::vector<BucketDigest> ours;
  for (const std::uint32_t part : parts) ours.push_back(all[part]);
  std::vector<std::uint32_t> different = differing(theirs, ours);
  for (std::uint32_t& one : different) one = parts[one];
  return different;
}

/// Puts what the source has under these keys, and takes away what it does not have.
Result<void> make_good(LogSource& source, ReplicaSink& replica, std::span<const std::string> keys,
                       const Call& call) {
  for (std::size_t at = 0; at < keys.size(); at += kRecordsAtOnce) {
    const auto some = keys.subspan(at, std::min(kRecordsAtOnce, keys.size() - at));
    ARTCACHE_TRY(auto found, source.records(some, call));
    std::vector<Record> put;
    std::vector<std::string> removed;
    for (std::size_t i = 0; i < some.size(); ++i)
      if (found[i])
        put.push_back(std::move(*found[i]));
      else
        removed.push_back(some[i]);
    ARTCACHE_CHECK(replica.mend(put, removed, call));
  }
  return {};
}

Result<std::uint64_t> mend_parts(LogSource& source, ReplicaSink& replica,
                                 std::span<const std::uint32_t> parts, const Call& call) {
  std::unordered_map<std::string, ContentHash> theirs;
  std::vector<std::string> different;
  ARTCACHE_CHECK(source.keys(
      kFine, parts,
      [&](std::span<const KeyHash> some) -> Result<void> {
        for (const KeyHash& one : some) theirs.emplace(one.key, one.hash);
        return {};
      },
      call));
  ARTCACHE_CHECK(replica.keys(
      kFine, parts,
      [&](std::span<const KeyHash> some) -> Result<void> {
        for (const KeyHash& one : some) {
          const auto at = theirs.find(one.key);
          if (at == theirs.end() || at->second != one.hash) different.push_back(one.key);
          if (at != theirs.end()) theirs.erase(at);
        }
        return {};
      },
      call));
  for (const auto& [key, hash] : theirs) different.push_back(key);
  ARTCACHE_CHECK(make_good(source, replica, different, call));
  return different.size();
}

}  // namespace

Result<Mended> mend(LogSource& source, ReplicaSink& replica, const Call& call) {
  Mended mended;
  Position begun;
  ARTCACHE_TRY(const auto theirs, source.bucket_digests(kCoarse, &begun, call));
  ARTCACHE_TRY(const auto ours, replica.bucket_digests(kCoarse, call));
  mended.upto = begun;
  const auto coarse = differing(theirs, ours);
  if (!coarse.empty()) {
    ARTCACHE_TRY(const auto parts, differing_parts(source, replica, coarse, call));
    for (std::size_t at = 0; at < parts.size(); at += kBucketsAtOnce) {
      ARTCACHE_CHECK(call.check("follow"));
      const auto some = std::span(parts).subspan(at, std::min(kBucketsAtOnce, parts.size() - at));
      ARTCACHE_TRY(const std::uint64_t differences, mend_parts(source, replica, some, call));
      mended.differences += differences;
    }
    ARTCACHE_TRY(const IndexHead head, source.head(call));
    mended.upto = head.position;
  }
  ARTCACHE_CHECK(replica.stand_at(begun, call));
  return mended;
}

}  // namespace artcache::sync

namespace artcache {

Result<Position> ReplicaSink::fill(LogSource& source, const Call& call) {
  const auto put = [&](std::span<const Record> records) -> Result<void> {
    ARTCACHE_CHECK(call.check("follow"));
    return mend(records, {}, call);
  };
  ARTCACHE_TRY(const Position position, source.snapshot(put, call));
  ARTCACHE_CHECK(stand_at(position, call));
  return position;
}

}  // namespace artcache
