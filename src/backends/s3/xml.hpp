// SPDX-License-Identifier: Apache-2.0
// What S3 answers in XML. The server is not trusted: a DOCTYPE, a broken document and values out
// of range are corrupt. Sizes are bounded by who received the text.
#pragma once

#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace artcache::s3 {

struct ListedObject {
  std::string key, etag;
  std::uint64_t size = 0;
  Timestamp modified;
};

struct ListPage {
  std::vector<ListedObject> objects;
  std::vector<std::string> folders;  ///< with a delimiter: what stands for the keys below each
  bool more = false;
};

/// An answer to ListObjectsV2 with encoding-type=url. Errors: corrupt.
Result<ListPage> parse_list(std::string_view text);

/// The code and message of an error; both empty when `text` is no such document.
struct ServerError {
  std::string code, message;
};
ServerError parse_error(std::string_view text);

/// The text of one child of the root element `root`. Errors: corrupt.
Result<std::string> parse_value(std::string_view text, const char* root, const char* child);

std::string escape_xml(std::string_view text);

}  // namespace artcache::s3
