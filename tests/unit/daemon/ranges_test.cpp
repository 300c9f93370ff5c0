// SPDX-License-Identifier: Apache-2.0
#include "http/ranges.hpp"

#include <doctest/doctest.h>

#include <string>

namespace artcache::http {
namespace {

using Kind = Selection::Kind;

const Representation kThere{.size = 1000,
                            .etag = "\"abc\"",
                            .modified = Timestamp(std::chrono::microseconds(784111777'500'000))};
const std::string kModified = "Sun, 06 Nov 1994 08:49:37 GMT";
const std::string kEarlier = "Sun, 06 Nov 1994 08:49:36 GMT";

std::string asked(Headers headers, const Representation& there = kThere) {
  const Selection selection = select(headers, there);
  switch (selection.kind) {
    case Kind::whole:
      return "whole";
    case Kind::not_modified:
      return "304";
    case Kind::failed:
      return "412";
    default:
      return content_range(selection, there.size);
  }
}

TEST_SUITE("ranges") {
  TEST_CASE("a range is the bytes it names, as far as there are any") {
    const auto range = [](std::string text) { return asked({{"range", std::move(text)}}); };
    CHECK(range("bytes=0-0") == "bytes 0-0/1000");
    CHECK(range("bytes=10-19") == "bytes 10-19/1000");
    CHECK(range("bytes=990-2000") == "bytes 990-999/1000");
    CHECK(range("bytes=990-") == "bytes 990-999/1000");
    CHECK(range("bytes=-10") == "bytes 990-999/1000");
    CHECK(range("bytes=-5000") == "bytes 0-999/1000");
    CHECK(range("bytes=0-99999999999999999999") == "bytes 0-999/1000");
    CHECK(range("bytes=1000-") == "bytes */1000");
    CHECK(range("bytes=99999999999999999999-") == "bytes */1000");
    CHECK(range("bytes=-0") == "bytes */1000");
  }

  TEST_CASE("a range that cannot be read, or several, get the whole") {
    for (const char* text :
         {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "items=0-1", "bytes=0-1,5-6",
          "bytes=1", "bytes=--1", "bytes=+1-2", "bytes=0x1-2"})
      CHECK(asked({{"Range", text}}) == "whole");
    CHECK(asked({}) == "whole");
  }

  TEST_CASE("nothing of an empty file can be a range") {
    const Representation empty{.size = 0, .etag = "\"e\"", .modified = {}};
    CHECK(asked({{"Range", "bytes=0-"}}, empty) == "bytes */0");
    CHECK(asked({{"Range", "bytes=-1"}}, empty) == "bytes */0");
    CHECK(asked({}, empty) == "whole");
  }

  TEST_CASE("who has it already is told so") {
    CHECK(asked({{"If-None-Match", "\"abc\""}}) == "304");
    CHECK(asked({{"If-None-Match", "\"x\", W/\"abc\""}}) == "304");
    CHECK(asked({{"If-None-Match", "*"}}) == "304");
    CHECK(asked({{"If-None-Match", "\"x\""}}) == "whole");
    CHECK(asked({{"If-Modified-Since", kModified}}) == "304");
    CHECK(asked({{"If-Modified-Since", kEarlier}}) == "whole");
    CHECK(asked({{"If-Modified-Since", "yesterday"}}) == "whole");
    // The tag knows better than the date.
    CHECK(asked({{"If-None-Match", "\"x\""}, {"If-Modified-Since", kModified}}) == "whole");
    CHECK(asked({{"If-None-Match", "\"abc\""}, {"Range", "bytes=0-1"}}) == "304");
  }

  TEST_CASE("who wants another one than there is gets nothing") {
    CHECK(asked({{"If-Match", "\"x\""}}) == "412");
    CHECK(asked({{"If-Match", "W/\"abc\""}}) == "412");
    CHECK(asked({{"If-Match", "\"abc\""}}) == "whole");
    CHECK(asked({{"If-Unmodified-Since", kEarlier}}) == "412");
    CHECK(asked({{"If-Unmodified-Since", kModified}}) == "whole");
  }

  TEST_CASE("a part is given only to who has another part of the same") {
    const auto part = [](const std::string& has) {
      return asked({{"Range", "bytes=0-1"}, {"If-Range", has}});
    };
    CHECK(part("\"abc\"") == "bytes 0-1/1000");
    CHECK(part(kModified) == "bytes 0-1/1000");
    CHECK(part("\"x\"") == "whole");
    CHECK(part("W/\"abc\"") == "whole");
    CHECK(part(kEarlier) == "whole");
    CHECK(part("") == "whole");
  }

  TEST_CASE("dates are written as they are read") {
    CHECK(http_date(kThere.modified) == kModified);
    CHECK(parse_http_date(kModified) == Timestamp(std::chrono::seconds(784111777)));
    for (const char* bad : {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 31 Feb 1994 08:49:37 GMT",
                            "Sun, 06 Nov 1994 24:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                            "Sun, 06 Xxx 1994 08:49:37 GMT", "Sun, aa Nov 1994 08:49:37 GMT"})
      CHECK_FALSE(parse_http_date(bad));
  }

  TEST_CASE("a name stays in its header, whatever it holds") {
    CHECK(attachment("plan.pdf") == "attachment; filename=\"plan.pdf\"");
    CHECK(attachment("my plan.pdf") == "attachment; filename=\"my plan.pdf\"");
    CHECK(attachment("отчёт.pdf") ==
          "attachment; filename=\"_____.pdf\"; "
          "filename*=UTF-8''%D0%BE%D1%82%D1%87%D1%91%D1%82.pdf");
    CHECK(attachment("a\"b\\c") == "attachment; filename=\"a_b_c\"; filename*=UTF-8''a%22b%5Cc");
    CHECK(attachment("a\r\nSet-Cookie: x") ==
          "attachment; filename=\"a__Set-Cookie: x\"; "
          "filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x");
  }
}

}  // namespace
}  // namespace artcache::http
