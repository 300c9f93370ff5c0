// SPDX-License-Identifier: Apache-2.0
// The identity of a stored file: a UUID.
#pragma once

#include <array>
#include <artcache/clock.hpp>
#include <artcache/export.hpp>
#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace artcache {

/// A value. UUIDs of every version are read; those minted here are version 7, so that they sort
/// by time and tell the folder in which their file lies.
class ARTCACHE_EXPORT FileId {
 public:
  using Bytes = std::array<std::uint8_t, 16>;

  constexpr FileId() = default;  ///< all zero, the id of no file
  constexpr explicit FileId(const Bytes& bytes) : bytes_(bytes) {}

  /// Reads 8-4-4-4-12 hexadecimal digits of either case and nothing else.
  /// Errors: invalid_argument.
  static Result<FileId> parse(std::string_view text);

  /// A new version 7 id of this moment. Ids minted by one process never repeat and grow;
  /// safe to call from any thread.
  static FileId mint(const Clock& clock);

  [[nodiscard]] constexpr const Bytes& bytes() const { return bytes_; }
  [[nodiscard]] constexpr unsigned version() const { return bytes_[6] >> 4; }
  /// The moment a version 7 id was minted, to the millisecond; nothing for other versions.
  [[nodiscard]] std::optional<Timestamp> minted_at() const;

  friend constexpr auto operator<=>(const FileId&, const FileId&) = default;

 private:
  Bytes bytes_{};
};

/// 36 characters, lower case.
ARTCACHE_EXPORT std::string to_string(const FileId& id);

}  // namespace artcache

template <>
struct std::hash<artcache::FileId> {
  std::size_t operator()(const artcache::FileId& id) const noexcept {
    std::uint64_t high = 0, low = 0;
    for (std::size_t i = 0; i < 8; ++i) high = high << 8 | id.bytes()[i];
    for (std::size_t i = 8; i < 16; ++i) low = low << 8 | id.bytes()[i];
    return static_cast<std::size_t>((high ^ (low * 0x9e3779b97f4a7c15ULL)) * 0xff51afd7ed558ccdULL);
  }
};
