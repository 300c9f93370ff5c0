// SPDX-License-Identifier: Apache-2.0
// Requests to one S3 endpoint: signed, repeated where that is safe, ended by the Call. Every call
// drives a curl multi handle of its own on the thread that called; the handles are kept with
// their open connections for the calls that follow.
#pragma once

#include <artcache/backends.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/s3/signer.hpp"
#include "util/mutex.hpp"

namespace artcache::s3 {

struct Target {
  std::string origin;     ///< http://host:port, of the bucket with virtual-host style
  std::string host;       ///< the value of the header Host
  std::string base_path;  ///< "/bucket" with path style, "" with virtual-host style
  std::string bucket, region;
  std::string ca = {};  ///< a file of certificates; empty: the system's
  Credentials credentials;
  std::size_t concurrency = 32;
  int attempts_most = 4;
  std::chrono::milliseconds stall{30'000};  ///< no byte for so long breaks a connection off
};

enum class Repeat : std::uint8_t {
  safe,    ///< doing it twice is doing it once
  refused  ///< only when the server said that it did not do it
};

struct Request {
  std::string method = "GET";
  std::string subject;  ///< for messages
  std::string key;      ///< in the bucket, not encoded; empty: the bucket
  Query query = {};
  Headers headers = {};        ///< beside those of the signature
  std::string_view body = {};  ///< must live as long as the call
  std::size_t most = 1 << 20;  ///< of the body of the answer
  Repeat repeat = Repeat::safe;
};

struct Response {
  long status = 0;
  std::string etag, content_range, last_modified, bucket_region;
  std::optional<std::uint64_t> length;  ///< as announced
  std::string body;
  bool too_large = false;  ///< the body was broken off at Request::most
};

/// Safe to call from any thread.
class Client {
 public:
  Client(Target target, const Clock& clock, Metrics& metrics = null_metrics());
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// An answer of any status but those that repeating may mend. Errors: unavailable, timed_out,
  /// cancelled, corrupt (no HTTP); the outcome is unknown when the request may have been carried
  /// out.
  Result<Response> send(const Request& request, const Call& call);

  /// The next request; nothing when there is none, for now or at all. Asked again after each
  /// answer.
  using Next = std::function<std::optional<Request>()>;
  /// Takes the answer to the request that came as number `index`.
  using Done = std::function<Result<void>(std::size_t index, Result<Response>)>;
  /// Sends what `next` gives, so many at once as the target says, until there is nothing more;
  /// both are called on the calling thread. Errors: timed_out, cancelled, and those of `done`.
  Result<void> send_all(const Next& next, const Done& done, const Call& call);

  using Make = std::function<Request(std::size_t)>;
  /// The same for `count` requests.
  Result<void> send_many(std::size_t count, const Make& make, const Done& done, const Call& call);

  [[nodiscard]] const Target& target() const { return target_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  /// artcache_s3_requests_total, by what was asked for; every attempt counts.
  void count(const Request& request) const;

 private:
  class Session;
  class Transfer;

  std::unique_ptr<Session> take();
  void give_back(std::unique_ptr<Session> session);

  const Target target_;
  const Clock& clock_;
  Metrics& metrics_;
  util::Mutex mutex_;
  std::vector<std::unique_ptr<Session>> idle_ ARTCACHE_GUARDED_BY(mutex_);
};

/// The Error that an answer with a status of 300 and more stands for, with what to do about it.
Error error_of(const Request& request, const Response& response, const Target& target);

}  // namespace artcache::s3
