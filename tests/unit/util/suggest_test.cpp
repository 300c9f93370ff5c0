// SPDX-License-Identifier: Apache-2.0
#include "util/suggest.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace artcache::util {
namespace {

TEST_SUITE("suggest") {
  TEST_CASE("one wrong, missing, extra or swapped letter is a typing mistake") {
    for (const char* word : {"regaon", "regin", "regioon", "regoin", "rgion", "egion", "regions"}) {
      CAPTURE(word);
      CHECK(nearest(word, {"prefix", "region", "endpoint"}) == "region");
    }
  }

  TEST_CASE("long words may have two mistakes, short ones one, the shortest none") {
    CHECK(nearest("endpiont_", {"endpoint"}) == "endpoint");
    CHECK(nearest("edpont", {"endpoint"}) == "endpoint");
    CHECK(nearest("edpnt", {"endpoint"}).empty());
    CHECK(nearest("flie", {"file"}) == "file");
    CHECK(nearest("fiel", {"file"}) == "file");
    CHECK(nearest("feil", {"file"}).empty());
    CHECK(nearest("men", {"mem"}) == "mem");
    CHECK(nearest("s4", {"s3"}).empty());
    CHECK(nearest("x", {"y"}).empty());
  }

  TEST_CASE("nothing is near to something else altogether, or to nothing") {
    CHECK(nearest("colour", {"prefix", "region"}).empty());
    CHECK(nearest("", {"prefix"}).empty());
    CHECK(nearest("prefix", {}).empty());
    CHECK(nearest("abcdef", {""}).empty());
  }

  TEST_CASE("the nearest of several is meant, of equals the first") {
    CHECK(nearest("timeouts", {"timeoutxy", "timeout", "timeouta"}) == "timeout");
    CHECK(nearest("abcx", {"abca", "abcb"}) == "abca");
    CHECK(nearest("region", {"regio", "region"}) == "region");
  }

  TEST_CASE("candidates come as a list or as a span") {
    const std::vector<std::string_view> names{"file", "mem"};
    CHECK(nearest("fille", names) == "file");
  }

  TEST_CASE("words that are too long are no typing mistakes, and bytes are only bytes") {
    CHECK(nearest(std::string(65, 'a'), {std::string_view("a")}).empty());
    const std::string longest(64, 'a');
    CHECK(nearest(longest, {std::string_view(longest)}) == longest);
    CHECK(nearest(std::string(10'000'000, 'a'), {"aaa"}).empty());
    CHECK(nearest("\xff\xfe\xfd\xfc", {"\xff\xfe\xfd\xfb"}) == "\xff\xfe\xfd\xfb");
    CHECK(nearest(std::string_view("a\0cd", 4), {std::string_view("a\0ce", 4)}).size() == 4);
  }
}

}  // namespace
}  // namespace artcache::util
