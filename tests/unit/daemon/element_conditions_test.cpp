// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "element_stand.hpp"

namespace artcache::element {
namespace {

using http::Method;

TEST_SUITE_BEGIN("element conditions");

TEST_CASE("with If-Match a file is changed and removed only as it was seen") {
  Stand stand({.embedded = true});
  const std::string id = stand.upload("x"), target = "/api/v1/files/" + id;
  const std::string first = stand.get(target).header("ETag");
  CHECK(stand.get(target).header("ETag") == first);
  CHECK(stand.get(target + "?max_staleness=5").header("ETag") == first);
  const auto with = [&](Method method, const std::string& at, const std::string& tag,
                        std::string body = {}) {
    return stand.ask(
        {.method = method, .target = at, .body = std::move(body), .headers = {{"If-Match", tag}}});
  };
  const Answer changed = with(Method::patch, target, first, R"({"version":"2"})");
  CHECK(changed.status == 200);
  const std::string second = changed.header("ETag");
  CHECK(second != first);
  CHECK(stand.get(target).header("ETag") == second);
  const Answer refused = with(Method::patch, target, first, R"({"version":"3"})");
  CHECK(refused.status == 412);
  CHECK(refused.at("detail") == "File " + id + " has changed; read it again");
  CHECK(with(Method::patch, target, first, "{}").status == 412);
  for (const std::string& at : {target, "/api/v1/gc/" + id}) {
    CHECK(with(Method::del, at, first).status == 412);
    CHECK(with(Method::del, at, "W/" + second).status == 412);
  }
  CHECK(stand.get(target).at("version") == "2");
  CHECK(with(Method::patch, target, "*", R"({"version":"3"})").status == 200);
  const std::string third = stand.get(target).header("ETag");
  CHECK(with(Method::del, "/api/v1/gc/" + id, first + ", " + third).status == 200);
  // What was done already may be asked for again.
  CHECK(with(Method::del, "/api/v1/gc/" + id, third).at("status") == "already_deleted");
  CHECK(with(Method::del, target, third).status == 404);
  CHECK(stand.files_on_disk() == 0);
  const std::string other = "/api/v1/files/" + stand.upload("x");
  CHECK(with(Method::del, other, stand.get(other).header("ETag")).status == 204);
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::element
