// SPDX-License-Identifier: Apache-2.0
#include "util/json_scan.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace artcache::util {
namespace {

/// The verdict on one value: "" or "what @ offset", the offset counted from where it begins.
std::string verdict(std::string_view json) {
  const std::string document = "[" + std::string(json) + "]";
  JsonScanner scanner(document);
  JsonValue value;
  if (scanner.check_start() && scanner.enter_array())
    while (scanner.next_element(value)) continue;
  if (scanner.failed())
    return std::string(scanner.what()) + " @ " + std::to_string(scanner.offset() - 1);
  return scanner.at_end() ? "" : "more";
}

std::string decoded(std::string_view json) {
  JsonScanner scanner(json);
  JsonValue value;
  REQUIRE(scanner.check_start());
  REQUIRE(scanner.enter_array());
  REQUIRE(scanner.next_element(value));
  std::string out;
  append_decoded(out, value);
  return out;
}

std::string minified(std::string_view json) {
  std::string out;
  append_minified(out, json);
  return out;
}

std::string nested(std::size_t depth, char open, char close) {
  return std::string(depth, open) + std::string(depth, close);
}

const std::string_view kAccepted[] = {
    "0",
    "-0",
    "1",
    "-1",
    "12345678901234567890123",
    "0.0",
    "-0.5",
    "1.50",
    "1e5",
    "1E5",
    "1e+5",
    "1E-05",
    "1e400",
    "-1.2e-345",
    "0e0",
    "0E+00",
    "123.456e78",
    // Words
    "true",
    "false",
    "null",
    // Strings
    R"("")",
    R"("a")",
    R"("\"")",
    R"("\\")",
    R"("\/")",
    R"("\b\f\n\r\t")",
    R"("\u0000")",
    R"("\u00e9\u00E9")",
    R"("\ud83d\ude00")",
    R"("\uDBFF\uDFFF")",
    R"("\ue000\uffff")",
    "\"\x7f\"",
    "\"\xc2\x80\"",
    "\"\xe2\x80\xa8\"",
    "\"\xef\xbf\xbf\"",
    "\"\xf4\x8f\xbf\xbf\"",
    R"("12345678")",
    R"("1234567\"")",
    R"("12345678\\")",
    R"("/*no comment*/")",
    // Arrays and objects
    "[]",
    "[ ]",
    "[1]",
    "[1,2]",
    "[[]]",
    "[[],[]]",
    "[null,1,\"1\",{}]",
    "[1\n,2\r\n,\t3 ]",
    "{}",
    "{ }",
    R"({"a":1})",
    R"({"a":1,"a":2})",
    R"({"":0})",
    R"({"a":[]})",
    R"({"a":{"b":{}}})",
    R"({"\u0061" : "\u0062" })",
    R"({"a":null,"b":true,"c":false})",
    "{\n\"a\"\t:\r1 }",
};

struct Refused {
  std::string_view json;
  const char* verdict;
};

