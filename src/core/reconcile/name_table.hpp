// SPDX-License-Identifier: Apache-2.0
// Which data files have a sidecar, which sidecars a data file, and whether their sizes agree: by
// hashes of their names, sixteen bytes a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace artcache::reconcile {

/// Holds one part of the names, chosen by their hash; see FoundSet. Not thread-safe.
class NameTable {
 public:
  static constexpr std::uint64_t kUnknownSize = ~std::uint64_t{0};

  struct Name {
    std::uint64_t hash;  ///< the lowest bit tells a sidecar
    std::uint64_t size;
  };

  explicit NameTable(std::size_t most) : most_(most) {}

  void begin(std::uint32_t part);
  [[nodiscard]] std::uint32_t parts() const { return parts_; }

  /// `name` is a hash of the data file's path whose lowest bit does not matter.
  void add_data(std::uint64_t name, std::uint64_t size) { insert(name & ~kSidecar, size); }
  void add_sidecar(std::uint64_t name, std::uint64_t claimed_size) {
    insert(name | kSidecar, claimed_size);
  }

  /// The names of this part that something is wrong with, in order, in the memory of all of them:
  /// until begin(). Ends adding.
  std::span<const Name> conspicuous();

 private:
  static constexpr std::uint64_t kSidecar = 1;

  // The lowest bits are flags of those who make the hash, the highest ones spread as well.
  [[nodiscard]] bool holds(std::uint64_t hash) const {
    return ((hash >> 32) & (parts_ - 1)) == part_;
  }
  void insert(std::uint64_t hash, std::uint64_t size);

  const std::size_t most_;
  std::uint32_t part_ = 0, parts_ = 1;
  std::vector<Name> names_;
};

}  // namespace artcache::reconcile
