// SPDX-License-Identifier: Apache-2.0
// What the ingester asks of storage elements, with its own token.
#pragma once

#include <artcache/call.hpp>
#include <artcache/file_id.hpp>
#include <artcache/result.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/service_token.hpp"
#include "roles/ingester/editable.hpp"
#include "roles/ingester/multipart_body.hpp"
#include "web/http_client.hpp"

namespace artcache::ingester {

/// What an element says of a file.
struct FileFacts {
  std::string original_filename = {}, storage_filename = {}, storage_path = {}, content_type = {};
  std::string checksum = {}, created_at = {}, updated_at = {};
  std::string created_by_id = {}, created_by_username = {}, created_by_fullname = {};
  Editable said = {};
  std::uint64_t size = 0;
  std::string tag = {};  ///< of this state of it (ETag); empty from an element that knows none
};
/// All but the tag. Errors: corrupt.
Result<FileFacts> parse_file_facts(std::string_view json);

/// What an element has against a request, in its own words. Errors: invalid_argument (4xx: it will
/// not do that as it is now), unavailable (it may the next time: busy, broken, or no 4xx at all).
Error refusal(std::string_view who, const web::HttpReply& reply);

/// Safe to use from any thread. Errors of all: unavailable (no token, no connection, an answer
/// that is none of those expected), timed_out, cancelled.
class ElementClient {
 public:
  ElementClient(web::HttpClient& http, ServiceToken& token) : http_(http), token_(token) {}

  /// Sends a file. An answer of any status is a success here; the token is forgotten where the
  /// element does not believe it. Errors besides: those of the body.
  Result<web::HttpReply> store(const std::string& element, MultipartBody& body, const Call& call);
  /// Nothing when it has no such file.
  Result<std::optional<FileFacts>> find(const std::string& element, const FileId& id,
                                        const Call& call);
  /// Whether it has the bytes of a file of which it tells, by the last of them: what is told comes
  /// from an index, which may outlive the disk.
  Result<bool> has_bytes(const std::string& element, const FileId& id, std::uint64_t size,
                         const Call& call);
  /// The bytes of a file. Errors besides: not_found.
  Result<std::unique_ptr<web::HttpStream>> download(const std::string& element, const FileId& id,
                                                    const Call& call);
  /// Tells it what else is to be said of a file: what PATCH takes. Errors besides: not_found,
  /// invalid_argument (refused), busy (it is not as at `seen`, a FileFacts::tag, any more; none:
  /// however it is).
  Result<void> change(const std::string& element, const FileId& id, const std::string& json,
                      const std::string& seen, const Call& call);
  /// The file is not there afterwards, whatever the mode of the element. Errors besides:
  /// invalid_argument (refused), busy (as change()).
  Result<void> collect(const std::string& element, const FileId& id, std::string_view reason,
                       const std::string& seen, const Call& call);

 private:
  /// With a token, and once more with another one where that is not believed.
  Result<web::HttpReply> send(web::HttpRequest request, const Call& call);

  web::HttpClient& http_;
  ServiceToken& token_;
};

}  // namespace artcache::ingester
