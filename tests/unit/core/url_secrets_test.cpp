// SPDX-License-Identifier: Apache-2.0
// What of an address may be shown: redacted(), and messages.
#include <doctest/doctest.h>
#include <artcache/url.hpp>

#include <random>
#include <string>

#include "unit/core/attr/vectors.hpp"

namespace artcache {
namespace {

std::string redacted(std::string_view text) {
  const auto url = Url::parse(text);
  return url ? url->redacted() : "refused: " + url.error().message;
}

bool shows(const std::string& text, std::string_view secret) {
  return text.find(secret) != std::string::npos;
}

/// An address made of parts that are likely to be misread.
std::string random_address(std::mt19937_64& random) {
  static constexpr std::string_view kPieces[] = {
      "://", ":",   "/",     "//",  "@",   "?",    "&",   "=",    ",",      "[",    "]",  "%2F",
      "%25", "%40", "%3A",   "%00", "%5B", "%2C",  "%",   "#",    "host",   "user", "pw", "key",
      "1",   "80",  "65536", "::1", "a",   "\xd0", "***", "\xff", "s3://x", ".",    "..", " "};
  std::string text(random() % 8 == 0 ? "" : "r:");
  if (random() % 2 == 0) text += "//";
  for (std::size_t i = random() % 12; i > 0; --i) text += kPieces[random() % std::size(kPieces)];
  return text;
}

void check_shown_form(const std::string& text, const Url& url) {
  const std::string shown = url.redacted();
  const auto again = Url::parse(shown);
  const std::string what = "'" + text + "' is shown as '" + shown + "'";
  REQUIRE_MESSAGE(again.has_value(), what);
  bool same = again->scheme() == url.scheme() && again->user() == url.user() &&
              again->password().empty() == url.password().empty() &&
              again->hosts() == url.hosts() && again->path() == url.path() &&
              again->parameters().size() == url.parameters().size() && again->redacted() == shown;
  for (std::size_t i = 0; same && i < url.parameters().size(); ++i) {
    const auto &given = url.parameters()[i], &read = again->parameters()[i];
    same = read.name == given.name && (read.value == given.value || shows(read.value, "***"));
  }
  if (!same || shown.find_first_of(" \n\"'#") != std::string::npos) FAIL_CHECK(what);
}

TEST_SUITE("url secrets") {
  TEST_CASE("what holds no secret is shown as it was given") {
    for (const char* text :
         {"mem:", "file:///srv/files", "file:///a@b,c:d", "s3://bucket/a/b?region=eu&prefix=x/y",
          "postgresql://reader@db1,db2:5433/artstore", "redis://[::1]:6379/0",
          "s3://b?endpoint=http://localhost:9000", "sqlite:relative/i.db", "r:?a=", "r://:80/"})
      CHECK(redacted(text) == text);
  }

  TEST_CASE("a password is three stars, also when it is empty of characters or of a user") {
    CHECK(redacted("redis://u:hunter2@h/0") == "redis://u:***@h/0");
    CHECK(redacted("redis://:hunter2@h/0") == "redis://:***@h/0");
    CHECK(redacted("redis://u:@h") == "redis://u@h");
    CHECK(redacted("redis://@h") == "redis://h");
    CHECK(redacted("redis://u:hun:ter@2@h") == "redis://u:***@h");
    CHECK(redacted("redis://u:%68unter%32@h") == "redis://u:***@h");
    CHECK(redacted("redis://u:hunter2@") == "redis://u:***@");
  }

  TEST_CASE("a parameter whose name tells of a secret is three stars") {
    for (const char* name :
         {"password", "PassWord", "passphrase", "sslpassword", "secret", "secret_key", "token",
          "session_token", "key", "access_key", "API_KEY", "credential", "credentials", "auth",
          "authorization", "pwd", "X-Amz-Signature"})
      CHECK(redacted("r:?" + std::string(name) + "=hunter2") == "r:?" + std::string(name) + "=***");
    CHECK(redacted("r:?%70assword=hunter2&region=eu") == "r:?password=***&region=eu");
  }

  TEST_CASE("the password of an address inside a parameter is not shown") {
    CHECK(redacted("s3://b?endpoint=http://u:hunter2@h:9000/x") ==
          "s3://b?endpoint=http://u:***@h:9000/x");
    CHECK(redacted("s3://b?endpoint=http%3A%2F%2Fu%3Ahunter2%40h") ==
          "s3://b?endpoint=http://u:***@h");
    CHECK(redacted("s3://b?a=http://u:hun@ter2@h") == "s3://b?a=http://u:***@h");
    CHECK(redacted("s3://b?user=a@b.c&x=://@:") == "s3://b?user=a@b.c&x=://@:");
  }

  TEST_CASE("a password that holds / or ? unescaped is never taken for something to show") {
    for (const char* text :
         {"redis://u:hun/ter2@h/0", "redis://u:1/hunter2@h/0", "redis://u:hun?hunter2@h/0",
          "redis://u:1?hunter2@h/0", "redis://u:1?x&hunter2@h", "redis://u:1?a=hunter2@h/0",
          "redis://u:1?hunter2&x@h", "redis://u:1/x?a=hunter2@h", "redis://u:pa@/hunter2@h",
          "redis://u:@/hunter2@h", "redis://u:pa@x?hunter2=%@h", "redis://u@x:1/hunter2@h",
          "redis://:1?hunter2@h", "redis://u:1?hunter2&hunter2&x@h", "redis://u:#hunter2@h",
          "redis://u:hunter2#@h", "redis://u:hunter2", "redis://u:hunter2/0"}) {
      const auto url = Url::parse(text);
      CAPTURE(text);
      REQUIRE_FALSE(url.has_value());
      CHECK_FALSE(shows(url.error().message, "hunter2"));
    }
    CHECK(redacted("redis://u:1/hunter2@h/0") ==
          "refused: url: an @ behind the host; in a password / is written %2F and ? %3F, "
          "elsewhere a literal @ %40");
    CHECK(redacted("http://h:80/a%40b?c=d%40e") == "http://h:80/a%40b?c=d%40e");
  }

  TEST_CASE("no message quotes a password, whatever else is wrong") {
    for (const char* text :
         {"redis://u:hunter2@h:0", "redis://u:hunter2@h:x", "redis://u:hunter2@[::1",
          "redis://u:hunter2%@h", "redis://u:hunter2%00@h", "redis://u:hunter2@h/%zz",
          "redis://u:hunter2@h?a&a", "redis://u:hunter2@h#", "redis://u:hunter2@h,",
          "redis//u:hunter2@h", "redis://%:hunter2@h", "r:?password=hunter2%",
          "r:?password=hunter2&password=hunter2"}) {
      const auto url = Url::parse(text);
      CAPTURE(text);
      REQUIRE_FALSE(url.has_value());
      CHECK_FALSE(shows(url.error().message, "hunter2"));
    }
  }

  TEST_CASE("reveal() gives the text as it was given, secrets and all") {
    constexpr std::string_view text = "REDIS://u:hunter%32@h/0?a=%41";
    CHECK(Url::parse(text).value().reveal() == text);
  }

  TEST_CASE("what is shown has no byte that moves a terminal or ends a line") {
    CHECK(redacted("file:///a%0Ab%1B[0m%FF\xd0\xb0 'x'") ==
          "file:///a%0Ab%1B%5B0m%FF%D0%B0%20%27x%27");
    CHECK(redacted("file:///a\nb?c\n=\n") == "file:///a%0Ab?c%0A=%0A");
  }

  TEST_CASE("a path that begins like a host is shown so that it is read as a path") {
    CHECK(redacted("mem:/%2Fhost/x") == "mem:/%2Fhost/x");
    CHECK(redacted("mem:%2F%2Fhost") == "mem:/%2Fhost");
    CHECK(redacted("file:////x") == "file:////x");
  }

  TEST_CASE("what is shown is read again as the same address but for its secrets") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    int accepted = 0;
    for (int i = 0; i < 20'000; ++i) {
      const std::string text = random_address(random);
      if (const auto url = Url::parse(text)) {
        ++accepted;
        check_shown_form(text, *url);
      } else if (url.error().code != Errc::invalid_argument) {
        FAIL_CHECK(text);
      }
    }
    CHECK(accepted > 1000);
  }

  TEST_CASE("a random password is neither shown nor told") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 5'000; ++i) {
      std::string password = "S3CR";
      for (std::size_t n = random() % 6; n > 0; --n) password += ":/?#@&,[%\n"[random() % 10];
      password += "ET";
      const auto url = Url::parse("redis://u:" + password + "@h:6379/0?timeout=1s");
      const std::string told = url ? url->redacted() : url.error().message;
      if (shows(told, "S3CR") || (url && shows(told, "ET"))) FAIL_CHECK(password << " -> " << told);
    }
  }
}

}  // namespace
}  // namespace artcache
