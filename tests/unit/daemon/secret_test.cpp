// SPDX-License-Identifier: Apache-2.0
#include "auth/secret.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tokens.hpp"

namespace artcache::auth {
namespace {
constexpr HashCost kCheap{16, 1, 1};
}

TEST_SUITE_BEGIN("secret");

TEST_CASE("a secret is known again, another one is not") {
  const std::string stored = must(hash_secret("Test-Password123", kCheap));
  CHECK(stored.starts_with("$scrypt$n=16,r=1,p=1$"));
  CHECK(stored.find("Test-Password123") == std::string::npos);
  CHECK(is_secret("Test-Password123", stored));
  for (const char* other : {"", "test-password123", "Test-Password12", "Test-Password1234"})
    CHECK_FALSE(is_secret(other, stored));
}

TEST_CASE("the same secret is kept in another text each time") {
  CHECK(must(hash_secret("s", kCheap)) != must(hash_secret("s", kCheap)));
}

TEST_CASE("scrypt is that of RFC 7914") {
  // The second vector of section 12, the first 32 of its 64 bytes: scrypt gives them alike.
  CHECK(is_secret("password",
                  "$scrypt$n=1024,r=8,p=16$TmFDbA$"
                  "_bq-HJ00cgB4VucZDQHp_nxq18vII3gw53N2Y0s3MWI"));
}

TEST_CASE("what is stored may cost what it likes within reason, and broken texts match nothing") {
  const std::string good = must(hash_secret("s", kCheap));
  for (const std::string& stored :
       {std::string(), std::string("s"), std::string("$2b$12$abc"), good + "x",
        good.substr(0, good.size() - 1), std::string("$scrypt$n=15,r=1,p=1$AA$AA"),
        std::string("$scrypt$n=1099511627776,r=8,p=1$AA$") + std::string(43, 'A'),
        std::string("$scrypt$n=16,r=99999,p=1$AA$") + std::string(43, 'A'),
        std::string("$scrypt$n=16,r=1,p=1$AA"), std::string("$scrypt$n=16,r=1,p=1")})
    CHECK_FALSE(is_secret("s", stored));
}

TEST_CASE("empty and endless secrets are refused") {
  CHECK_FALSE(hash_secret("", kCheap));
  CHECK_FALSE(hash_secret(std::string(kSecretMost + 1, 'a'), kCheap));
  CHECK(hash_secret(std::string(kSecretMost, 'a'), kCheap));
}

TEST_CASE("texts compare as texts do") {
  CHECK(same_secret("", ""));
  CHECK(same_secret("abc", "abc"));
  CHECK_FALSE(same_secret("abc", "abd"));
  CHECK_FALSE(same_secret("abc", "ab"));
}

TEST_CASE("random words are as long as asked for and never the same") {
  CHECK(random_word(16).size() == 22);
  CHECK(random_hex(4).size() == 8);
  CHECK(random_word(16) != random_word(16));
  const std::string uuid = random_uuid();
  REQUIRE(uuid.size() == 36);
  CHECK(uuid[14] == '4');
  CHECK(uuid[8] == '-');
}

TEST_SUITE_END();

}  // namespace artcache::auth
