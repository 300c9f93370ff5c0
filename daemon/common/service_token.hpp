// SPDX-License-Identifier: Apache-2.0
// The token with which a role speaks for itself, got from the admin and renewed in time.
#pragma once

#include <artcache/backends.hpp>
#include <artcache/call.hpp>
#include <artcache/result.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "util/mutex.hpp"
#include "web/http_client.hpp"

namespace artcache {

struct ServiceAccount {
  std::function<std::string()> admin;  ///< "http://admin:8000", asked for each token
  std::string client_id, secret;
  std::string site;  ///< whose it is, in the metrics: "ingester"
};

/// Safe to use from any thread.
class ServiceToken {
 public:
  ServiceToken(ServiceAccount account, web::HttpClient& http, const Deps& deps);

  /// One that is good for a while yet. Once four fifths of its life are over a new one is asked
  /// for; while the admin does not answer the old one is given until it ends. One caller asks at a
  /// time: who has nothing until then shares the answer, also one that is no token, which holds for
  /// half a second.
  /// Errors: unavailable (no admin, or it refuses the account), timed_out, cancelled.
  Result<std::string> get(const Call& call);
  /// Somebody did not believe this one: it is not given again.
  void reject(std::string_view token);

 private:
  struct Token {
    std::string text;
    Clock::SteadyTime renew{}, end{};
  };
  Result<std::string> current(const Call& call);
  Result<std::optional<std::string>> known_or_my_turn(const Call& call);
  Result<std::string> take_in(Result<Token> fresh, const Call& call);
  [[nodiscard]] bool is_good(Clock::SteadyTime now) const ARTCACHE_REQUIRES(mutex_);
  std::string give_kept() ARTCACHE_REQUIRES(mutex_);
  Result<Token> renewed(const Call& call) const;
  Result<Token> ask(const Call& call) const;
  void count(std::string_view name, std::string_view label, std::string_view value) const;
  void observe(std::string_view name, Clock::SteadyTime begun) const;

  const ServiceAccount account_;
  web::HttpClient& http_;
  const Deps deps_;
  util::Mutex mutex_;
  util::CondVar answered_;
  Token token_ ARTCACHE_GUARDED_BY(mutex_);
  bool asking_ ARTCACHE_GUARDED_BY(mutex_) = false;
  std::optional<Error> failure_ ARTCACHE_GUARDED_BY(mutex_);  ///< the last answer, for a while
  Clock::SteadyTime failed_until_ ARTCACHE_GUARDED_BY(mutex_){};
  double given_ ARTCACHE_GUARDED_BY(mutex_) = 0;  // how often, and how often without the admin
  double given_at_once_ ARTCACHE_GUARDED_BY(mutex_) = 0;
};

}  // namespace artcache
