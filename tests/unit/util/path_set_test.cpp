// SPDX-License-Identifier: Apache-2.0
#include "util/path_set.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace artcache::util {
namespace {

using Paths = std::vector<std::string>;

TEST_SUITE("path_set") {
  TEST_CASE("a path is taken once, in order, and not below a folder that is taken") {
    PathSet set(10);
    for (const char* file : {"b/x", "a/x", "b/x", "c/d/x", "ca/x"}) set.add_file(file);
    for (const char* folder : {"c", "c/d/e", "f", "f"}) set.add_folder(folder);
    CHECK(set.covers("c/d"));
    CHECK_FALSE(set.covers("ca"));
    const PathSet::Taken taken = set.take();
    CHECK(taken.files == Paths{"a/x", "b/x", "ca/x"});
    CHECK(taken.folders == Paths{"c", "f"});
    CHECK(set.empty());
  }

  TEST_CASE("beyond the limit files become their folders, and folders the whole") {
    PathSet set(2);
    for (const char* file : {"a/x", "a/y", "b/x"}) set.add_file(file);
    CHECK(set.size() == 2);
    set.add_file("c/x");
    PathSet::Taken taken = set.take();
    CHECK(taken.files == Paths{"c/x"});
    CHECK(taken.folders == Paths{"a", "b"});
    for (const char* folder : {"a", "b", "c", "d"}) set.add_folder(folder);
    set.add_file("e/x");
    taken = set.take();
    CHECK(taken.files.empty());
    CHECK(taken.folders == Paths{""});
  }

  TEST_CASE("a folder lies within itself, above it nothing does, and names are not cut") {
    CHECK(is_within("a/b", "a"));
    CHECK(is_within("a", "a"));
    CHECK(is_within("a", ""));
    CHECK_FALSE(is_within("a", "a/b"));
    CHECK_FALSE(is_within("ab", "a"));
    CHECK(folder_of("a/b/c") == "a/b");
    CHECK(folder_of("a").empty());
  }
}

}  // namespace
}  // namespace artcache::util