const Refused kRefused[] = {
    // Numbers
    {"-", "expected a value @ 1"},
    {"+1", "expected a value @ 0"},
    {".5", "expected a value @ 0"},
    {"-.5", "expected a value @ 1"},
    {"1.", "a number without digits behind its dot @ 2"},
    {"1.e5", "a number without digits behind its dot @ 2"},
    {"0.e1", "a number without digits behind its dot @ 2"},
    {"01", "a number with a leading zero @ 1"},
    {"-01", "a number with a leading zero @ 2"},
    {"00", "a number with a leading zero @ 1"},
    {"1e", "a number without digits in its exponent @ 2"},
    {"1e+", "a number without digits in its exponent @ 3"},
    {"1e+-2", "a number without digits in its exponent @ 3"},
    {"1e1.5", "expected , or ] @ 3"},
    {"0x1", "expected , or ] @ 1"},
    {"1_000", "expected , or ] @ 1"},
    {"1 000", "expected , or ] @ 2"},
    {"1a", "expected , or ] @ 1"},
    {"--1", "expected a value @ 1"},
    {"NaN", "expected a value @ 0"},
    {"Infinity", "expected a value @ 0"},
    {"-Infinity", "expected a value @ 1"},
    {"\xef\xbc\x91", "expected a value @ 0"},
    // Words
    {"True", "expected a value @ 0"},
    {"tru", "expected a value @ 0"},
    {"nul", "expected a value @ 0"},
    {"nulll", "expected , or ] @ 4"},
    {"falsetrue", "expected , or ] @ 5"},
    {"undefined", "expected a value @ 0"},
    // Strings
    {"\"a", "a string without its end @ 3"},
    {"\"a\\\"", "a string without its end @ 5"},
    {"'a'", "expected a value @ 0"},
    {"a", "expected a value @ 0"},
    {R"("\a")", "a bad escape in a string @ 2"},
    {R"("\x41")", "a bad escape in a string @ 2"},
    {R"("\'")", "a bad escape in a string @ 2"},
    {R"("\U0041")", "a bad escape in a string @ 2"},
    {"\"\\\n\"", "a bad escape in a string @ 2"},
    {R"("\u")", "a bad \\u escape in a string @ 3"},
    {R"("\u12")", "a bad \\u escape in a string @ 3"},
    {R"("\u123g")", "a bad \\u escape in a string @ 3"},
    {R"("\u+123")", "a bad \\u escape in a string @ 3"},
    {R"("\ud83d")", "a lone surrogate in a string @ 7"},
    {R"("\ud83d\u")", "a bad \\u escape in a string @ 9"},
    {R"("\ud83d\u0041")", "a lone surrogate in a string @ 13"},
    {R"("\ude00")", "a lone surrogate in a string @ 7"},
    {R"("\ud83d\ud83d\ude00")", "a lone surrogate in a string @ 13"},
    {"\"a\nb\"", "a control character in a string @ 2"},
    {"\"a\tb\"", "a control character in a string @ 2"},
    {"\"12345678\x1f\"", "a control character in a string @ 9"},
    {std::string_view("\"a\0b\"", 5), "a control character in a string @ 2"},
    // Encoding
    {"\"\xff\"", "not UTF-8 @ 1"},
    {"\"12345678\xc3\"", "not UTF-8 @ 9"},
    {"\"\xed\xa0\x80\"", "not UTF-8 @ 1"},
    {"\"\xc0\xaf\"", "not UTF-8 @ 1"},
    {"\"\xf4\x90\x80\x80\"", "not UTF-8 @ 1"},
    // Arrays
    {"[1,]", "expected a value @ 3"},
    {"1,", "expected a value @ 2"},
    {"[,1]", "expected a value @ 1"},
    {"[1,,2]", "expected a value @ 3"},
    {",1", "expected a value @ 0"},
    {"[1 2]", "expected , or ] @ 3"},
    {"[1;2]", "expected , or ] @ 2"},
    {"[1", "expected , or ] @ 3"},
    {"[1}", "expected , or ] @ 2"},
    {"[\"a\":1]", "expected , or ] @ 4"},
    {"1 // no", "expected , or ] @ 2"},
    {"/**/1", "expected a value @ 0"},
    {"[1,\f2]", "expected a value @ 3"},
    {"\xc2\xa0"
     "1",
     "expected a value @ 0"},
    // Objects
    {"{", "expected a member name @ 1"},
    {R"({"a")", "expected : @ 4"},
    {R"({"a":)", "expected a value @ 5"},
    {R"({"a":1)", "expected , or } @ 6"},
    {R"({"a":1,})", "expected a member name @ 7"},
    {R"({,"a":1})", "expected a member name @ 1"},
    {R"({"a":1,,"b":2})", "expected a member name @ 7"},
    {R"({"a" 1})", "expected : @ 5"},
    {R"({"a"::1})", "expected a value @ 5"},
    {R"({"a":1 "b":2})", "expected , or } @ 7"},
    {R"({"a":1])", "expected , or } @ 6"},
    {R"({a:1})", "expected a member name @ 1"},
    {R"({1:1})", "expected a member name @ 1"},
    {R"({null:1})", "expected a member name @ 1"},
    {R"({"a":})", "expected a value @ 5"},
    {R"({"a" , 1})", "expected : @ 5"},
    {R"({"a"})", "expected : @ 4"},
    {"{]", "expected a member name @ 1"},
};

}  // namespace

