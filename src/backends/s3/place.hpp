// SPDX-License-Identifier: Apache-2.0
// Where files lie in a bucket: keys, stamps, and the address that names the place.
#pragma once

#include <artcache/storage_backend.hpp>
#include <artcache/url.hpp>
#include <optional>
#include <string>

#include "backends/s3/client.hpp"

namespace artcache::s3 {

enum class Conditional : std::uint8_t { on, off, found_out };

struct Options {
  Target target;
  std::string prefix;  ///< of all keys; empty, or with a slash at its end
  Conditional conditional = Conditional::found_out;
  std::size_t part_size = 8U << 20;
  std::string description;
};

/// Reads the credentials file, when one is named. Errors: invalid_argument.
Result<Options> parse_address(const Url& url);

/// The credentials of one profile of a file in the format of ~/.aws/credentials.
/// Errors: invalid_argument naming what is missing; no value of the file is quoted.
Result<Credentials> parse_credentials(std::string_view text, std::string_view profile);

/// Size and ETag. S3 makes a new ETag from other bytes, so two quick changes do not share a stamp
/// and none needs time to settle; without an ETag the stamp is unsettled.
Stamp make_stamp(std::uint64_t size, std::string_view etag);

/// `Sat, 21 Nov 2026 07:00:00 GMT`; nothing for another text.
std::optional<Timestamp> parse_http_date(std::string_view text);

/// What the headers of an answer say about the whole file. Errors: corrupt.
Result<FileInfo> info_of(const Response& response, std::string_view path);

}  // namespace artcache::s3
