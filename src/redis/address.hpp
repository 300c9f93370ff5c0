// SPDX-License-Identifier: Apache-2.0
// redis://user:password@host:port,host:port/db?name=value as options.
#pragma once

#include <artcache/call.hpp>
#include <artcache/clock.hpp>
#include <artcache/url.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "redis/socket.hpp"

namespace artcache::redis {

struct Login {
  std::string user;  ///< empty: the server's default user
  std::string password;
};

/// How to reach a server.
struct Options {
  std::vector<Url::Host> hosts;  ///< tried in turn; the Sentinels where there is a `sentinel`
  std::string sentinel;          ///< the master's name, or empty: the hosts are servers
  Login login, sentinel_login;
  std::int64_t database = 0;
  std::shared_ptr<const Tls> tls;                ///< null without TLS
  std::chrono::milliseconds connect_most{5000};  ///< for one host
  std::chrono::milliseconds answer_most{5000};   ///< a server that says nothing for so long hangs
  std::string describe;                          ///< without secrets, for messages
  const Clock* clock = &system_clock();
};

/// Errors: invalid_argument: no host, a database that is no number, an unknown parameter, a file of
/// TLS that cannot be used.
Result<Options> options_of(const Url& url, const Clock& clock);

}  // namespace artcache::redis
