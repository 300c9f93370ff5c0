// SPDX-License-Identifier: Apache-2.0
// What the usual variables of S3 programs say, put into the address of a storage: the library
// reads no environment.
#pragma once

#include <artcache/url.hpp>
#include <functional>
#include <optional>
#include <string>

namespace artcache {

/// The value of a variable; nothing when it is not set or empty.
using Environment = std::function<std::optional<std::string>(const char*)>;

/// Of this process. Not safe beside setenv().
Environment process_environment();

/// An `s3:` address with what it leaves open: keys from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
/// and AWS_SESSION_TOKEN, else from AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials in the
/// profile AWS_PROFILE; endpoint from AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; region from
/// AWS_REGION or AWS_DEFAULT_REGION. What the address says itself stands; another scheme comes
/// back as it is. Errors: invalid_argument when one of two keys is missing; no value is quoted.
Result<Url> with_s3_environment(const Url& url, const Environment& variable);

}  // namespace artcache
