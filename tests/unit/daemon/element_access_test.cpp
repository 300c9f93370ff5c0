// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "element_stand.hpp"

namespace artcache::element {
namespace {

using http::Method;

const std::string kUnknown = "/api/v1/files/0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10";

TEST_SUITE_BEGIN("element access");

TEST_CASE("who may not is told so before anything is told about what exists") {
  Stand stand;
  const std::string known = "/api/v1/files/" + stand.upload("x");
  for (const std::string& target : {known, kUnknown, std::string("/api/v1/files/no-uuid")}) {
    const Answer user = stand.ask({.method = Method::del, .target = target, .role = "user"});
    CHECK(user.status == 403);
    CHECK(user.body == R"({"detail":"Operator or admin access required"})");
    CHECK(stand.ask({.target = target, .role = ""}).status == 401);
    CHECK(stand.ask({.target = target, .role = "nobody"}).status == 403);
  }
  CHECK(stand.ask({.target = known, .role = "user"}).status == 200);
  CHECK(stand.ask({.method = Method::del, .target = known, .role = "operator"}).status == 204);
}

TEST_CASE("who only reads puts and changes nothing") {
  Stand stand;
  const std::string target = "/api/v1/files/" + stand.upload("x");
  const auto as = [&](Ask ask, const std::string& role) {
    ask.role = role;
    return stand.ask(std::move(ask)).status;
  };
  const Ask change{.method = Method::patch, .target = target, .body = R"({"version":"2"})"};
  for (const char* role : {"auditor", "readonly"}) {
    CHECK(as(Stand::upload_of("y"), role) == 403);
    CHECK(as(change, role) == 403);
  }
  CHECK(stand.files_on_disk() == 2);
  CHECK(stand.get(target).at("version") == "null");
  for (const char* role : {"user", "operator", "admin", "super_admin"}) {
    CHECK(as(Stand::upload_of("y"), role) == 201);
    CHECK(as(change, role) == 200);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::element
