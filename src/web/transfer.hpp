// SPDX-License-Identifier: Apache-2.0
// One request on its way: what libcurl calls, and how long it may wait.
#pragma once

#include <curl/curl.h>

#include <array>
#include <memory>

#include "web/http_client.hpp"

namespace artcache::web {

/// A multi handle with the connections it keeps. For one thread at a time.
struct Session {
  explicit Session(std::string to) : origin(std::move(to)), multi(curl_multi_init()) {
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1L);
  }
  ~Session() { curl_multi_cleanup(multi); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const std::string origin;  ///< "http://host:port"
  CURLM* const multi;
};

struct TransferSettings {
  HttpSettings client;
  std::shared_ptr<const std::string> authorities;  ///< in the place of the file client.ca
};

/// Runs on the threads that call; between the calls nothing moves, and the server is held back.
class Transfer {
 public:
  Transfer(TransferSettings settings, const Clock& clock, HttpRequest request,
           std::unique_ptr<Session> session);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Until the head of the answer is there.
  Result<void> until_head(const Call& call);
  Result<std::size_t> read(std::span<std::byte> into, const Call& call);
  [[nodiscard]] const HttpHead& head() const { return head_; }
  /// Once the answer was read to its end: the session, its connection open. Else nothing.
  std::unique_ptr<Session> take_session();

 private:
  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_upload(char* out, std::size_t, std::size_t size, void* self);
  /// Before each try of a request that must not be made twice.
  static int on_begin(void* self, char*, char*, int, int);
  void set_connection();
  void set_authorities();
  void set_headers();
  void set_body();
  std::size_t fill(std::span<std::byte> out);
  Result<void> advance(const Call& call);
  Result<void> wait(const Call& call);
  void take_end();
  [[nodiscard]] std::uint64_t uploaded() const;
  [[nodiscard]] bool changes_something() const;
  [[nodiscard]] std::chrono::milliseconds stall() const {
    return request_.stall.value_or(settings_.stall);
  }
  [[nodiscard]] Error failed(Errc code, const std::string& cause) const;
  [[nodiscard]] Error broken() const;

  const HttpSettings settings_;
  const std::shared_ptr<const std::string> authorities_;  // read by libcurl until the end
  const Clock& clock_;
  const HttpRequest request_;
  std::unique_ptr<Session> session_;
  CURL* const easy_;
  curl_slist* headers_ = nullptr;
  HttpHead head_;
  bool begun_ = false, head_done_ = false, ended_ = false, paused_ = false;
  CURLcode code_ = CURLE_OK;
  std::array<char, CURL_ERROR_SIZE> said_{};
  std::optional<Error> source_error_;
  std::uint64_t sent_ = 0;   // bytes that the source gave
  std::uint64_t moved_ = 0;  // bytes in both directions, to see that something moves
  Clock::SteadyTime moved_at_{};
  std::string waiting_;         // bytes of the answer
  std::size_t waiting_at_ = 0;  // of these were read
};

/// Scheme, host and port of a URL. Errors: invalid_argument.
Result<std::string> origin_of(std::string_view url);

}  // namespace artcache::web
