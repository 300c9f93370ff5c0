// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <artcache/url.hpp>

#include <chrono>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "unit/core/attr/vectors.hpp"

namespace artcache {
namespace {

using namespace std::chrono_literals;
using Hosts = std::vector<Url::Host>;

Url url(std::string_view text) {
  auto parsed = Url::parse(text);
  REQUIRE_MESSAGE(parsed.has_value(), std::string(text));
  return *std::move(parsed);
}

/// The message without its beginning.
std::string refusal(std::string_view text) {
  const auto parsed = Url::parse(text);
  if (parsed) return "accepted";
  CHECK(parsed.error().code == Errc::invalid_argument);
  CHECK(parsed.error().message.starts_with("url: "));
  return parsed.error().message.substr(5);
}

template <class T>
std::string refusal(const Result<T>& result) {
  if (result.has_value()) return "accepted";
  CHECK(result.error().code == Errc::invalid_argument);
  return result.error().message;
}

TEST_SUITE("url") {
  TEST_CASE("an address is taken apart") {
    const Url u = url("postgresql://reader:p%40ss@db1,db2:5433/artstore?prefix=a_&tls");
    CHECK(u.scheme() == "postgresql");
    CHECK(u.user() == "reader");
    CHECK(u.password() == "p@ss");
    CHECK(u.hosts() == Hosts{{"db1", 0}, {"db2", 5433}});
    CHECK(u.path() == "/artstore");
    CHECK(u.parameters() == std::vector<Url::Parameter>{{"prefix", "a_"}, {"tls", ""}});
    CHECK(u.parameter("prefix") == "a_");
    CHECK(u.parameter("tls") == "");
    CHECK_FALSE(u.parameter("Prefix").has_value());
  }

  TEST_CASE("a scheme alone, a path alone, and a bucket are addresses") {
    CHECK(url("mem:").scheme() == "mem");
    CHECK(url("mem:").path().empty());
    CHECK(url("mem:").hosts().empty());
    CHECK(url("file:///srv/files").hosts().empty());
    CHECK(url("file:///srv/files").path() == "/srv/files");
    CHECK(url("file:/srv/files").path() == "/srv/files");
    CHECK(url("s3://bucket/a/b").hosts() == Hosts{{"bucket", 0}});
    CHECK(url("s3://bucket").path().empty());
    CHECK(url("a+b-c.1:x").scheme() == "a+b-c.1");
    CHECK(url("a+b-c.1:x").path() == "x");
  }

  TEST_CASE("the scheme is put into lower case, nothing else is") {
    const Url u = url("S3://Bucket/Path?Name=Value");
    CHECK(u.scheme() == "s3");
    CHECK(u.hosts() == Hosts{{"Bucket", 0}});
    CHECK(u.path() == "/Path");
    CHECK(u.parameter("Name") == "Value");
  }

  TEST_CASE("what does not begin with a scheme is refused without being quoted") {
    for (const std::string_view text :
         {"", ":", "://host", "/srv/files", "hunter2", "1s3://b", "-a:", "s 3://b", "s_3://b",
          "\xd1\x84:", "fi\xffle:///", " file:///", "@://"}) {
      CHECK(refusal(text) ==
            "no scheme; an address looks like file:///srv/files or sqlite:///var/lib/i.db");
    }
    CHECK(refusal(std::string(10'000'000, 'x')).starts_with("no scheme"));
  }

  TEST_CASE("percent escapes are decoded in every part") {
    const Url u = url("redis://%75s%65r:%3A%2F%3F%23%25@h%6Fst:1/%D0%B0%20b?%6E=%26%3D%23");
    CHECK(u.user() == "user");
    CHECK(u.password() == ":/?#%");
    CHECK(u.hosts() == Hosts{{"host", 1}});
    CHECK(u.path() == "/\xd0\xb0 b");
    CHECK(u.parameter("n") == "&=#");
    CHECK(url("file:///a+b?c=d+e").path() == "/a+b");
    CHECK(url("file:///a+b?c=d+e").parameter("c") == "d+e");
  }

  TEST_CASE("a bad escape is refused with the name of its part") {
    const std::string_view escapes[] = {"%", "%4", "%zz", "%4g", "%%41", "% 1", "%-1"};
    for (const std::string_view bad : escapes) {
      const std::string e(bad);
      CAPTURE(e);
      const std::string how = "; a literal % is written %25";
      CHECK(refusal("r://" + e + "@h") == "bad % escape in the user" + how);
      CHECK(refusal("r://u:" + e + "@h") == "bad % escape in the password" + how);
      CHECK(refusal("r://h" + e) == "bad % escape in the host" + how);
      CHECK(refusal("r://h/" + e) == "bad % escape in the path" + how);
      CHECK(refusal("r://h/?" + e) == "bad % escape in the name of a parameter" + how);
      CHECK(refusal("r://h/?n=" + e) == "bad % escape in the parameter 'n'" + how);
    }
  }

  TEST_CASE("a NUL is refused, plain and escaped, in every part") {
    for (const std::string& nul : {std::string("%00"), std::string(1, '\0')}) {
      CHECK(refusal("r://u" + nul + "@h") == "NUL in the user");
      CHECK(refusal("r://u:p" + nul + "@h") == "NUL in the password");
      CHECK(refusal("r://h" + nul) == "NUL in the host");
      CHECK(refusal("r:/a" + nul) == "NUL in the path");
      CHECK(refusal("r:?a" + nul) == "NUL in the name of a parameter");
      CHECK(refusal("r:?a=" + nul) == "NUL in the parameter 'a'");
    }
  }

  TEST_CASE("a # part is refused: it may be half of a password") {
    CHECK(refusal("redis://u:hunter#2@host") == "a # part; write a literal # as %23");
    CHECK(refusal("file:///a#b") == "a # part; write a literal # as %23");
  }

  TEST_CASE("ports go from 1 to 65535") {
    CHECK(url("r://h:1").hosts() == Hosts{{"h", 1}});
    CHECK(url("r://h:65535").hosts() == Hosts{{"h", 65535}});
    CHECK(url("r://:6379").hosts() == Hosts{{"", 6379}});
    for (const char* port :
         {"", "0", "65536", "99999999999999999999", "-1", "+1", "1x", "x", " 1", "1:2", "0x50"})
      CHECK(refusal("r://h:" + std::string(port) + "/p") ==
            "the port of host 'h' is not a number from 1 to 65535");
  }

  TEST_CASE("IPv6 addresses stand in brackets, also in a list and with a zone") {
    CHECK(url("r://[::1]").hosts() == Hosts{{"::1", 0}});
    CHECK(url("r://[::1]:80/p").hosts() == Hosts{{"::1", 80}});
    CHECK(url("r://u:p@[fe80::1%25eth0]:1,h:2,[::2]").hosts() ==
          Hosts{{"fe80::1%eth0", 1}, {"h", 2}, {"::2", 0}});
    CHECK(url("r://[::1]:80/").redacted() == "r://[::1]:80/");
    CHECK(refusal("r://[::1") == "an IPv6 address without its closing ]");
    CHECK(refusal("r://[::1,h]") == "an IPv6 address without its closing ]");
    CHECK(refusal("r://[::1]x") == "something other than :port behind ]");
    CHECK(refusal("r://[::1]:") == "the port of host '::1' is not a number from 1 to 65535");
    CHECK(refusal("r://[]") == "nothing between [ and ]");
    CHECK(refusal("r://::1/") == "the port of host '' is not a number from 1 to 65535");
  }

  TEST_CASE("a list of hosts has no empty places") {
    for (const char* text : {"r://,", "r://a,", "r://,a", "r://a,,b", "r://u@,/p"})
      CHECK(refusal(text) == "an empty name in the list of hosts");
  }

  TEST_CASE("a parameter is given once, however it is spelled") {
    CHECK(refusal("r:?a=1&a=2") == "parameter 'a' is given twice");
    CHECK(refusal("r:?a=1&b&%61=1") == "parameter 'a' is given twice");
    CHECK(refusal("r:?=1&=2") == "parameter '' is given twice");
    CHECK(url("r:?a=1&A=2&aa=3").parameters().size() == 3);
    CHECK(url("r:?&&a=1&&").parameters().size() == 1);
    CHECK(url("r:?").parameters().empty());
    CHECK(url("r:?a=b=c?d").parameter("a") == "b=c?d");
  }

  TEST_CASE("many thousand parameters and a long path are read in no time") {
    std::string text = "r:/" + std::string(100'000, 'p') + "?";
    for (int i = 0; i < 20'000; ++i) text += "n" + std::to_string(i) + "=v&";
    CHECK(url(text).parameters().size() == 20'000);
    CHECK(refusal(text + "n5=") == "parameter 'n5' is given twice");
    CHECK(refusal("r:?" + std::string(1000, 'n') + "&" + std::string(1000, 'n')).size() < 200);
  }
}

TEST_SUITE("url parameters") {
  TEST_CASE("a whole number lies within its range, or the range is told") {
    const Url u = url("r:?n=7&neg=-3&big=9223372036854775807&over=9223372036854775808&bad=7x&no=");
    CHECK(u.integer("n", 1, 0, 10).value() == 7);
    CHECK(u.integer("n", 1, 7, 7).value() == 7);
    CHECK(u.integer("absent", 1, 5, 10).value() == 1);
    CHECK(u.integer("neg", 1, -3, 0).value() == -3);
    constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    CHECK(u.integer("big", 1, kLeast, kMost).value() == kMost);
    CHECK(refusal(u.integer("n", 1, 8, 10)) ==
          "url: parameter 'n' is not a whole number from 8 to 10");
    CHECK(refusal(u.integer("n", 1, -2, 6)) ==
          "url: parameter 'n' is not a whole number from -2 to 6");
    for (const char* name : {"over", "bad", "no"})
      CHECK(refusal(u.integer(name, 1, kLeast, kMost)).find(name) != std::string::npos);
  }

  TEST_CASE("a number is plain digits") {
    for (const char* text : {"+1", "%201", "1%20", "1.0", "1e3", "0x1", "one", "--1", "1%C2%A0"})
      CHECK_FALSE(url("r:?n=" + std::string(text)).integer("n", 0, -9, 9).has_value());
  }

  TEST_CASE("a switch is on or off in four ways each") {
    for (const char* yes : {"on", "true", "yes", "1"})
      CHECK(url("r:?f=" + std::string(yes)).flag("f", false).value());
    for (const char* no : {"off", "false", "no", "0"})
      CHECK_FALSE(url("r:?f=" + std::string(no)).flag("f", true).value());
    for (const char* bad : {"", "ON", "2", "maybe", "on%20"})
      CHECK(refusal(url("r:?f=" + std::string(bad)).flag("f", true)) ==
            "url: parameter 'f' is neither on nor off");
  }

  TEST_CASE("a switch that is absent takes its fallback, or is missing") {
    CHECK(url("r:").flag("f", true).value());
    CHECK_FALSE(url("r:").flag("f", false).value());
    CHECK(refusal(url("r:").flag("f", std::nullopt)) == "url: parameter 'f' is missing");
  }

  TEST_CASE("a duration has a unit or means seconds") {
    const std::pair<const char*, std::chrono::milliseconds> rows[] = {
        {"250ms", 250ms}, {"30s", 30s}, {"5m", 5min}, {"2h", 2h},
        {"15", 15s},      {"0", 0ms},   {"0h", 0ms},  {"1000000000h", 1'000'000'000h},
    };
    for (const auto& [text, expected] : rows)
      CHECK(url("r:?d=" + std::string(text)).duration("d", 1ms).value() == expected);
    CHECK(url("r:").duration("d", 7ms).value() == 7ms);
    for (const char* bad : {"", "s", "ms", "-1s", "1.5s", "1d", "1S", "1s%20", "%201s", "1us",
                            "1000000001", "99999999999999999999s"})
      CHECK(refusal(url("r:?d=" + std::string(bad)).duration("d", 1ms)) ==
            "url: parameter 'd' is not a duration such as 250ms, 30s, 5m, 2h");
  }

  TEST_CASE("an unknown parameter is named, with the one that was probably meant") {
    CHECK(url("s3://b?region=x&prefix=y").expect_only({"prefix", "region"}).has_value());
    CHECK(url("s3://b").expect_only({}).has_value());
    CHECK(refusal(url("s3://b?regoin=x").expect_only({"prefix", "region"})) ==
          "url: s3: unknown parameter 'regoin'; did you mean 'region'?");
    CHECK(refusal(url("s3://b?colour=x").expect_only({"prefix", "region"})) ==
          "url: s3: unknown parameter 'colour'");
    CHECK(refusal(url("s3://b?Region=x").expect_only({"region"})) ==
          "url: s3: unknown parameter 'Region'; did you mean 'region'?");
    CHECK(refusal(url("s3://b?a%0Ab=x").expect_only({})) == "url: s3: unknown parameter 'a\\x0ab'");
    CHECK(refusal(url("s3://b?" + std::string(100'000, 'n')).expect_only({"prefix"})).size() < 200);
  }

  TEST_CASE("no message shows the value of a parameter") {
    const Url u = url("r:?p=hunter2");
    CHECK(refusal(u.integer("p", 0, 0, 1)).find("hunter2") == std::string::npos);
    CHECK(refusal(u.flag("p", true)).find("hunter2") == std::string::npos);
    CHECK(refusal(u.duration("p", 1s)).find("hunter2") == std::string::npos);
    CHECK(refusal(u.expect_only({})).find("hunter2") == std::string::npos);
  }
}

}  // namespace
}  // namespace artcache
