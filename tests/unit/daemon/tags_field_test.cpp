// SPDX-License-Identifier: Apache-2.0
#include "common/tags_field.hpp"

#include <doctest/doctest.h>

namespace artcache {
namespace {

using Tags = std::vector<std::string>;

TEST_SUITE("tags of a form") {
  TEST_CASE("a list says every tag as it is, and is written so that it is read again") {
    const Tags odd{"New York, NY", "[draft]", " blank ", "say \"x\"", "я"};
    CHECK(tags_of_list(list_of_tags(odd)) == odd);
    CHECK(tags_of_list(list_of_tags({})) == Tags{});
    CHECK(tags_of_list(R"( ["a" , "", "b,c"])") == Tags{"a", "b,c"});
    for (const char* text : {"", "a", "a, b", "[draft], x", "[draft]", "[1]", R"(["a", null])",
                             R"({"a": 1})", R"(["a")", R"(["a"], "tags": ["b"])", R"(["a"], "b")"})
      CHECK_FALSE_MESSAGE(tags_of_list(text), text);
  }

  TEST_CASE("words are parted by commas") {
    CHECK(tags_of_words(" a,b c ,, [draft]") == Tags{"a", "b c", "[draft]"});
    CHECK(tags_of_words("") == Tags{});
  }
}

}  // namespace
}  // namespace artcache
