// SPDX-License-Identifier: Apache-2.0
#include "common/json_read.hpp"

#include <doctest/doctest.h>

#include <string>

namespace artcache {
namespace {

TEST_SUITE("json of requests") {
  TEST_CASE("members are read by their types, null and missing are nothing") {
    JsonObject json(R"( {"a":"x\u00e9\n","n":-7,"f":true,"l":["p","q"],"z":null} )");
    CHECK(json.text("a") == "xé\n");
    CHECK(json.number("n") == -7);
    CHECK(json.flag("f") == true);
    CHECK(json.texts("l") == std::vector<std::string>{"p", "q"});
    CHECK(json.has("z"));
    CHECK_FALSE(json.text("z"));
    CHECK_FALSE(json.has("missing"));
    CHECK_FALSE(json.number("missing"));
    CHECK(json.problems().empty());
  }

  TEST_CASE("an object keeps numbers and unknown members as they were spelled") {
    JsonObject json(R"({"metadata": {"n": 1.50e3, "big":123456789012345678901234567890,
                        "s":"\u0041" , "a":[ 1,{ } ]}})");
    CHECK(json.object("metadata") ==
          R"({"n":1.50e3,"big":123456789012345678901234567890,"s":"\u0041","a":[1,{}]})");
  }

  TEST_CASE("every member of a wrong type is named") {
    JsonObject json(R"({"a":1,"n":"7","m":1.5,"f":"true","l":["p",2],"o":[]})");
    CHECK_FALSE(json.text("a"));
    CHECK_FALSE(json.number("n"));
    CHECK_FALSE(json.number("m"));
    CHECK_FALSE(json.flag("f"));
    CHECK_FALSE(json.texts("l"));
    CHECK_FALSE(json.object("o"));
    json.require("q");
    std::string types;
    for (const auto& problem : json.problems())
      types += problem.where.back() + ":" + problem.type + " ";
    CHECK(types ==
          "a:string_type n:int_type m:int_type f:bool_type 1:string_type o:dict_type q:missing ");
  }

  TEST_CASE("what is no JSON, or no object, is one problem and not more") {
    for (const char* text :
         {"", "{", "{\"a\":}", "{\"a\":1}x", "{'a':1}", "{\"a\":\"\xff\"}", "nul"}) {
      JsonObject json(text);
      json.require("a");
      REQUIRE(json.problems().size() == 1);
    }
    CHECK(JsonObject("{\"a\":1,}").problems().front().type == "json_invalid");
    CHECK(JsonObject("[1]").problems().front().type == "model_attributes_type");
    CHECK(JsonObject(std::string(5000, '[')).problems().size() == 1);
    CHECK(JsonObject("{\"a\":" + std::string(5000, '[')).problems().front().type == "json_invalid");
  }

  TEST_CASE("whole numbers and flags of queries") {
    CHECK(parse_whole("42") == 42);
    CHECK(parse_whole("-1") == -1);
    for (const char* text : {"", "1.0", "1 ", "0x1", "99999999999999999999"})
      CHECK_FALSE(parse_whole(text));
    CHECK(parse_flag("Yes") == true);
    CHECK(parse_flag("0") == false);
    CHECK_FALSE(parse_flag("maybe"));
  }
}

}  // namespace
}  // namespace artcache
