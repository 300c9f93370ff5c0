// SPDX-License-Identifier: Apache-2.0
// What a listing found, held so that the index can be compared with it: in bounded memory, and
// exact in the ids.
#pragma once

#include <array>
#include <artcache/file_id.hpp>
#include <artcache/record.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace artcache::reconcile {

/// One sidecar. Of hash and path 61 bits are kept, keyed by the run: an error of one in 10^12 for a
/// million files, and another one in the next run.
struct Found {
  FileId id;
  std::uint64_t hash = 0;  ///< its three lowest bits are marks
  std::uint64_t path = 0;
};

/// A key for one run.
std::uint64_t random_seed();

/// Of a path, keyed; the three lowest bits are 0.
std::uint64_t path_hash(std::string_view path, std::uint64_t seed);

/// How a row of the index compares with what was found.
enum class Match : std::uint8_t {
  absent,   ///< no sidecar tells of this id
  equal,    ///< one says the same
  differs,  ///< they all say something else
  opaque,   ///< one could not be read, so nothing is known
};

/// Holds one part of the ids, chosen by a hash of them: all, until more come than the limit;
/// then a half, a quarter, … The rest is compared in later passes over the same listing, one for
/// each part. For one thread; once sealed, another one may ask has_path() meanwhile.
class FoundSet {
 public:
  FoundSet(std::size_t most, std::uint64_t seed);

  /// Makes a part of `parts` (a power of two) the one that is held, and forgets everything.
  void begin(std::uint32_t part);
  /// How many parts there are by now; final once a pass is over.
  [[nodiscard]] std::uint32_t parts() const { return parts_; }
  [[nodiscard]] bool holds(const FileId& id) const { return part_of(id) == part_; }

  void add(const FileId& id, const ContentHash& hash, std::string_view path);
  /// A sidecar that could not be read, but was that of this id when it was read last.
  void add_opaque(const FileId& id, std::string_view path);
  /// Ends adding: from now on it can be asked.
  void seal();

  /// Of an id of this part; marks what it finds as known to the index.
  Match match(const FileId& id, const ContentHash& hash);
  /// True when the path was found to tell of this id.
  [[nodiscard]] bool has_path(const FileId& id, std::string_view path) const;
  /// After match() was called for every row: the sidecar of this id must be opened, because the
  /// index does not say the same, or does not know it at all.
  [[nodiscard]] bool to_reread(const FileId& id) const;
  /// How many ids that is.
  [[nodiscard]] std::uint64_t reread_count() const;
  /// Ids that more than one sidecar tells of, once for each sidecar beyond the first.
  [[nodiscard]] std::vector<FileId> twins() const;

  [[nodiscard]] std::uint64_t hash_of(std::string_view path) const {
    return path_hash(path, seed_);
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  // In Found::hash, which has_path() does not look at.
  static constexpr std::uint64_t kKnown = 1, kDiffers = 2, kOpaque = 4, kFlags = 7;
  static constexpr std::size_t kLeast = 256;
  static constexpr std::size_t kBuckets = 2048;  // a power of two: in a bucket all lies together

  static bool is_open(const Found& found);

  [[nodiscard]] std::uint64_t mix(const FileId& id) const;
  [[nodiscard]] std::uint32_t part_of(const FileId& id) const;
  [[nodiscard]] std::size_t bucket_of(const FileId& id) const;
  void insert(const Found& found);
  void split();
  [[nodiscard]] std::span<Found> of(const FileId& id);
  [[nodiscard]] std::span<const Found> of(const FileId& id) const;

  const std::size_t most_;
  const std::uint64_t seed_;
  std::uint32_t part_ = 0, parts_ = 1;
  std::size_t size_ = 0;
  std::array<std::vector<Found>, kBuckets> buckets_;
};

}  // namespace artcache::reconcile
