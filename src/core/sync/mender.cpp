// SPDX-License-Identifier: Apache-2.0
#include "core/sync/mender.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "core/sync/buckets.hpp"
#include "util/try.hpp"

namespace artcache::sync {
namespace {

/// Bits of the buckets that are compared, each time within those that differed before. Wider steps
/// would tell more digests of what is the same, smaller ones make the source count more often.
constexpr std::array<unsigned, 3> kSteps{10, 13, 16};
constexpr unsigned kFine = kSteps.back();
/// Fine buckets whose keys are held at once: some ten thousand keys of a million records.
constexpr std::size_t kBucketsAtOnce = 1024;
constexpr std::size_t kRecordsAtOnce = 500;

/// The same records in fewer buckets.
std::vector<BucketDigest> summed(std::span<const BucketDigest> fine, unsigned bits) {
  std::vector<BucketDigest> out(std::size_t{1} << bits);
  const std::size_t each = fine.size() / out.size();
  for (std::size_t i = 0; i < fine.size(); ++i) {
    out[i / each].digest += fine[i].digest;
    out[i / each].count += fine[i].count;
  }
  return out;
}

/// The fine buckets that differ, in ascending order. `fine` are those of the replica.
Result<std::vector<std::uint32_t>> differing_parts(LogSource& source,
                                                   std::span<const BucketDigest> fine,
                                                   Position* begun, const Call& call) {
  ARTCACHE_TRY(const auto all, source.bucket_digests(kSteps.front(), begun, call));
  std::vector<std::uint32_t> parts = differing(all, summed(fine, kSteps.front()));
  for (std::size_t step = 1; step < kSteps.size() && !parts.empty(); ++step) {
    const unsigned bits = kSteps[step], finer = bits - kSteps[step - 1];
    std::vector<std::uint32_t> within;
    for (const std::uint32_t part : parts)
      for (std::uint32_t i = 0; i < 1U << finer; ++i) within.push_back((part << finer) + i);
    ARTCACHE_TRY(const auto theirs, source.some_digests(bits, within, call));
    const auto sums = summed(fine, bits);
    std::vector<BucketDigest> ours;
    for (const std::uint32_t part : within) ours.push_back(sums[part]);
    parts = differing(theirs, ours);
    for (std::uint32_t& one : parts) one = within[one];
  }
  return parts;
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

/// Of those that an entry can have; nobody can be asked for others.
std::vector<std::string> keys_of(std::span<const DeadLetter> dead) {
  std::vector<std::string> keys;
  for (const DeadLetter& letter : dead)
    if (FileId::parse(letter.key)) keys.push_back(letter.key);
  return keys;
}

/// Whatever the digests say of the keys of dead letters, what is noted of them may be old: who was
/// cut off between the rows and the note has applied some of them.
Result<void> mend_dead(LogSource& source, ReplicaSink& replica, std::span<const DeadLetter> dead,
                       const Call& call) {
  std::vector<std::string> impossible;
  for (const DeadLetter& letter : dead)
    if (!FileId::parse(letter.key)) impossible.push_back(letter.key);
  if (!impossible.empty()) ARTCACHE_CHECK(replica.mend({}, impossible, call));
  return make_good(source, replica, keys_of(dead), call);
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

Result<Mended> mend(LogSource& source, ReplicaSink& replica, const Clock& clock, const Call& call) {
  Mended mended;
  Position begun;
  ARTCACHE_TRY(const Standing before, replica.standing(call));
  ARTCACHE_TRY(const auto fine, replica.bucket_digests(kFine, call));
  ARTCACHE_TRY(const auto parts, differing_parts(source, fine, &begun, call));
  mended.upto = begun;
  if (!parts.empty() || !before.dead.empty()) {
    for (std::size_t at = 0; at < parts.size(); at += kBucketsAtOnce) {
      ARTCACHE_CHECK(call.check("follow", clock));
      const auto some = std::span(parts).subspan(at, std::min(kBucketsAtOnce, parts.size() - at));
      ARTCACHE_TRY(const std::uint64_t differences, mend_parts(source, replica, some, call));
      mended.differences += differences;
    }
    ARTCACHE_CHECK(mend_dead(source, replica, before.dead, call));
    ARTCACHE_TRY(const IndexHead head, source.head(call));
    mended.upto = head.position;
  }
  ARTCACHE_CHECK(replica.stand_at(begun, call));
  return mended;
}

Result<std::size_t> revive(LogSource& source, ReplicaSink& replica,
                           std::span<const DeadLetter> dead, const Call& call) {
  std::size_t revived = 0;
  for (std::size_t at = 0; at < dead.size(); at += kRecordsAtOnce) {
    const auto some = dead.subspan(at, std::min(kRecordsAtOnce, dead.size() - at));
    const std::vector<std::string> keys = keys_of(some);
    const auto found = source.records(keys, call);
    if (!found) continue;
    std::vector<Record> put;
    std::vector<std::string> removed;
    auto next = found->begin();
    for (const DeadLetter& letter : some) {
      if (!FileId::parse(letter.key)) continue;
      const std::optional<Record>& now = *next++;
      if (now && letter.hash == now->hash && believe(*now)) put.push_back(*now);
      if (!now && !letter.hash) removed.push_back(letter.key);
    }
    if (!put.empty() || !removed.empty()) ARTCACHE_CHECK(replica.mend(put, removed, call));
    revived += put.size() + removed.size();
  }
  return revived;
}

}  // namespace artcache::sync

namespace artcache {

Result<Position> ReplicaSink::fill(LogSource& source, const Call& call) {
  const auto put = [&](std::span<const Record> records) -> Result<void> {
    // Both look at the deadline, by clocks that nobody here knows.
    return mend(records, {}, call);
  };
  ARTCACHE_TRY(const Position position, source.snapshot(put, call));
  ARTCACHE_CHECK(stand_at(position, call));
  return position;
}

}  // namespace artcache
