// SPDX-License-Identifier: Apache-2.0
// The codec of sidecars: `*.attr.json` files, in every dialect there is.
#pragma once

#include <artcache/file_entry.hpp>
#include <artcache/result.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::attr {

/// The most bytes that a sidecar may have when it is written.
inline constexpr std::size_t kWriteMost = 4096;
/// The most that is read unless the caller says otherwise.
inline constexpr std::size_t kReadMostDefault = 1024 * 1024;

/// Reads one sidecar of any dialect (docs/formats/sidecar.md) into `entry`, whose buffers are
/// used again. `path` only serves messages. What is wrong is named with the path, the line and
/// the member; nothing is guessed: a broken sidecar is corrupt as a whole.
/// Errors: corrupt.
Result<void> decode(std::string_view bytes, std::string_view path, FileEntry& entry);

/// A number for what decode() and content_hash() make of these bytes: where it is the same they
/// need not be decoded again. Of two texts that nobody has made for the purpose one pair in 2^63
/// agrees without being the same. Never 0.
std::uint64_t text_hash(std::string_view bytes);

/// A new sidecar: dialect v1, or v2 when there are custom attributes. decode(encode(x)) = x.
/// Errors: invalid_argument when a field breaks its limit or the whole passes `size_most`.
Result<std::string> encode(const FileEntry& entry, std::size_t size_most = kWriteMost);

/// What an update may change. A member that holds no value is left as it is; an inner optional
/// without a value removes the text (writes null).
struct Changes {
  std::optional<std::optional<std::string>> description, version;
  std::optional<std::string> metadata;           ///< a JSON object, replacing the old one whole
  std::optional<std::string> custom_attributes;  ///< likewise; makes a sidecar v2
  std::optional<std::vector<std::string>> tags;
  std::optional<std::optional<std::string>> retention_policy;
  std::optional<std::optional<std::int64_t>> ttl_days;
  std::optional<std::optional<Timestamp>> retention_expires_at;
  Timestamp updated_at;  ///< always written
};

/// The same document with just these members changed or added: every other byte stays, and so do
/// the dialect, the order and the names that the sidecar uses.
/// Errors: corrupt (the sidecar as it stands), invalid_argument (a bad value, or too long).
Result<std::string> rewrite(std::string_view bytes, std::string_view path, const Changes& changes,
                            std::size_t size_most = kWriteMost);

}  // namespace artcache::attr
