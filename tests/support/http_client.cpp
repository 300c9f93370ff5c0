// SPDX-License-Identifier: Apache-2.0
#include "support/http_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <thread>
#include <utility>

namespace artcache::test {
namespace {

// So that no test hangs. Below the times that Limits has for bodies, answers and idle connections:
// a test that sets such a time fails where the server goes by its own.
constexpr int kPatienceSeconds = 50;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace

std::string RawAnswer::field(std::string_view name) const {
  const std::string heads = lower(head), wanted = "\r\n" + lower(name) + ": ";
  const std::size_t at = heads.find(wanted);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + wanted.size();
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

RawClient::RawClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval patience{kPatienceSeconds, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
}

RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

RawClient::~RawClient() { close(); }

void RawClient::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string RawClient::read_some(std::size_t most) {
  if (!buffer_.empty()) return std::exchange(buffer_, {});
  std::string piece(most, '\0');
  const ssize_t got = recv(fd_, piece.data(), piece.size(), 0);
  piece.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return piece;
}

std::size_t RawClient::drop_for(std::chrono::milliseconds time) {
  std::size_t dropped = std::exchange(buffer_, {}).size();
  std::array<char, 65536> piece{};
  for (const auto until = std::chrono::steady_clock::now() + time;
       std::chrono::steady_clock::now() < until;) {
    const ssize_t got = recv(fd_, piece.data(), piece.size(), MSG_DONTWAIT);
    if (got > 0)
      dropped += static_cast<std::size_t>(got);
    else
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return dropped;
}

bool RawClient::ended() {
  if (!buffer_.empty()) return false;
  char byte = 0;
  const ssize_t got = recv(fd_, &byte, 1, 0);
  return got == 0 || (got < 0 && errno == ECONNRESET);
}

RawAnswer RawClient::receive(std::string_view method) {
  RawAnswer answer;
  std::string text;
  const auto until = [&](auto done) {
    while (!done()) {
      const std::string piece = read_some();
      if (piece.empty()) return false;
      text += piece;
    }
    return true;
  };
  std::size_t end = 0;
  if (!until([&] { return (end = text.find("\r\n\r\n")) != std::string::npos; })) return answer;
  answer.head = text.substr(0, end + 2);
  text.erase(0, end + 4);
  answer.status = std::atoi(answer.head.c_str() + 9);
  const bool empty =
      method == "HEAD" || answer.status < 200 || answer.status == 204 || answer.status == 304;
  if (!empty && lower(answer.field("Transfer-Encoding")) == "chunked") {
    for (;;) {
      if (!until([&] { return (end = text.find("\r\n")) != std::string::npos; })) return answer;
      const auto size = std::strtoull(text.c_str(), nullptr, 16);
      text.erase(0, end + 2);
      if (!until([&] { return text.size() >= size + 2; })) return answer;
      answer.body.append(text, 0, size);
      text.erase(0, size + 2);
      if (size == 0) break;
    }
  } else if (!empty && !answer.field("Content-Length").empty()) {
    const auto size = std::strtoull(answer.field("Content-Length").c_str(), nullptr, 10);
    if (!until([&] { return text.size() >= size; })) return answer;
    answer.body = text.substr(0, size);
    text.erase(0, size);
  } else if (!empty) {
    until([] { return false; });
    answer.body = std::exchange(text, {});
  }
  buffer_ = text;
  answer.whole = true;
  return answer;
}

std::string get(std::string_view path, std::string_view fields) {
  return std::string("GET ")
      .append(path)
      .append(" HTTP/1.1\r\nHost: x\r\n")
      .append(fields)
      .append("\r\n");
}

std::string post(std::string_view path, std::string_view body, std::string_view fields) {
  return std::string("POST ")
      .append(path)
      .append(" HTTP/1.1\r\nHost: x\r\nContent-Length: ")
      .append(std::to_string(body.size()))
      .append("\r\n")
      .append(fields)
      .append("\r\n")
      .append(body);
}

}  // namespace artcache::test
