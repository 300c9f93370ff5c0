// SPDX-License-Identifier: Apache-2.0
// A client that sends exactly the bytes it is told, also those that no client should.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace artcache::test {

struct RawAnswer {
  int status = 0;    ///< 0: the connection ended before an answer
  std::string head;  ///< status line and fields
  std::string body;  ///< chunks put together
  bool whole = false;

  [[nodiscard]] std::string field(std::string_view name) const;  ///< empty: not there
};

/// One connection to the loopback. A wait for the server ends after 50 seconds.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  RawClient(RawClient&& other) noexcept;

  /// False when the server does not take it any more.
  bool send(std::string_view bytes);
  /// The next answer; one to HEAD has no body whatever its head says.
  RawAnswer receive(std::string_view method = "GET");
  RawAnswer ask(std::string_view bytes) {
    send(bytes);
    return receive();
  }
  /// Whether the server has ended the connection; waits for it.
  bool ended();
  /// As it comes, at most so many bytes; empty at the end.
  std::string read_some(std::size_t most = 65536);
  /// Drops all that has arrived, and that follows within that time; how many bytes it was.
  std::size_t drop_for(std::chrono::milliseconds time);
  void close();

 private:
  int fd_ = -1;
  std::string buffer_;
};

/// `GET path` with the fields given, each with its line end.
std::string get(std::string_view path, std::string_view fields = {});
std::string post(std::string_view path, std::string_view body, std::string_view fields = {});

}  // namespace artcache::test
