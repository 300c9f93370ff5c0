// SPDX-License-Identifier: Apache-2.0
// What tests on a Redis server share. The server is theirs alone: each begins with FLUSHALL.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "redis/connection.hpp"

namespace artcache::test {

template <class R>
auto must(R result) {
  REQUIRE_MESSAGE(result.has_value(), (result ? "" : to_string(result.error())));
  if constexpr (!std::is_void_v<typename R::value_type>) return std::move(*result);
}

/// The variable that `services run` sets.
inline std::string server_address(const char* variable = "ARTCACHE_TEST_REDIS") {
  const char* address = std::getenv(variable);
  REQUIRE_MESSAGE(address != nullptr, variable << " is not set; see tests/services");
  return address;
}

inline redis::Options redis_options(const std::string& address) {
  return must(redis::options_of(must(Url::parse(address)), system_clock()));
}

/// What an operator types into redis-cli.
class RedisCli {
 public:
  explicit RedisCli(const std::string& address = server_address())
      : client_(redis_options(address)) {}
  redis::Reply operator()(std::initializer_list<std::string_view> words) {
    const std::vector<std::string_view> args(words);
    return must(client_.command(args, Call().within(std::chrono::seconds(30))));
  }
  std::vector<std::string> keys(std::string_view pattern) {
    std::vector<std::string> names;
    for (const redis::Reply& one : (*this)({"KEYS", pattern}).items) names.push_back(one.text);
    return names;
  }

 private:
  redis::Client client_;
};

}  // namespace artcache::test
