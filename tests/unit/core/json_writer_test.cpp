// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <artcache/json_writer.hpp>

#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

#include "unit/core/attr/vectors.hpp"
#include "util/utf8.hpp"

namespace artcache {
namespace {

using Layout = JsonWriter::Layout;
constexpr std::string_view kReplaced = "\xef\xbf\xbd";

template <class V>
std::string json(V value) {
  return JsonWriter().value(value).str();
}

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST_SUITE("json writer") {
  TEST_CASE("a double has one to six fraction digits") {
    const std::pair<double, const char*> rows[] = {
        {0.0, "0.0"},
        {100.0, "100.0"},
        {125.5, "125.5"},
        {1.0, "1.0"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {0.25, "0.25"},
        {1.0 / 3, "0.333333"},
        {2.0 / 3, "0.666667"},
        {0.000001, "0.000001"},
        {0.0000004, "0.0"},
        {1e-7, "0.0"},
        {0.9999999, "1.0"},
        {99.9999996, "100.0"},
        {10.0, "10.0"},
        {1000000.0, "1000000.0"},
        {1e15, "1000000000000000.0"},
        {1e22, "10000000000000000000000.0"},
        {DBL_MIN, "0.0"},
        {5e-324, "0.0"},
    };
    for (const auto& [number, text] : rows) CHECK(json(number) == text);
    CHECK(json(0.5F) == "0.5");
  }

  TEST_CASE("zero has no sign, not even when a small negative number is cut to it") {
    CHECK(json(-0.0) == "0.0");
    CHECK(json(-1e-7) == "0.0");
    CHECK(json(-5e-324) == "0.0");
    CHECK(json(-0.000001) == "-0.000001");
  }

  TEST_CASE("a huge double is all its digits and no exponent") {
    const std::string text = json(1e300);
    CHECK(text.size() == 303);
    CHECK(text.ends_with(".0"));
    CHECK(text.find_first_not_of("0123456789.") == std::string::npos);
    for (const double number : {1e300, DBL_MAX, -DBL_MAX})
      CHECK(std::strtod(json(number).c_str(), nullptr) == number);
  }

  TEST_CASE("what is not a number, or no finite one, is null") {
    CHECK(json(std::nan("")) == "null");
    CHECK(json(-std::nan("")) == "null");
    CHECK(json(HUGE_VAL) == "null");
    CHECK(json(-HUGE_VAL) == "null");
    CHECK(JsonWriter().begin_array().value(HUGE_VAL).value(1).end_array().str() == "[null,1]");
    CHECK(JsonWriter().begin_object().member("a", HUGE_VAL).end_object().str() == "{\"a\":null}");
  }

  TEST_CASE("any double is a plain decimal within half a millionth of itself") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 20'000; ++i) {
      const int exponent = static_cast<int>(random() % 600) - 300;
      const double sign = random() % 2 == 0 ? 1 : -1;
      const double number =
          sign * std::pow(10, exponent) * static_cast<double>(random() % 1'000'000);
      const std::string text = json(number);
      const std::size_t dot = text.find('.');
      const std::size_t fraction = dot == std::string::npos ? 0 : text.size() - dot - 1;
      const double read = std::strtod(text.c_str(), nullptr);
      if (fraction < 1 || fraction > 6 || (fraction > 1 && text.back() == '0') ||
          text.find_first_not_of("-0123456789.") != std::string::npos || text == "-0.0" ||
          (std::fabs(number) < 1e9 ? std::fabs(read - number) > 0.6e-6 : read != number))
        FAIL_CHECK(text);
    }
  }

