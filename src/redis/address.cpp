// SPDX-License-Identifier: Apache-2.0
#include "redis/address.hpp"

#include <charconv>

#include "util/try.hpp"

namespace artcache::redis {
namespace {

constexpr std::uint16_t kPort = 6379, kSentinelPort = 26379;

Error wrong(std::string cause) {
  return Error{Errc::invalid_argument, "redis: " + std::move(cause)};
}

Result<std::int64_t> database_of(const std::string& path) {
  if (path.empty() || path == "/") return std::int64_t{0};
  std::int64_t number = -1;
  const char* const end = path.data() + path.size();
  const auto [at, error] = std::from_chars(path.data() + 1, end, number);
  if (error != std::errc() || at != end || number < 0)
    return wrong("database '" + path.substr(1) + "': a number is wanted, as in redis://host/0");
  return number;
}

Result<std::shared_ptr<const Tls>> tls_of(const Url& url) {
  if (url.scheme() != "rediss") {
    for (const char* name : {"ca_file", "cert_file", "key_file", "server_name", "verify"})
      if (url.parameter(name))
        return wrong("parameter '" + std::string(name) + "' is for rediss:// only");
    return std::shared_ptr<const Tls>();
  }
  Tls::Options options;
  options.ca_file = url.parameter("ca_file").value_or("");
  options.cert_file = url.parameter("cert_file").value_or("");
  options.key_file = url.parameter("key_file").value_or("");
  options.server_name = url.parameter("server_name").value_or("");
  ARTCACHE_TRY(const bool verify, url.flag("verify", true));
  if (!verify) options.verify = Tls::Verify::nothing;
  return Tls::make(options);
}

}  // namespace

Result<Options> options_of(const Url& url, const Clock& clock) {
  ARTCACHE_CHECK(
      url.expect_only({"sentinel", "sentinel_user", "sentinel_password", "ca_file", "cert_file",
                       "key_file", "server_name", "verify", "connect_timeout", "timeout"}));
  Options options;
  options.clock = &clock;
  options.describe = url.redacted();
  options.sentinel = url.parameter("sentinel").value_or("");
  options.hosts = url.hosts();
  if (options.hosts.empty() || options.hosts.front().name.empty())
    return wrong("no host in the address, as in redis://127.0.0.1:6379/0");
  for (Url::Host& host : options.hosts)
    if (host.port == 0) host.port = options.sentinel.empty() ? kPort : kSentinelPort;
  options.login = {url.user(), url.password()};
  options.sentinel_login = {url.parameter("sentinel_user").value_or(""),
                            url.parameter("sentinel_password").value_or("")};
  ARTCACHE_TRY(options.database, database_of(url.path()));
  ARTCACHE_TRY(options.connect_most, url.duration("connect_timeout", options.connect_most));
  ARTCACHE_TRY(options.answer_most, url.duration("timeout", options.answer_most));
  ARTCACHE_TRY(options.tls, tls_of(url));
  return options;
}

}  // namespace artcache::redis
