// SPDX-License-Identifier: Apache-2.0
#include "auth/jwt.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tokens.hpp"

namespace artcache::auth {
namespace {

using std::chrono::seconds;

constexpr std::string_view kHeader = R"({"alg":"RS256","typ":"JWT"})";
constexpr std::string_view kPayload =
    R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":4000000000})";

bool is_refused(std::string_view token) {
  const auto taken = take_apart(token);
  if (!taken) CHECK(taken.error().code == Errc::invalid_argument);
  return !taken;
}

bool header_refused(std::string_view header) { return is_refused(signed_token(header, kPayload)); }
bool payload_refused(std::string_view payload) {
  return is_refused(signed_token(kHeader, payload));
}

/// What stands between the first dot and the second.
std::string payload_part(const std::string& token) {
  const auto first = token.find('.') + 1;
  return token.substr(first, token.find('.', first) - first);
}

}  // namespace

TEST_SUITE_BEGIN("jwt");

TEST_CASE("a token that was minted says what it was given") {
  const Claims given = sample_claims();
  const std::string token = must(mint(given, our_key()));
  const UnverifiedToken taken = must(take_apart(token));
  CHECK(taken.key_id == our_key().public_key().id());
  CHECK(our_key().public_key().verifies(taken.signed_part, taken.signature));
  CHECK_FALSE(other_key().public_key().verifies(taken.signed_part, taken.signature));
  CHECK(taken.claims.subject == given.subject);
  CHECK(taken.claims.kind == "service_account");
  CHECK(taken.claims.role == "ADMIN");
  CHECK(taken.claims.name == given.name);
  CHECK(taken.claims.id == "q7");
  CHECK(taken.claims.client_id == given.client_id);
  CHECK(taken.claims.rate_limit == 1000);
  CHECK(taken.claims.issued_at == given.issued_at);
  CHECK(taken.claims.expires_at == given.expires_at);
}

TEST_CASE("base64 of a shell reads the payload, whatever is in the names") {
  Claims claims = sample_claims();
  for (const char* name : {"a", "ab", "abc", "abcd", "?>~?x>~?>\x7f", "Ирина ÿ 𝄞 \"q\" \\ \n"}) {
    claims.name = name;
    const std::string token = must(mint(claims, our_key()));
    const std::string part = payload_part(token);
    CHECK(part.size() % 4 == 0);
    CHECK(part.find_first_of("-_") == std::string::npos);
    CHECK(must(take_apart(token)).claims.name == name);
  }
}

TEST_CASE("only RS256 is taken, however the header spells another") {
  CHECK(must(take_apart(signed_token(kHeader, kPayload))).key_id.empty());
  for (const char* algorithm : {"none", "None", "NONE", "nOnE", "HS256", "RS384", "RS512", "PS256",
                                "ES256", "rs256", "", "RS256 ", "RS256\\u0000"})
    CHECK(header_refused(std::string(R"({"alg":")") + algorithm + R"("})"));
  CHECK(header_refused(R"({"typ":"JWT"})"));
  CHECK(header_refused(R"({"alg":null})"));
  CHECK(header_refused(R"({"alg":["RS256"]})"));
  CHECK(header_refused(R"({"alg":"RS256","alg":"none"})"));
  CHECK(header_refused(R"({"alg":"none","\u0061lg":"RS256"})"));
  CHECK(header_refused(R"({"alg":"RS256","crit":["exp"]})"));
  CHECK(header_refused(R"({"alg":"RS256","kid":7})"));
  CHECK(header_refused(R"(["RS256"])"));
  CHECK(header_refused("\xef\xbb\xbf{\"alg\":\"RS256\"}"));
}

TEST_CASE("garbage is refused") {
  const std::string good = signed_token(kHeader, kPayload);
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("..."),
        std::string("a.b.c"), std::string("null"), good + ".", good + ".x", "." + good, good + "=",
        " " + good, good + "\n", good + "!", std::string(kTokenMost + 1, 'a'),
        std::string(kTokenMost / 2, '.'), good.substr(0, good.rfind('.')),
        std::string("\0.\0.\0", 5)})
    CHECK(is_refused(token));
  // Without a signature it is well-formed; no key has made it.
  const auto bare = take_apart(joined(kHeader, kPayload) + ".");
  REQUIRE(bare);
  CHECK_FALSE(our_key().public_key().verifies(bare->signed_part, bare->signature));
}

