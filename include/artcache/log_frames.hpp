// SPDX-License-Identifier: Apache-2.0
// The frames in which logs, snapshots and digests go over HTTP (docs/formats/log-protocol.md).
#pragma once

#include <artcache/export.hpp>
#include <artcache/follower.hpp>
#include <artcache/result.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace artcache::frames {

enum class Kind : char {
  head = 'H',
  row = 'W',
  record = 'R',
  absent = 'A',   ///< of a key that was asked for: there is no record
  keys = 'K',     ///< keys and hashes
  digests = 'D',  ///< of buckets, and the position they are of
  end = 'E',      ///< the answer is whole; of a snapshot its position
};

struct Frame {
  Kind kind = Kind::end;
  std::string_view body;
};
/// Longer ones are corrupt.
inline constexpr std::size_t kFrameMost = 64 * 1024 * 1024;
/// The type of a body made of frames.
inline constexpr std::string_view kContentType = "application/vnd.artcache.log";

ARTCACHE_EXPORT void append_head(std::string& out, const IndexHead& head);
ARTCACHE_EXPORT void append_row(std::string& out, const LogRow& row);
ARTCACHE_EXPORT void append_record(std::string& out, const Record& record);
ARTCACHE_EXPORT void append_absent(std::string& out);
ARTCACHE_EXPORT void append_keys(std::string& out, std::span<const KeyHash> keys);
ARTCACHE_EXPORT void append_digests(std::string& out, const Position& position,
                                    std::span<const BucketDigest> digests);
ARTCACHE_EXPORT void append_end(std::string& out, const Position& position = {});

// What the body of such a frame says. Errors: corrupt.
ARTCACHE_EXPORT Result<IndexHead> parse_head(std::string_view body);
ARTCACHE_EXPORT Result<LogRow> parse_row(std::string_view body);
ARTCACHE_EXPORT Result<Record> parse_record(std::string_view body);
ARTCACHE_EXPORT Result<std::vector<KeyHash>> parse_keys(std::string_view body);
ARTCACHE_EXPORT Result<std::pair<Position, std::vector<BucketDigest>>> parse_digests(
    std::string_view body);
ARTCACHE_EXPORT Result<Position> parse_end(std::string_view body);

// The bodies of requests: buckets, and keys of records. Errors: corrupt.
ARTCACHE_EXPORT std::string buckets_text(std::span<const std::uint32_t> buckets);
ARTCACHE_EXPORT Result<std::vector<std::uint32_t>> parse_buckets(std::string_view text);
ARTCACHE_EXPORT std::string key_list(std::span<const std::string> keys);
ARTCACHE_EXPORT Result<std::vector<std::string>> parse_key_list(std::string_view text);

/// Cuts what arrives in pieces into frames.
class ARTCACHE_EXPORT Reader {
 public:
  void add(std::string_view piece);
  /// The next whole frame, valid until add(); nothing while it is not whole. Errors: corrupt.
  Result<std::optional<Frame>> next();
  /// Whether a frame was begun that is not whole.
  [[nodiscard]] bool inside() const { return at_ < text_.size(); }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

}  // namespace artcache::frames
