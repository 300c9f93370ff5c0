// SPDX-License-Identifier: Apache-2.0
// A site that is served on a free port while a test talks to it.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <stop_token>
#include <thread>

#include "http/server.hpp"
#include "http/site.hpp"
#include "support/http_client.hpp"

namespace artcache::http {

class Serving {
 public:
  explicit Serving(Site& site, ServerSettings settings = {}, const Deps& deps = {},
                   const TlsFiles& tls = {})
      : server_(settings, deps) {
    const auto taken = server_.listen(site, "127.0.0.1", 0, tls);
    REQUIRE(taken);
    port_ = *taken;
    Call call;
    call.stop = stop_.get_token();
    thread_ = std::thread([this, call] { static_cast<void>(server_.run(call)); });
  }
  ~Serving() { stop(); }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  /// Returns once the server has ended.
  void stop() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  void begin_stop() { stop_.request_stop(); }

  [[nodiscard]] test::RawClient client() const { return test::RawClient(port_); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  Server& server() { return server_; }

 private:
  Server server_;
  std::uint16_t port_ = 0;
  std::stop_source stop_;
  std::thread thread_;
};

}  // namespace artcache::http