TEST_CASE("bits behind the end of base64url are refused") {
  CHECK(from_base64url("YQ") == "a");
  CHECK(from_base64url("") == "");
  for (const char* text : {"YR", "YQ==", "Y", "YQ\n", "Y+", "Y/", "YWI="})
    CHECK_FALSE(from_base64url(text));
}

TEST_CASE("claims that are missing or of a wrong type are refused") {
  for (const char* payload :
       {R"({})",
        R"([])",
        R"("x")",
        R"(null)",
        R"({"sub":)",
        "{\"sub\":\"\xff\"}",
        R"({"type":"service_account","role":"admin","name":"a","exp":4000000000})",
        R"({"sub":"1","role":"admin","name":"a","exp":4000000000})",
        R"({"sub":"1","type":"service_account","name":"a","exp":4000000000})",
        R"({"sub":"1","type":"service_account","role":"admin","exp":4000000000})",
        R"({"sub":"1","type":"service_account","role":"admin","name":"a"})",
        R"({"sub":1,"type":"service_account","role":"admin","name":"a","exp":4000000000})",
        R"({"sub":"1","type":"service_account","role":["admin"],"name":"a","exp":4000000000})",
        R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":"4000000000"})",
        R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":-1})",
        R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":1e400})",
        R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":1e20})",
        R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":true})",
        R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":4000000000,)"
        R"("nbf":"x"})",
        R"({"sub":"1","type":"service_account","role":"user","role":"admin","name":"a",)"
        R"("exp":4000000000})",
        R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":4000000000,)"
        R"("rate_limit":1.5})",
        R"({"sub":"1","type":"service_account","role":"admin","name":"a","exp":4000000000} x)"})
    CHECK_MESSAGE(payload_refused(payload), payload);
  CHECK(payload_refused(std::string(2000, '[')));
}

TEST_CASE("tokens of older issuers are understood") {
  const Claims service =
      must(take_apart(signed_token(kHeader,
                                   R"({"sub":"1","type":"access","role":"admin","username":"u",)"
                                   R"("client_id":"sa_x","exp":4000000000.25,"extra":{"a":[1]}})")))
          .claims;
  CHECK(service.kind == "service_account");
  CHECK(service.name == "u");
  CHECK(service.id.empty());
  CHECK(service.expires_at == Timestamp(std::chrono::milliseconds(4000000000250)));
  const Claims person =
      must(take_apart(signed_token(kHeader, R"({"sub":"1","type":"access","role":"user",)"
                                            R"("name":"u","exp":4000000000})")))
          .claims;
  CHECK(person.kind == "admin_user");
  const Claims refresh =
      must(take_apart(signed_token(kHeader, R"({"sub":"1","type":"refresh","role":"user",)"
                                            R"("name":"u","exp":4000000000})")))
          .claims;
  CHECK(refresh.kind == "refresh");
}

TEST_CASE("a token counts from nbf to exp, a leeway more on both sides") {
  const Timestamp start = test::FakeClock::kStart;
  const Claims claims = sample_claims(start);
  const auto holds = [&](seconds after) {
    return check_times(claims, start + after, seconds(30)).has_value();
  };
  CHECK_FALSE(holds(seconds(-31)));
  CHECK(holds(seconds(-30)));
  CHECK(holds(seconds(1829)));
  CHECK_FALSE(holds(seconds(1830)));
}

TEST_SUITE_END();

}  // namespace artcache::auth