  TEST_CASE("whole numbers are exact to the last of 64 bits") {
    CHECK(json(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
    CHECK(json(std::numeric_limits<std::int64_t>::max()) == "9223372036854775807");
    CHECK(json(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
    CHECK(json(0) == "0");
    CHECK(json(std::int8_t{-128}) == "-128");
    CHECK(json(std::uint8_t{255}) == "255");
    CHECK(json(std::size_t{42}) == "42");
    CHECK(json(-1L) == "-1");
    CHECK(json(1ULL) == "1");
  }

  TEST_CASE("true, false and null are words, and text is never taken for a switch") {
    CHECK(json(true) == "true");
    CHECK(json(false) == "false");
    CHECK(JsonWriter().null().str() == "null");
    CHECK(json("true") == "\"true\"");
    CHECK(json(std::string("x")) == "\"x\"");
    CHECK(json(std::string_view("x")) == "\"x\"");
    CHECK(JsonWriter().begin_object().member("a", "text").end_object().str() == "{\"a\":\"text\"}");
  }

  TEST_CASE("quotes, backslashes and control characters are escaped, nothing else of ASCII") {
    CHECK(quoted("") == "\"\"");
    CHECK(quoted("\"\\/") == "\"\\\"\\\\/\"");
    CHECK(quoted("\n\r\t") == "\"\\n\\r\\t\"");
    CHECK(quoted(std::string_view("\0\x01\b\f\x1f", 5)) ==
          "\"\\u0000\\u0001\\u0008\\u000c\\u001f\"");
    for (char c = ' '; c > 0; ++c) {
      if (c == '"' || c == '\\') continue;
      CHECK(quoted(std::string_view(&c, 1)) == std::string("\"") + c + "\"");
      if (c == '\x7f') break;
    }
  }

  TEST_CASE("text in any script is left as it is") {
    for (const char* text : {"Привет", "日本語", "😀", "\xc2\x80", "\xf4\x8f\xbf\xbf", "e\xcc\x81"})
      CHECK(quoted(text) == "\"" + std::string(text) + "\"");
  }

  TEST_CASE("each byte that is not UTF-8 becomes U+FFFD") {
    const std::string r(kReplaced);
    CHECK(quoted("a\xff"
                 "b") == "\"a" + r + "b\"");
    CHECK(quoted("\xc0\x80") == "\"" + r + r + "\"");
    CHECK(quoted("\xed\xa0\x80") == "\"" + r + r + r + "\"");
    CHECK(quoted("\xf4\x90\x80\x80") == "\"" + r + r + r + r + "\"");
    CHECK(quoted("\xd0") == "\"" + r + "\"");
    CHECK(quoted("\xe2\x82\"") == "\"" + r + r + "\\\"\"");
  }

  TEST_CASE("random bytes make a string of one line that is UTF-8 and ends where it should") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 5'000; ++i) {
      std::string text(random() % 40, '\0');
      for (char& c : text) c = static_cast<char>(random());
      const std::string out = quoted(text);
      bool good = util::utf8_valid_prefix(out) == out.size();
      for (std::size_t at = 1; good && at + 1 < out.size(); ++at) {
        good = static_cast<unsigned char>(out[at]) >= ' ' && out[at] != '"';
        if (out[at] == '\\') ++at;
      }
      if (!good || out.front() != '"' || out.back() != '"') FAIL_CHECK(out);
    }
  }
}

TEST_SUITE("json writer layout") {
  std::string document(Layout layout) {
    JsonWriter json(layout);
    json.begin_object()
        .member("name", "a\nb")
        .key("list")
        .begin_array()
        .value(1)
        .value(2.5)
        .begin_object()
        .end_object()
        .begin_array()
        .end_array()
        .begin_object()
        .member("x", true)
        .end_object()
        .end_array()
        .key("none")
        .null()
        .key("raw")
        .raw("{\"a\":1e400}")
        .raw_key("\"\\u0061\"")
        .value(std::string_view("last"))
        .end_object();
    return std::move(json).str();
  }

  TEST_CASE("compact is without any white space") {
    CHECK(document(Layout::compact) ==
          R"({"name":"a\nb","list":[1,2.5,{},[],{"x":true}],"none":null,"raw":{"a":1e400},)"
          R"("\u0061":"last"})");
  }

  TEST_CASE("indented is one member a line, two spaces a level, empty brackets closed at once") {
    CHECK(document(Layout::indented) == R"({
  "name": "a\nb",
  "list": [
    1,
    2.5,
    {},
    [],
    {
      "x": true
    }
  ],
  "none": null,
  "raw": {"a":1e400},
  "\u0061": "last"
})");
  }

  TEST_CASE("a document may be any single value") {
    for (const Layout layout : {Layout::compact, Layout::indented}) {
      CHECK(JsonWriter(layout).value("x").str() == "\"x\"");
      CHECK(JsonWriter(layout).begin_object().end_object().str() == "{}");
      CHECK(JsonWriter(layout).begin_array().end_array().str() == "[]");
      CHECK(JsonWriter(layout).raw("[1 ,2]").str() == "[1 ,2]");
    }
    CHECK(JsonWriter().str().empty());
  }

  TEST_CASE("names are escaped as values are") {
    CHECK(JsonWriter().begin_object().member("a\"\n\xff", 1).end_object().str() ==
          "{\"a\\\"\\n" + std::string(kReplaced) + "\":1}");
    CHECK(JsonWriter().begin_object().member("", "").end_object().str() == "{\"\":\"\"}");
  }

  TEST_CASE("the text grows as it is written") {
    JsonWriter json;
    json.begin_array().value(1);
    CHECK(json.str() == "[1");
    json.value(2).end_array();
    CHECK(json.str() == "[1,2]");
  }

  TEST_CASE("nesting a hundred thousand deep is only a matter of memory") {
    constexpr std::size_t kDeep = 100'000;
    JsonWriter json;
    for (std::size_t i = 0; i < kDeep; ++i) json.begin_array();
    for (std::size_t i = 0; i < kDeep; ++i) json.end_array();
    CHECK(json.str() == std::string(kDeep, '[') + std::string(kDeep, ']'));
  }
}

}  // namespace
}  // namespace artcache
