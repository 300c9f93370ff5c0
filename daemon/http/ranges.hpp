// SPDX-License-Identifier: Apache-2.0
// Conditions and ranges of a download (RFC 9110), and the name that it is given.
#pragma once

#include <array>
#include <artcache/timestamp.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.hpp"
#include "http/query_fields.hpp"

namespace artcache::http {

/// What is there to be sent.
struct Representation {
  std::uint64_t size = 0;
  std::string etag;    ///< with its quotes
  Timestamp modified;  ///< compared in whole seconds
};

/// What is to be sent of it.
struct Selection {
  enum class Kind : std::uint8_t {
    whole,         ///< 200
    part,          ///< 206
    not_modified,  ///< 304
    failed,        ///< 412: If-Match or If-Unmodified-Since
    beyond,        ///< 416: the range begins behind the end
  };
  Kind kind = Kind::whole;
  std::uint64_t first = 0, length = 0;  ///< for whole and part
};
/// Heeds If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since, Range and If-Range. A
/// Range that cannot be read, or asks for several pieces, is ignored, as servers may.
Selection select(const Headers& headers, const Representation& there);

/// Those of them that a change heeds, for Route::headers.
inline constexpr std::array kChangeConditions{
    QueryField{"If-Match", "string", "ETags: refused unless one of them is that of this moment"},
    QueryField{"If-Unmodified-Since", "string", "refused when it was changed since"}};
/// Those that a download heeds.
inline constexpr auto kDownloadHeaders = joined(
    kChangeConditions,
    std::array{QueryField{"If-None-Match", "string", "ETags: sent unless one of them is its own"},
               QueryField{"If-Modified-Since", "string", "sent when it was changed since"},
               QueryField{"Range", "string", "bytes=0-99: only these"},
               QueryField{"If-Range", "string", "ETag or date: the whole unless it is still so"}});

/// `bytes 0-99/1000`; `bytes */1000` for Kind::beyond.
std::string content_range(const Selection& selection, std::uint64_t size);

/// `Sun, 06 Nov 1994 08:49:37 GMT`
std::string http_date(Timestamp time);
/// Reads that form and no other; nothing for the rest.
std::optional<Timestamp> parse_http_date(std::string_view text);

/// `attachment; filename="plan.pdf"`, with `filename*=UTF-8''…` behind it when the name is more
/// than plain ASCII. Whatever the name holds, it cannot end the header.
std::string attachment(std::string_view filename);

}  // namespace artcache::http
