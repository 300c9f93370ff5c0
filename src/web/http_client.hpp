// SPDX-License-Identifier: Apache-2.0
// Plain HTTP requests to other processes: log sources, roles of the daemon. Over libcurl; bodies
// are streamed both ways, every wait ends with the Call.
#pragma once

#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace artcache::web {

/// Fills the buffer and tells how much of it; 0 at the end. Called on the thread that called, also
/// while an answer is read that comes before the request has gone.
using BodySource = std::function<Result<std::size_t>(std::span<std::byte>)>;
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = "GET";
  std::string url = {};  ///< "http://host:port/path?query", encoded already
  HttpHeaders headers = {};
  std::string body = {};                                ///< sent as it is, unless there is a source
  BodySource source = {};                               ///< sent as it comes
  std::optional<std::uint64_t> source_length = {};      ///< unknown: chunked; less is an error
  std::size_t most = 1 << 20;                           ///< of an answer that is taken whole
  std::optional<std::chrono::milliseconds> stall = {};  ///< in the place of HttpSettings::stall
};

struct HttpHead {
  int status = 0;
  HttpHeaders headers = {};  ///< names in lower case, in the order they came
  /// The first of that name, which is in lower case; empty when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct HttpReply {
  HttpHead head;
  std::string body;
};

/// An answer whose head is there and whose body is still coming. For one thread. Dropping it
/// breaks the connection off, unless the body was read to its end.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  [[nodiscard]] virtual const HttpHead& head() const = 0;
  /// Waits for bytes of the body and takes them; 0 at its end. A reader that is slow holds the
  /// sender back; at most about 256 KiB wait here. Errors: unavailable (broken off), timed_out,
  /// cancelled.
  virtual Result<std::size_t> read(std::span<std::byte> into, const Call& call) = 0;
};

struct HttpSettings {
  std::chrono::milliseconds connect_most{5'000};
  std::chrono::milliseconds stall{30'000};  ///< no byte for so long breaks a connection off
  /// A file of certificates, which are trusted instead of the system's; empty: the system's. It may
  /// be replaced: connections made from then on go by it, unless it cannot be used.
  std::string ca = {};
  std::size_t idle_most = 16;  ///< connections kept open for the next request
};

/// Safe to call from any thread. Nothing that changes twice when it is done twice (POST, PATCH) is
/// tried twice here. No redirects, no proxies, no cookies; HTTP/1.1.
class HttpClient {
 public:
  explicit HttpClient(HttpSettings settings, const Clock& clock = system_clock());
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// An answer of any status, whole. Errors: invalid_argument (no such URL), unavailable (no
  /// connection, broken off), timed_out, cancelled, corrupt (no HTTP, more than `most`); those of
  /// the source. After an error the outcome is "unknown" when a byte of a request other than GET
  /// and HEAD can have reached the server.
  Result<HttpReply> send(const HttpRequest& request, const Call& call);
  /// The same as soon as the head of the answer is there; it may outlive the client.
  Result<std::unique_ptr<HttpStream>> open(const HttpRequest& request, const Call& call);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace artcache::web
