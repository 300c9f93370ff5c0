// SPDX-License-Identifier: Apache-2.0
// The token with which the ingester speaks for itself, got from the admin and renewed in time.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "util/mutex.hpp"
#include "web/http_client.hpp"

namespace artcache::ingester {

struct ServiceAccount {
  std::function<std::string()> admin;  ///< "http://admin:8000", asked for each token
  std::string client_id, secret;
};

/// Safe to use from any thread.
class ServiceToken {
 public:
  ServiceToken(ServiceAccount account, web::HttpClient& http, const Deps& deps);

  /// One that is good for a while yet. Once four fifths of its life are over a new one is asked
  /// for; while the admin does not answer the old one is given until it ends.
  /// Errors: unavailable (no admin, or it refuses the account), timed_out, cancelled.
  Result<std::string> get(const Call& call);
  /// Somebody did not believe this one: it is not given again.
  void reject(std::string_view token);

 private:
  struct Token {
    std::string text;
    Clock::SteadyTime renew{}, end{};
  };
  Result<Token> ask(const Call& call) const;

  const ServiceAccount account_;
  web::HttpClient& http_;
  const Deps deps_;
  util::Mutex mutex_;
  Token token_ ARTCACHE_GUARDED_BY(mutex_);
};

}  // namespace artcache::ingester
