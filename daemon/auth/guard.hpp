// SPDX-License-Identifier: Apache-2.0
// Who may call a route.
#pragma once

#include <artcache/backends.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "auth/limiter.hpp"
#include "auth/verifier.hpp"
#include "http/site.hpp"

namespace artcache::auth {

enum class Callers : std::uint8_t { any, service_accounts, people };

/// What a route asks of its callers. A token whose role nobody knows gets nothing anywhere.
struct Rule {
  Callers callers = Callers::any;
  std::vector<std::string> roles = {};  ///< in lower case; empty: every role there is
  /// The detail of the 403; empty: one that names what is asked for.
  std::string denial = {};
};

/// What a client is told with a 401.
struct Wording {
  std::string missing = "Not authenticated";       ///< no Authorization at all
  std::string wrong_scheme = "Not authenticated";  ///< one that is not Bearer
  std::string invalid = "Invalid or expired token";
  std::string expired = "Invalid or expired token";
};

/// Whether requests of an account are counted against the limit in its token.
enum class RateLimits : std::uint8_t { off, on };

struct GateOptions {
  Wording wording = {};
  RateLimits limits = RateLimits::off;
};

/// Makes the guards of one site. Outlives them; safe to use from any thread.
class Gate {
 public:
  Gate(Verifier& verifier, const Deps& deps, GateOptions options = {});

  /// 401 without a good token (with WWW-Authenticate: Bearer), 403 where the rule is not met, 429
  /// beyond the limit. Why a token was refused is in the log at DEBUG, the token never.
  [[nodiscard]] http::Guard guard(Rule rule);
  /// The route with that guard; its answers tell what is left of the limit, where limits are on.
  [[nodiscard]] http::Route protect(http::Route route, Rule rule);

 private:
  std::optional<http::Problem> admit(const Rule& rule, http::Request& request);
  Result<http::Identity> identify(const http::Request& request, http::Problem& refusal);

  Verifier& verifier_;
  const Deps deps_;
  const GateOptions options_;
  Limiter limiter_;
};

/// Every role that there is, in lower case.
const std::vector<std::string>& known_roles();

/// Who may put files and change what is said of them: every role but those that only read.
Rule writers();

/// What stands behind `Bearer ` in the header, in any case of that word; nothing for other schemes.
std::optional<std::string_view> bearer_token(std::string_view authorization);

}  // namespace artcache::auth
