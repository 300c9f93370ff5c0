// SPDX-License-Identifier: Apache-2.0
// From what a handler returned to the bytes that are sent.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.hpp"
#include "http/site.hpp"

namespace artcache::http {

/// An answer ready to be sent. `head` ends behind the last field, so that Connection can follow.
struct Finished {
  int status = 500;
  std::string head = {};
  std::string body = {};
  std::unique_ptr<BodySource> stream = {};   ///< instead of `body`
  std::optional<std::uint64_t> length = {};  ///< of the stream; nothing: in chunks
  std::string reason = {};                   ///< what the client is told is wrong; for the log
  std::string cause = {};                    ///< for the log, where something went wrong here
};

/// Renders a problem, compresses large JSON, adds the fields that every answer has.
Finished finish(Reply reply, const Request& request, const Site& site);

/// What the site says to a request that has no route: 404, 405, or the answer to OPTIONS.
Reply without_route(const Site& site, const Request& request, const Site::Match& match);

/// The client's own id where it is a plain word of at most 64 characters, else a new one.
std::string request_id(const Headers& headers);

/// "Not Found"
std::string_view reason_phrase(int status);

/// Whether a list such as `deflate, gzip;q=0.5` takes gzip.
bool takes_gzip(std::string_view accept_encoding);
std::string gzip(std::string_view text);

}  // namespace artcache::http
