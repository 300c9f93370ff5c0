// SPDX-License-Identifier: Apache-2.0
#include "roles/ingester/sources.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "util/try.hpp"
#if ARTCACHE_WITH_REDIS
#include "redis/connection.hpp"
#endif

namespace artcache::ingester {
namespace {

using Urls = std::vector<std::string>;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::string word = text.substr(begin, end - begin);
    std::erase(word, ' ');
    if (!word.empty()) out.push_back(std::move(word));
    begin = end + 1;
  }
  return out;
}

}  // namespace

ElementSource named_source(const std::string& names,
                           std::function<std::string(const std::string&)> address_of) {
  const auto ask = [named = split(names),
                    address_of = std::move(address_of)](const Call&) -> Result<Urls> {
    Urls urls;
    for (const std::string& one : named)
      urls.push_back(one.find("://") == std::string::npos ? address_of(one) : one);
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

#if ARTCACHE_WITH_REDIS
Result<ElementSource> redis_source(const Url& url, const Deps& deps) {
  ARTCACHE_TRY(auto options, redis::options_of(url, *deps.clock));
  auto client = std::make_shared<redis::Client>(std::move(options));
  const auto ask = [client](const Call& call) -> Result<Urls> {
    // The sum of all keys: to look for the keys would be to read the whole database.
    static constexpr std::array<std::string_view, 2> kGet{"GET", "artstore:storage_elements"};
    ARTCACHE_TRY(const redis::Reply reply, client->command(kGet, call));
    if (reply.is(redis::Reply::Kind::nil)) return Urls();
    if (!reply.is(redis::Reply::Kind::text)) return redis::error_of(reply);
    return parse_element_list(reply.text);
  };
  return ElementSource{"redis", ask};
}
#else
Result<ElementSource> redis_source(const Url&, const Deps&) {
  return Error{Errc::unsupported, "redis: not compiled in: build with ARTCACHE_WITH_REDIS"};
}
#endif

}  // namespace artcache::ingester
