// SPDX-License-Identifier: Apache-2.0
#include "backends/s3/xml.hpp"

#include <doctest/doctest.h>

#include "backends/s3/place.hpp"

namespace artcache::s3 {
namespace {

std::string listing(std::string_view inside, std::string_view truncated = "false") {
  return "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>" + std::string(truncated) +
         "</IsTruncated>" + std::string(inside) + "</ListBucketResult>";
}

std::string object(std::string_view key, std::string_view size) {
  return "<Contents><Key>" + std::string(key) + "</Key><Size>" + std::string(size) +
         "</Size><ETag>&quot;x&quot;</ETag><LastModified>2026-11-21T07:00:00.123Z</LastModified>"
         "</Contents>";
}

}  // namespace

TEST_SUITE("s3 answers") {
  TEST_CASE("keys come decoded, with what stands beside them") {
    const auto page = parse_list(listing(object("a%20b%2Bc+d%2F%D1%91", "12"), "true"));
    REQUIRE(page.has_value());
    CHECK(page->more);
    REQUIRE(page->objects.size() == 1);
    CHECK(page->objects[0].key == "a b+c d/ё");
    CHECK(page->objects[0].size == 12);
    CHECK(page->objects[0].etag == "\"x\"");
  }

  TEST_CASE("a hostile or broken answer is corrupt") {
    for (const std::string& text :
         {std::string(), std::string("<a"), std::string("<Other/>"),
          "<!DOCTYPE a [<!ENTITY b 'c'>]>" + listing(object("a", "1")), listing(object("a%2", "1")),
          listing(object("a%zz", "1")), listing(object("", "1")), listing(object("a", "-1")),
          listing(object("a", "1x")), listing(object("a", "99999999999999999999")),
          listing("", "true"), listing("", "perhaps")}) {
      CAPTURE(text);
      const auto page = parse_list(text);
      CHECK((!page && page.error().code == Errc::corrupt));
    }
  }

  TEST_CASE("an error names its code, and what is none names nothing") {
    CHECK(parse_error("<Error><Code>SlowDown</Code></Error>").code == "SlowDown");
    CHECK(parse_error("<html>").code.empty());
  }

  TEST_CASE("a profile's keys are found, and what is missing is named without a value") {
    const std::string file =
        "[default]\naws_access_key_id = A\naws_secret_access_key=hush\n"
        "[half]\naws_access_key_id=B\n";
    CHECK(parse_credentials(file, "default").value().secret_key == "hush");
    CHECK(parse_credentials(file, "half").error().message.find("aws_secret_access_key") !=
          std::string::npos);
    CHECK(parse_credentials(file, "none").error().code == Errc::invalid_argument);
  }

  TEST_CASE("keys and a token in an address are taken, and the description has none of them") {
    const auto url = Url::parse("s3://AK:hush@b/p?endpoint=http://h:1&session_token=hush%2F%3D");
    REQUIRE(url.has_value());
    const auto options = parse_address(*url);
    REQUIRE(options.has_value());
    CHECK(options->target.credentials.access_key == "AK");
    CHECK(options->target.credentials.secret_key == "hush");
    CHECK(options->target.credentials.token == "hush/=");
    CHECK(options->description == "s3://b/p?endpoint=http://h:1");
    const auto bare = Url::parse("s3://b?session_token=hush");
    REQUIRE(bare.has_value());
    CHECK(parse_address(*bare).error().message.find("hush") == std::string::npos);
  }

  TEST_CASE("a date of HTTP is read, and another text is none") {
    CHECK(parse_http_date("Sat, 21 Nov 2026 07:00:00 GMT") ==
          Timestamp::parse("2026-11-21T07:00:00Z").value());
    CHECK_FALSE(parse_http_date("yesterday").has_value());
  }

  TEST_CASE("another ETag is another stamp, and none is unsettled") {
    CHECK(make_stamp(1, "\"a\"") == make_stamp(1, "\"a\""));
    CHECK_FALSE(make_stamp(1, "\"a\"") == make_stamp(1, "\"b\""));
    CHECK(make_stamp(1, "").mark == Stamp{}.mark);
  }
}

}  // namespace artcache::s3
