// SPDX-License-Identifier: Apache-2.0
// What the server's refusals mean, and what to do about them.
#include <array>

#include "backends/s3/client.hpp"
#include "backends/s3/xml.hpp"

namespace artcache::s3 {
namespace {

struct Meaning {
  std::string_view code;
  Errc errc;
  std::string_view advice;
};

constexpr std::array kMeanings{
    Meaning{"InvalidAccessKeyId", Errc::unavailable, "the access key is not known there"},
    Meaning{"SignatureDoesNotMatch", Errc::unavailable, "the secret key is wrong"},
    Meaning{"ExpiredToken", Errc::unavailable, "the temporary credentials have expired"},
    Meaning{
        "RequestTimeTooSkewed", Errc::unavailable,
        "the clocks of this machine and of the server differ by more than 15 minutes; set them"},
    Meaning{"UserSuspended", Errc::unavailable, "the user is suspended"},
    Meaning{"AccessDenied", Errc::unavailable,
            "access denied; the user may be suspended, or lacks the permission"},
    Meaning{"NoSuchBucket", Errc::not_found, "there is no such bucket; create it first"},
    Meaning{"NoSuchKey", Errc::not_found, "there is no such file"},
    Meaning{"QuotaExceeded", Errc::no_space, "the quota of the user or the bucket is used up"},
    Meaning{"EntityTooLarge", Errc::invalid_argument, "the file is too large for the server"},
    Meaning{"PreconditionFailed", Errc::conflict, "exists already, or changed meanwhile"},
    Meaning{"ConditionalRequestConflict", Errc::conflict, "another writer was quicker"},
    Meaning{"NotImplemented", Errc::unsupported, "the server cannot do this"},
    Meaning{"PermanentRedirect", Errc::invalid_argument, "the bucket is elsewhere"},
    Meaning{"AuthorizationHeaderMalformed", Errc::invalid_argument, "is `region` right?"},
};

Meaning by_status(long status) {
  switch (status) {
    case 403:
      return {"", Errc::unavailable, "access denied; check keys and permissions"};
    case 404:
      return {"", Errc::not_found, "there is no such file"};
    case 409:
    case 412:
      return {"", Errc::conflict, "exists already, or changed meanwhile"};
    case 501:
      return {"", Errc::unsupported, "the server cannot do this"};
    case 507:
      return {"", Errc::no_space, "the server is full"};
    default:
      return {"", Errc::unavailable, "the server failed"};
  }
}

}  // namespace

Error error_of(const Request& request, const Response& response, const Target& target) {
  const ServerError said = parse_error(response.body);
  Meaning meaning = by_status(response.status);
  for (const Meaning& known : kMeanings)
    if (known.code == said.code) meaning = known;
  std::string message = "s3: " + request.subject + ": bucket '" + target.bucket + "' at " +
                        target.origin + ": " + std::string(meaning.advice) + " (HTTP " +
                        std::to_string(response.status);
  // The server's own words are left out: they can repeat keys and signatures.
  if (!said.code.empty()) message += ", " + said.code.substr(0, 64);
  message += ")";
  if (!response.bucket_region.empty() && response.bucket_region != target.region)
    message += "; its region is " + response.bucket_region.substr(0, 64);
  return Error{meaning.errc, std::move(message)};
}

}  // namespace artcache::s3
