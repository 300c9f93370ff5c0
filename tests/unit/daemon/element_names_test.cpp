// SPDX-License-Identifier: Apache-2.0
#include "roles/element_names.hpp"

#include <doctest/doctest.h>

#include <string>

namespace artcache {
namespace {

constexpr config::Setting kAsking[] = {{.name = "elements"}};
constexpr RoleKind kAdmin{.name = "admin", .instance = "admin"};
constexpr RoleKind kElement{.name = "element", .instance = "se-01"};
constexpr RoleKind kQuery{.name = "query", .instance = "query", .settings = kAsking};
constexpr const RoleKind* kKinds[] = {&kAdmin, &kElement, &kQuery};

/// What is wrong with `elements` where se-01 and an admin run beside it; empty when nothing is.
std::string complaint(const std::string& elements) {
  const config::Sources from{.file = {},
                             .environment = {},
                             .roles = {"admin", "element", "query"},
                             .flags = {"query.elements=" + elements}};
  const auto plan = config::make_plan(kKinds, from);
  REQUIRE_MESSAGE(plan.has_value(), plan.error().message);
  CHECK(check_element_names(*plan, plan->instances.front()).has_value());  // has no such setting
  const auto checked = check_element_names(*plan, plan->instances.back());
  return checked ? "" : checked.error().message;
}

}  // namespace

TEST_SUITE("element names") {
  TEST_CASE("addresses and elements of this process are elements") {
    for (const char* good : {"", " , ", "se-01", "http://a:1", "se-07=https://a:1",
                             "se-01, http://a:1/?b=c ,se-02=http://b:2"})
      CHECK_MESSAGE(complaint(good).empty(), good);
  }

  TEST_CASE("a word that is neither is named, with the one that was meant") {
    const std::string why = "is neither an element of this process nor id=http://host:port";
    CHECK(complaint("se-01,se-1") == "elements: 'se-1' " + why + "; did you mean 'se-01'?");
    for (const std::string wrong :
         {"element-02", "se-01.example.org:8010", "se-02=ftp://a", "se-02=host:8010", "admin"})
      CHECK(complaint("http://a:1," + wrong) == "elements: '" + wrong + "' " + why);
  }

  TEST_CASE("the address is what stands behind the id") {
    CHECK(element_address("se-01=http://a:1") == "http://a:1");
    CHECK(element_address("http://a:1/?b=c") == "http://a:1/?b=c");
    CHECK(element_address("se-01").empty());
  }
}

}  // namespace artcache
