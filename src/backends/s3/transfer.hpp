// SPDX-License-Identifier: Apache-2.0
// One request on its way: its curl handle, its attempts, its answer. For one thread.
#pragma once

#include <curl/curl.h>

#include <string>

#include "backends/s3/client.hpp"

namespace artcache::s3 {

class Client::Transfer {
 public:
  Transfer(const Client& client, std::size_t index, Request request);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Signs anew and makes the handle ready for curl_multi_add_handle().
  void prepare();
  /// Takes the end of an attempt. True when there shall be another, at not_before().
  [[nodiscard]] bool ended(CURLcode code);
  /// Once ended() was false.
  Result<Response> result();
  /// Puts into `error` what is known about the request when it is given up now, on its way.
  Error given_up(Error error) const;

  [[nodiscard]] CURL* handle() const { return easy_; }
  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] Clock::SteadyTime not_before() const { return not_before_; }

 private:
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_upload(char* out, std::size_t, std::size_t size, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  void set_body();
  void set_headers(const std::string& path, const std::string& query);
  [[nodiscard]] Error failed(Error error) const;  ///< the same once it has ended
  [[nodiscard]] bool changes_something() const;
  [[nodiscard]] bool repeatable(CURLcode code) const;

  const Client& client_;
  const std::size_t index_;
  const Request request_;
  CURL* const easy_;
  curl_slist* headers_ = nullptr;
  Response response_;
  CURLcode code_ = CURLE_OK;
  std::size_t sent_ = 0;
  int attempts_ = 0;
  bool reached_server_ = false;  ///< in any attempt whose answer did not say "not done"
  Clock::SteadyTime not_before_{};
};

}  // namespace artcache::s3
