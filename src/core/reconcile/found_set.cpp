// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/found_set.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "util/quick_hash.hpp"
#include "util/random.hpp"

namespace artcache::reconcile {
namespace {

using util::scramble;

std::uint64_t word(const std::uint8_t* bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// Any order will do that is quick to tell.
bool by_id(const Found& a, const Found& b) {
  const std::uint8_t *x = a.id.bytes().data(), *y = b.id.bytes().data();
  const std::uint64_t first = word(x), second = word(y);
  return first != second ? first < second : word(x + 8) < word(y + 8);
}

}  // namespace

std::uint64_t random_seed() {
  std::array<std::uint8_t, 8> bytes{};
  util::fill_random(bytes);
  return std::bit_cast<std::uint64_t>(bytes);
}

std::uint64_t path_hash(std::string_view path, std::uint64_t seed) {
  return util::quick_hash(path, seed) & ~std::uint64_t{7};
}

FoundSet::FoundSet(std::size_t most, std::uint64_t seed)
    : most_(std::max(most, kLeast)), seed_(seed) {}

std::uint64_t FoundSet::mix(const FileId& id) const {
  const auto& bytes = id.bytes();
  return scramble(scramble(word(bytes.data()) ^ seed_) ^ word(bytes.data() + 8));
}

std::uint32_t FoundSet::part_of(const FileId& id) const {
  return static_cast<std::uint32_t>(mix(id)) & (parts_ - 1);
}

std::size_t FoundSet::bucket_of(const FileId& id) const {
  return mix(id) >> (64 - std::bit_width(kBuckets - 1));
}

void FoundSet::begin(std::uint32_t part) {
  part_ = part;
  size_ = 0;
  // The memory is kept: the next part is about as large.
  for (auto& bucket : buckets_) bucket.clear();
}

void FoundSet::add(const FileId& id, const ContentHash& hash, std::string_view path) {
  insert({id, word(hash.bytes.data()) & ~kFlags, hash_of(path)});
}

void FoundSet::add_opaque(const FileId& id, std::string_view path) {
  insert({id, kOpaque, hash_of(path)});
}

void FoundSet::insert(const Found& found) {
  if (!holds(found.id)) return;
  buckets_[bucket_of(found.id)].push_back(found);
  // Parts are only made in the first pass, when the first part is held.
  if (++size_ > most_ && part_ == 0) split();
}

void FoundSet::split() {
  parts_ *= 2;
  size_ = 0;
  for (auto& bucket : buckets_) {
    std::erase_if(bucket, [this](const Found& found) { return !holds(found.id); });
    size_ += bucket.size();
  }
}

void FoundSet::seal() {
  for (auto& bucket : buckets_) std::ranges::sort(bucket, by_id);
}

std::span<Found> FoundSet::of(const FileId& id) {
  const std::span<const Found> found = std::as_const(*this).of(id);
  return {const_cast<Found*>(found.data()), found.size()};  // NOLINT: it is ours
}

std::span<const Found> FoundSet::of(const FileId& id) const {
  const auto& bucket = buckets_[bucket_of(id)];
  const auto first = std::lower_bound(bucket.begin(), bucket.end(), Found{id, 0, 0}, by_id);
  auto last = first;  // few ids have more than one
  while (last != bucket.end() && last->id == id) ++last;
  return {first, last};
}

Match FoundSet::match(const FileId& id, const ContentHash& hash) {
  const std::span<Found> all = of(id);
  if (all.empty()) return Match::absent;
  const std::uint64_t wanted = word(hash.bytes.data()) & ~kFlags;
  bool equal = false, opaque = false;
  for (Found& found : all) {
    found.hash |= kKnown;
    opaque |= (found.hash & kOpaque) != 0;
    equal |= (found.hash & kOpaque) == 0 && (found.hash & ~kFlags) == wanted;
  }
  if (equal) return Match::equal;
  if (opaque) return Match::opaque;
  for (Found& found : all) found.hash |= kDiffers;
  return Match::differs;
}

bool FoundSet::has_path(const FileId& id, std::string_view path) const {
  const std::uint64_t wanted = hash_of(path);
  return std::ranges::any_of(of(id), [&](const Found& found) { return found.path == wanted; });
}

bool FoundSet::is_open(const Found& found) {
  return (found.hash & kDiffers) != 0 || (found.hash & (kKnown | kOpaque)) == 0;
}

bool FoundSet::to_reread(const FileId& id) const { return std::ranges::any_of(of(id), is_open); }

std::uint64_t FoundSet::reread_count() const {
  std::uint64_t count = 0;
  for (const auto& bucket : buckets_) {
    bool counted = false;  // the id at hand
    for (std::size_t i = 0; i < bucket.size(); ++i) {
      if (i == 0 || bucket[i].id != bucket[i - 1].id) counted = false;
      if (counted || !is_open(bucket[i])) continue;
      counted = true;
      ++count;
    }
  }
  return count;
}

std::vector<FileId> FoundSet::twins() const {
  std::vector<FileId> ids;
  for (const auto& bucket : buckets_)
    for (std::size_t i = 1; i < bucket.size(); ++i)
      if (bucket[i].id == bucket[i - 1].id) ids.push_back(bucket[i].id);
  return ids;
}

}  // namespace artcache::reconcile
