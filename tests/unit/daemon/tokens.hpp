// SPDX-License-Identifier: Apache-2.0
// What the tests of auth share: keys, made once because that takes long, and forged tokens.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "auth/base64.hpp"
#include "auth/jwt.hpp"
#include "auth/rsa.hpp"
#include "support/fake_clock.hpp"

namespace artcache::auth {

/// The value, or a failed test that shows the error.
template <class T>
T must(Result<T> result) {
  if (!result) FAIL(to_string(result.error()));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

inline const PrivateKey& our_key() {
  static const PrivateKey key = must(PrivateKey::generate());
  return key;
}
inline const PrivateKey& other_key() {
  static const PrivateKey key = must(PrivateKey::generate());
  return key;
}

inline std::string joined(std::string_view header, std::string_view payload) {
  return base64url(header) + "." + base64url(payload);
}

/// Any header and payload, rightly signed.
inline std::string signed_token(std::string_view header, std::string_view payload,
                                const PrivateKey& key = our_key()) {
  const std::string text = joined(header, payload);
  return text + "." + base64url(must(key.sign(text)));
}

inline Claims sample_claims(Timestamp now = test::FakeClock::kStart) {
  Claims out;
  out.subject = "5d2b8a3c-0000-4000-8000-000000000001";
  out.kind = "service_account";
  out.role = "ADMIN";
  out.name = "admin-service";
  out.id = "q7";
  out.client_id = "sa_prod_admin_service_11710636";
  out.rate_limit = 1000;
  out.issued_at = out.not_before = now;
  out.expires_at = now + std::chrono::minutes(30);
  return out;
}

}  // namespace artcache::auth
