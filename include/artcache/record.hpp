// SPDX-License-Identifier: Apache-2.0
// What log, digest, snapshot and followers speak: records, and the position of a log.
#pragma once

#include <array>
#include <artcache/export.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace artcache {

/// The first 128 bits of the SHA-256 over a record's canonical content (docs/formats/content.md).
/// Equal hashes mean equal content; only the codec of a record type computes one.
struct ContentHash {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const ContentHash&, const ContentHash&) = default;
};
/// 32 digits, lower case.
ARTCACHE_EXPORT std::string to_string(const ContentHash& hash);

/// The sum over all records of an index, in any order: two indexes with equal digests and equal
/// counts hold the same records. Adding a record and taking it away again changes nothing.
class ARTCACHE_EXPORT Digest {
 public:
  constexpr Digest() = default;
  constexpr Digest(std::uint64_t high, std::uint64_t low) : high_(high), low_(low) {}

  /// Errors: invalid_argument unless 32 hexadecimal digits.
  static Result<Digest> parse(std::string_view text);
  /// The part of one record: SHA-256 over its key and its content hash, cut to 128 bits.
  static Digest of(std::string_view key, const ContentHash& hash);

  constexpr Digest& operator+=(const Digest& other) {
    const std::uint64_t before = low_;  // `other` may be *this
    low_ += other.low_;
    high_ += other.high_ + (low_ < before ? 1 : 0);
    return *this;
  }
  constexpr Digest& operator-=(const Digest& other) {
    high_ -= other.high_ + (low_ < other.low_ ? 1 : 0);
    low_ -= other.low_;
    return *this;
  }
  [[nodiscard]] constexpr std::uint64_t high() const { return high_; }
  [[nodiscard]] constexpr std::uint64_t low() const { return low_; }
  friend constexpr bool operator==(const Digest&, const Digest&) = default;

 private:
  std::uint64_t high_ = 0, low_ = 0;
};
/// 32 digits, lower case, most significant first.
ARTCACHE_EXPORT std::string to_string(const Digest& digest);

/// The first 64 bits of the SHA-256 of a key: what range digests put records into buckets by.
ARTCACHE_EXPORT std::uint64_t key_hash(std::string_view key);

/// One record of an index, whatever it is a record of.
struct Record {
  std::string key;  ///< at most 255 bytes; of a file entry the 36 characters of its id
  ContentHash hash;
  std::string payload;  ///< of a file entry its canonical content (content.hpp)
};
inline constexpr std::size_t kRecordKeyMost = 255;

/// Where a log, or a replica of it, stands.
struct Position {
  std::uint64_t epoch = 0;  ///< random, made with the log; written as 16 hexadecimal digits
  std::uint64_t seq = 0;    ///< of the last change, counted from 1 without holes
  Digest digest;            ///< of the index after that change
  friend bool operator==(const Position&, const Position&) = default;
};
/// `epoch/seq/digest`, such as `4f1c…/1042/9e07…`.
ARTCACHE_EXPORT std::string to_string(const Position& position);
ARTCACHE_EXPORT Result<Position> parse_position(std::string_view text);

}  // namespace artcache
