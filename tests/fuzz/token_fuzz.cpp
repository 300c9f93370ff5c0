// SPDX-License-Identifier: Apache-2.0
// Any bytes as a token: refused, or taken apart into claims that come back the same from a token
// that says them again. Never believed: nobody signed it.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "auth/jwt.hpp"
#include "auth/verifier.hpp"

namespace {

using namespace artcache;  // NOLINT: a program of one file

void require(bool good) {
  if (!good) std::abort();
}

const auth::PrivateKey& key() {
  static const auth::PrivateKey made = auth::PrivateKey::generate().value();
  return made;
}

void check(std::string_view token) {
  static auth::KeyRing ring;
  static const bool filled = ring.set({key().public_key()}).has_value();
  static auth::Verifier verifier(ring, system_clock());
  require(filled && !verifier.verify(token));

  const auto taken = auth::take_apart(token);
  if (!taken) {
    require(taken.error().code == Errc::invalid_argument);
    return;
  }
  const auth::Claims& said = taken->claims;
  require(token.starts_with(taken->signed_part) && !said.subject.empty() && !said.role.empty());
  (void)auth::check_times(said, Timestamp(), std::chrono::seconds(30));
  const auto again = auth::mint(said, key());
  require(again.has_value());
  const auto reread = auth::take_apart(*again);
  if (!reread) {  // its escapes made it too long
    require(again->size() > auth::kTokenMost);
    return;
  }
  require(reread->claims.subject == said.subject && reread->claims.name == said.name);
  require(reread->claims.role == said.role && reread->claims.client_id == said.client_id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const char*>(data), size});
  return 0;
}