TEST_SUITE("json_scan") {
  TEST_CASE("what the grammar allows is accepted") {
    for (const std::string_view json : kAccepted) {
      INFO(json);
      CHECK(verdict(json) == "");
      CHECK(verdict(" \t\r\n" + std::string(json) + "\n ") == "");
    }
  }

  TEST_CASE("what the grammar does not allow is refused at the byte where it goes wrong") {
    for (const Refused& row : kRefused) {
      INFO(row.json);
      CHECK(verdict(row.json) == row.verdict);
    }
  }

  TEST_CASE("a value that is cut anywhere is refused unless the piece is a value itself") {
    for (const std::string_view json : kAccepted)
      if (json[0] == '"' || json[0] == '[' || json[0] == '{')
        for (std::size_t cut = 1; cut < json.size(); ++cut) {
          const std::string piece = "[" + std::string(json.substr(0, cut));
          JsonScanner scanner(piece);
          JsonValue value;
          bool good = scanner.check_start() && scanner.enter_array();
          while (good && scanner.next_element(value)) continue;
          INFO(piece);
          CHECK(scanner.failed());
          CHECK(scanner.offset() <= piece.size());
        }
  }

  TEST_CASE("containers nest a hundred deep and not a hundred and one, the outermost counted") {
    for (const auto& [open, close] : {std::pair{'[', ']'}}) {
      CHECK(verdict(nested(99, open, close)) == "");
      CHECK(verdict(nested(100, open, close)) == "nested too deeply @ 99");
      CHECK(verdict(std::string(1'000'000, open)) == "nested too deeply @ 99");
    }
    std::string objects = "1";
    for (int i = 0; i < 99; ++i) objects = "{\"a\":" + objects + "}";
    CHECK(verdict(objects) == "");
    CHECK(verdict("{\"a\":" + objects + "}") == "nested too deeply @ 495");
    CHECK(verdict("[],[],[[]]," + nested(99, '[', ']')) == "");
  }

  TEST_CASE("members come with their kinds and exactly as they are spelled") {
    const std::string_view text =
        "  { \"a\" : 1.0 , \"\\u0062\":\"x\\ny\",\"c\":[ 1 ],\"d\":{ },\"e\":true,\"f\":null } \n";
    JsonScanner scanner(text);
    REQUIRE(scanner.check_start());
    REQUIRE(scanner.enter_object());
    struct Row {
      std::string_view name, value;
      JsonKind kind;
      bool escaped;
    };
    const Row rows[] = {{"\"a\"", "1.0", JsonKind::number, false},
                        {"\"\\u0062\"", "\"x\\ny\"", JsonKind::string, true},
                        {"\"c\"", "[ 1 ]", JsonKind::array, false},
                        {"\"d\"", "{ }", JsonKind::object, false},
                        {"\"e\"", "true", JsonKind::boolean, false},
                        {"\"f\"", "null", JsonKind::null, false}};
    JsonValue name, value;
    for (const Row& row : rows) {
      REQUIRE(scanner.next_member(name, value));
      CHECK(name.text == row.name);
      CHECK(value.text == row.value);
      CHECK(value.kind == row.kind);
      CHECK(value.escaped == row.escaped);
      CHECK(value.text.data() == text.data() + text.find(row.value));
    }
    CHECK(name.kind == JsonKind::string);
    CHECK(!scanner.next_member(name, value));
    CHECK(!scanner.failed());
    CHECK(scanner.at_end());
  }

  TEST_CASE("a guessed name is the name where it is right and changes nothing where it is wrong") {
    const std::string_view names[] = {
        "",        "a",       "id",          "size",
        "version", "file_id", "description", "retention_policy_and_what_else"};
    for (const std::string_view real : names)
      for (const std::string_view guess : names) {
        const std::string text = "{ \"" + std::string(real) + "\" :1}";
        JsonScanner scanner(text);
        REQUIRE(scanner.enter_object());
        JsonValue name, value;
        CHECK(scanner.next_member(name, value, guess));
        CHECK(name.spelled() == real);
        CHECK(name.kind == JsonKind::string);
        CHECK(!name.escaped);
        CHECK(value.text == "1");
        CHECK(scanner.guessed() == (guess == real && !guess.empty()));
        CHECK(!scanner.next_member(name, value, guess));
        CHECK(!scanner.guessed());
        CHECK(scanner.at_end());
      }
  }

  TEST_CASE("a guess that only begins or ends as the name does, or is cut by the end, is wrong") {
    for (const std::string_view text :
         {R"({"file_idx":1})", R"({"xfile_id":1})", R"({"file\u005fid":1})"}) {
      JsonScanner scanner(text);
      REQUIRE(scanner.enter_object());
      JsonValue name, value;
      CHECK(scanner.next_member(name, value, "file_id"));
      CHECK(!scanner.guessed());
    }
    for (const std::string_view text :
         {R"({"file_id)", R"({"file_i)", R"({"file_id")", "{", "{1"}) {
      JsonScanner plain(text), guessing(text);
      JsonValue name, value;
      REQUIRE(plain.enter_object());
      REQUIRE(guessing.enter_object());
      CHECK(!plain.next_member(name, value));
      CHECK(!guessing.next_member(name, value, "file_id"));
      CHECK(plain.what() == std::string_view(guessing.what()));
      CHECK(plain.offset() == guessing.offset());
    }
  }

  TEST_CASE("after an error every call says no and the first error stays") {
    JsonScanner scanner("{\"a\":x,\"b\":1}");
    JsonValue name, value;
    REQUIRE(scanner.enter_object());
    CHECK(!scanner.next_member(name, value));
    const std::size_t offset = scanner.offset();
    CHECK(!scanner.next_member(name, value));
    CHECK(!scanner.next_element(value));
    CHECK(scanner.what() == std::string_view("expected a value"));
    CHECK(scanner.offset() == offset);
    CHECK(offset == 5);
  }

  TEST_CASE("what is no object or array is not entered") {
    for (const char* text : {"", " ", "1", "[]", "\"{\"", "null"}) {
      JsonScanner scanner(text);
      CHECK(!scanner.enter_object());
      CHECK(scanner.what() == std::string_view("not an object"));
    }
    JsonScanner scanner("{}");
    CHECK(!scanner.enter_array());
    CHECK(scanner.what() == std::string_view("not an array"));
  }

  TEST_CASE("a byte order mark is refused and the first bad byte is found wherever it stands") {
    JsonScanner mark("\xef\xbb\xbf{}");
    CHECK(!mark.check_start());
    CHECK(mark.offset() == 0);
    for (std::size_t at = 0; at < 40; ++at) {
      std::string text(40, 'a');
      text[at] = '\x80';
      const std::string json = "[\"" + text + "\"]";
      JsonScanner scanner(json);
      JsonValue value;
      REQUIRE(scanner.enter_array());
      CHECK(!scanner.next_element(value));
      CHECK(scanner.what() == std::string_view("not UTF-8"));
      CHECK(scanner.offset() == at + 2);
    }
  }

  TEST_CASE("a quote, a backslash or a control character is seen at any place in a string") {
    for (std::size_t at = 0; at < 40; ++at) {
      std::string text(40, '\xbb');
      for (std::size_t i = 0; i < 40; i += 2) text[i] = '\xc2';
      const auto marked = [&](char c) {
        std::string out = std::string(at, 'a') + c;
        return "\"" + out + text + "\"";
      };
      CHECK(verdict(marked('"')) == "expected , or ] @ " + std::to_string(at + 2));
      CHECK(verdict(marked('\\')) == "a bad escape in a string @ " + std::to_string(at + 2));
      CHECK(verdict(marked('\x01')) ==
            "a control character in a string @ " + std::to_string(at + 1));
      CHECK(verdict(marked('\x7f')) == "");
    }
  }

  TEST_CASE("a string is decoded to what it stands for") {
    CHECK(decoded(R"(["plain"])") == "plain");
    CHECK(decoded(R"(["\"\\\/\b\f\n\r\t"])") == "\"\\/\b\f\n\r\t");
    CHECK(decoded(R"(["a\u0000b"])") == std::string("a\0b", 3));
    CHECK(decoded(R"(["\u007f\u0080\u07ff\u0800\uffff"])") ==
          "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
    CHECK(decoded(R"(["\ud800\udc00\uDBFF\uDFFFx"])") == "\xf0\x90\x80\x80\xf4\x8f\xbf\xbfx");
    CHECK(decoded(R"(["\\u0041"])") == "\\u0041");
  }

  TEST_CASE("minified text has lost the white space between tokens and nothing else") {
    CHECK(minified(" { \"a b\" :\t[ 1 ,\r\n 2.50 ] } ") == R"({"a b":[1,2.50]})");
    CHECK(minified(R"({"\" , \\" : " \\\" \n " })") == R"({"\" , \\":" \\\" \n "})");
    CHECK(minified("[\"\\\\\" , \" \"]") == "[\"\\\\\",\" \"]");
    for (const std::string_view json : kAccepted) CHECK(minified(minified(json)) == minified(json));
  }
}

}  // namespace artcache::util
