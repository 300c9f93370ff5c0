// SPDX-License-Identifier: Apache-2.0
// An HTTP server that does what a test wants: answers, fails, hangs, or ends in mid-sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace artcache::test {

struct HttpRequest {
  std::string method, target, headers;  ///< headers in lower case, one a line
  std::string body;
};

/// What is sent for one request, as it goes over the wire.
struct HttpAnswer {
  std::string bytes;
  enum class Then : std::uint8_t { keep_open, close, hang } then = Then::keep_open;
};

HttpAnswer http_answer(int status, const std::string& body = {}, const std::string& headers = {});

/// Listens on a free port of loopback until it is destroyed.
class ScriptedHttp {
 public:
  /// Called from several threads, one a connection.
  using Script = std::function<HttpAnswer(const HttpRequest&)>;
  explicit ScriptedHttp(Script script);
  ~ScriptedHttp();
  ScriptedHttp(const ScriptedHttp&) = delete;
  ScriptedHttp& operator=(const ScriptedHttp&) = delete;

  [[nodiscard]] std::string origin() const;  ///< http://127.0.0.1:PORT

 private:
  void serve(int socket);

  const Script script_;
  int listener_ = -1;
  int port_ = 0;
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace artcache::test
