// SPDX-License-Identifier: Apache-2.0
// JSON Web Tokens: minted and read, always RS256. Which keys are trusted is for keys.hpp.
#pragma once

#include <artcache/result.hpp>
#include <artcache/timestamp.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "auth/rsa.hpp"

namespace artcache::auth {

/// Longer ones are refused unread.
inline constexpr std::size_t kTokenMost = 8 * 1024;

/// What a token says. Times are whole seconds on the wire.
struct Claims {
  std::string subject;    ///< sub: id of the account
  std::string kind;       ///< type: service_account, admin_user or refresh
  std::string role;       ///< as written; roles compare without case
  std::string name;       ///< name, or username where a token has no name
  std::string id;         ///< jti, may be empty
  std::string client_id;  ///< of a service account, else empty
  std::uint32_t rate_limit = 0;
  Timestamp issued_at, not_before, expires_at;
};

/// A signed token whose payload also survives `cut -d. -f2 | base64 -d`: the text of the claims is
/// escaped and padded with blanks, so that base64url spells it without `-`, `_` or a missing `=`.
/// Errors: internal.
Result<std::string> mint(const Claims& claims, const PrivateKey& key);

/// A token taken apart and found well-formed; nothing of it is to be believed yet.
struct UnverifiedToken {
  std::string key_id;            ///< kid, may be empty
  std::string_view signed_part;  ///< of the token itself
  std::string signature;
  Claims claims;
};

/// Errors: invalid_argument, whose message never quotes the token. Refused are: more than
/// kTokenMost bytes, other than three parts in base64url, JSON that is broken or has a member
/// twice, any `alg` but RS256, `crit`, and claims that miss sub, type, role, name or exp, or have
/// them in a wrong type. `type` access means service_account where client_id begins with `sa_`,
/// else admin_user.
Result<UnverifiedToken> take_apart(std::string_view token);

/// Errors: invalid_argument (not valid yet), gone (expired); both by more than `leeway`.
Result<void> check_times(const Claims& claims, Timestamp now, std::chrono::seconds leeway);

}  // namespace artcache::auth
