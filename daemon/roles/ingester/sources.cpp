// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/sources.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "common/discovery_names.hpp"
#include "common/json_read.hpp"
#include "roles/element_names.hpp"
#include "util/try.hpp"
#if ARTCACHE_WITH_REDIS
#include "redis/connection.hpp"
#endif

namespace artcache::ingester {
namespace {

using Urls = std::vector<std::string>;

}  // namespace

ElementSource named_source(const std::string& names,
                           std::function<std::string(const std::string&)> address_of) {
  const auto ask = [named = element_words(names),
                    address_of = std::move(address_of)](const Call&) -> Result<Urls> {
    Urls urls;
    for (const std::string& one : named) {
      const std::string_view address = element_address(one);
      urls.push_back(address.empty() ? address_of(one) : std::string(address));
    }
    return urls;
  };
  return {"settings", ask};
}

ElementSource admin_source(std::function<std::string()> admin, web::HttpClient& http,
                           ServiceToken& token) {
  const auto ask = [admin = std::move(admin), &http, &token](const Call& call) -> Result<Urls> {
    const std::string address = admin();
    if (address.empty()) return Urls();
    ARTCACHE_TRY(const std::string shown, token.get(call));
    web::HttpRequest request{.url = address + "/api/v1/internal/storage-elements/available"};
    request.headers.emplace_back("Authorization", "Bearer " + shown);
    ARTCACHE_TRY(const web::HttpReply reply, http.send(request, call));
    if (reply.head.status == 401) token.reject(shown);
    if (reply.head.status != 200)
      return Error{Errc::unavailable, "the admin answers " + std::to_string(reply.head.status)};
    return parse_element_list(reply.body);
  };
  return {"admin", ask};
}

bool is_news(std::string_view message) {
  JsonObject said{std::string(message)};
  return said.text("action").value_or("") != kStillAlive;
}

#if ARTCACHE_WITH_REDIS
namespace {

constexpr std::chrono::seconds kConnectMost{5}, kListenRound{1};

Result<Urls> ask_redis(redis::Client& client, const Call& call) {
  // The sum of all keys: to look for the keys would be to read the whole database.
  static constexpr std::array<std::string_view, 2> kGet{"GET", kElementsKey};
  ARTCACHE_TRY(const redis::Reply reply, client.command(kGet, call));
  if (reply.is(redis::Reply::Kind::nil)) return Urls();
  if (!reply.is(redis::Reply::Kind::text)) return redis::error_of(reply);
  return parse_element_list(reply.text);
}

Result<void> listen_to_redis(const redis::Client& client, const Clock& clock,
                             const ElementSource::News& tell, const Call& call) {
  static constexpr std::array kChannel{kDiscoveryChannel};
  const Call soon = call.within(kConnectMost, clock);
  ARTCACHE_TRY(const auto connection, client.open(soon));
  ARTCACHE_CHECK(connection->subscribe(kChannel, soon));
  tell();
  while (true) {
    ARTCACHE_TRY(const auto message, connection->next_message(kListenRound, call));
    if (message && is_news(message->text)) tell();
  }
}

}  // namespace

Result<ElementSource> redis_source(const Url& url, const Deps& deps) {
  ARTCACHE_TRY(auto options, redis::options_of(url, *deps.clock));
  auto client = std::make_shared<redis::Client>(std::move(options));
  return ElementSource{
      .name = "redis",
      .addresses = [client](const Call& call) { return ask_redis(*client, call); },
      .listen = [client, &clock = *deps.clock](
                    const ElementSource::News& tell,
                    const Call& call) { return listen_to_redis(*client, clock, tell, call); }};
}
#else
Result<ElementSource> redis_source(const Url&, const Deps&) {
  return Error{Errc::unsupported, "redis: not compiled in: build with ARTCACHE_WITH_REDIS"};
}
#endif

}  // namespace artcache::ingester
