// SPDX-License-Identifier: Apache-2.0
#include "http/socket_tap.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace artcache::http {
namespace {

// Below it a call for each costs more than a copy.
constexpr std::size_t kRoomLeast = 16 * std::size_t{1024};
constexpr std::size_t kChunkLeast = 64 * std::size_t{1024};
// The end of a chunk and the size of the next one. Who receives no more than that behind a chunk
// has next to nothing to move to the front.
constexpr std::size_t kBetweenChunks = 12;

}  // namespace

std::size_t SocketTap::wanted(std::size_t room) const {
  // What is behind a body of known length belongs to the next request.
  if (parser_.length())
    return static_cast<std::size_t>(std::min<std::uint64_t>(room, parser_.left()));
  const RequestParser::Chunk chunk = parser_.chunk();
  if (chunk.size < kChunkLeast) return room;
  return static_cast<std::size_t>(std::min<std::uint64_t>(room, chunk.left + kBetweenChunks));
}

BodyTap::Drawn SocketTap::draw(std::span<std::byte> into) {
  Drawn drawn;
  char* const out = reinterpret_cast<char*>(into.data());
  while (into.size() - drawn.bytes >= kRoomLeast && rest_.size() < kRoomLeast / 2) {
    char* const front = out + drawn.bytes;
    std::memcpy(front, rest_.data(), rest_.size());
    const std::size_t most = wanted(into.size() - drawn.bytes - rest_.size());
    const ssize_t got = ::recv(socket_, front + rest_.size(), most, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    const std::string_view bytes(front, rest_.size() + static_cast<std::size_t>(got));
    pieces_.clear();
    rest_ = bytes.substr(parser_.give(bytes, pieces_));
    for (const std::string_view piece : pieces_) {
      std::memmove(out + drawn.bytes, piece.data(), piece.size());
      drawn.bytes += piece.size();
    }
    drawn.end = parser_.body_done();
    if (parser_.refusal())
      drawn.failure = Error{Errc::invalid_argument, "body: " + parser_.refusal()->reason};
    if (drawn.end || drawn.failure || static_cast<std::size_t>(got) < most) break;
  }
  return drawn;
}

std::string SocketTap::take_rest() { return std::exchange(rest_, {}); }

}  // namespace artcache::http
