// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4 for S3: what a request carries to be believed.
#pragma once

#include <artcache/timestamp.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace artcache::s3 {

struct Credentials {
  std::string access_key, secret_key;
  std::string token = {};  ///< of temporary credentials; empty without
};

/// Names in lower case. A value stands without blanks at its ends.
using Headers = std::vector<std::pair<std::string, std::string>>;
/// Neither names nor values are encoded yet.
using Query = std::vector<std::pair<std::string, std::string>>;

enum class Slash : std::uint8_t { kept, encoded };

/// Everything but A-Z a-z 0-9 - . _ ~ as %XX, as signatures demand it.
std::string encode(std::string_view text, Slash slash);
/// Sorted and encoded: what is signed and sent alike.
std::string encode(Query query);

struct SignedRequest {
  std::string_view method, path, query;  ///< path and query encoded
  Headers headers;                       ///< all of them are signed; `host` is among them
  std::string_view payload_hash;         ///< SHA-256 of the body in hexadecimal
};

/// 20130524T000000Z, the value of x-amz-date.
std::string amz_date(Timestamp now);

/// The value of the header Authorization. `headers` holds x-amz-date already.
std::string authorization(const SignedRequest& request, const Credentials& credentials,
                          std::string_view region, std::string_view date);

}  // namespace artcache::s3
