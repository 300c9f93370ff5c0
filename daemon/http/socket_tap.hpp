// SPDX-License-Identifier: Apache-2.0
// The rest of a body off the socket of its connection, straight to where it is wanted.
#pragma once

#include <string>

#include "http/body_pipe.hpp"
#include "http/parser.hpp"

namespace artcache::http {

/// While it is lent, the parser is its own, and so is what arrives at the socket.
class SocketTap final : public BodyTap {
 public:
  /// `socket` must receive what the parser is to be given: no TLS, nothing read ahead.
  SocketTap(RequestParser& parser, int socket) : parser_(parser), socket_(socket) {}

  Drawn draw(std::span<std::byte> into) override;
  /// What was received and is to be given to the parser again, or belongs to the next request.
  std::string take_rest();

 private:
  [[nodiscard]] std::size_t wanted(std::size_t room) const;

  RequestParser& parser_;
  const int socket_;
  std::string rest_;
  RequestParser::Pieces pieces_;
};

}  // namespace artcache::http
