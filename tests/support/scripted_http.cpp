// SPDX-License-Identifier: Apache-2.0
#include "support/scripted_http.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace artcache::test {
namespace {

bool send_all(int socket, const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto n = ::send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

/// False when the peer is gone.
bool receive(int socket, std::string& pending) {
  char buffer[16384];
  const auto n = ::recv(socket, buffer, sizeof buffer, 0);
  if (n <= 0) return false;
  pending.append(buffer, static_cast<std::size_t>(n));
  return true;
}

bool read_request(int socket, std::string& pending, HttpRequest& request) {
  std::size_t end = 0;
  while ((end = pending.find("\r\n\r\n")) == std::string::npos)
    if (!receive(socket, pending)) return false;
  std::string head = pending.substr(0, end + 2);
  pending.erase(0, end + 4);
  const std::size_t first = head.find(' '), second = head.find(' ', first + 1);
  request.method = head.substr(0, first);
  request.target = head.substr(first + 1, second - first - 1);
  std::transform(head.begin(), head.end(), head.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  request.headers = head.substr(head.find("\r\n") + 2);
  const std::size_t length = request.headers.find("content-length: ");
  const std::size_t size =
      length == std::string::npos ? 0 : std::stoul(request.headers.substr(length + 16));
  while (pending.size() < size)
    if (!receive(socket, pending)) return false;
  request.body = pending.substr(0, size);
  pending.erase(0, size);
  return true;
}

}  // namespace

HttpAnswer http_answer(int status, const std::string& body, const std::string& headers) {
  return {"HTTP/1.1 " + std::to_string(status) + " x\r\ncontent-length: " +
          std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body};
}

ScriptedHttp::ScriptedHttp(Script script) : script_(std::move(script)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(listener_, plain, size) == 0);
  REQUIRE(::listen(listener_, 64) == 0);
  REQUIRE(::getsockname(listener_, plain, &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] {
    for (;;) {
      const int socket = ::accept(listener_, nullptr, nullptr);
      if (socket < 0) return;
      const std::scoped_lock guard(mutex_);
      open_.push_back(socket);
      threads_.emplace_back([this, socket] { serve(socket); });
    }
  });
}

ScriptedHttp::~ScriptedHttp() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (const int socket : open_) ::shutdown(socket, SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
  for (const int socket : open_) ::close(socket);
  ::close(listener_);
}

std::string ScriptedHttp::origin() const { return "http://127.0.0.1:" + std::to_string(port_); }

void ScriptedHttp::serve(int socket) {
  std::string pending;
  HttpRequest request;
  while (read_request(socket, pending, request)) {
    const HttpAnswer answer = script_(request);
    if (!send_all(socket, answer.bytes)) return;
    if (answer.then == HttpAnswer::Then::keep_open) continue;
    // Sockets are closed at the end: nobody else may get their numbers meanwhile.
    if (answer.then == HttpAnswer::Then::close) ::shutdown(socket, SHUT_RDWR);
    while (receive(socket, pending)) pending.clear();
    return;
  }
}

}  // namespace artcache::test
