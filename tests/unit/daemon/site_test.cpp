// SPDX-License-Identifier: Apache-2.0
#include "http/site.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace artcache::http {
namespace {

Reply nothing(Request&) { return Response{.status = 204}; }

Site site_with(const std::vector<std::pair<Method, std::string>>& routes) {
  Site site("se-01");
  for (const auto& [method, pattern] : routes)
    REQUIRE(site.add({.method = method, .pattern = pattern, .handler = nothing}));
  return site;
}

std::string pattern_of(const Site& site, Method method, std::string_view path) {
  const auto match = site.find(method, path);
  return match.route == nullptr ? "" : match.route->pattern;
}

TEST_SUITE("http site") {
  TEST_CASE("a word in a path goes before a name, whichever was added first") {
    const Site site = site_with({{Method::get, "/files/{id}"},
                                 {Method::get, "/files/search"},
                                 {Method::get, "/files/{id}/download"},
                                 {Method::get, "/"}});
    CHECK(pattern_of(site, Method::get, "/files/search") == "/files/search");
    CHECK(pattern_of(site, Method::get, "/files/searching") == "/files/{id}");
    CHECK(pattern_of(site, Method::get, "/files/7/download") == "/files/{id}/download");
    CHECK(pattern_of(site, Method::get, "/files/search/download") == "/files/{id}/download");
    CHECK(pattern_of(site, Method::get, "/") == "/");
    CHECK(pattern_of(site, Method::get, "/files") == "");
    CHECK(pattern_of(site, Method::get, "/files/7/download/8") == "");
  }

  TEST_CASE("the values of the names are decoded, a slash in them too") {
    const Site site = site_with({{Method::get, "/cache/{key}/of/{user}"}});
    const auto match = site.find(Method::get, "/cache/a%2Fb+c%20d/of/me");
    REQUIRE(match.route != nullptr);
    CHECK(match.values.find("key") == "a/b+c d");
    CHECK(match.values.find("user") == "me");
  }

  TEST_CASE("a slash at the end changes nothing, an empty part is no value") {
    const Site site = site_with({{Method::get, "/files/"}, {Method::get, "/files/{id}"}});
    CHECK(pattern_of(site, Method::get, "/files/") == "/files");
    CHECK(pattern_of(site, Method::get, "/files/7/") == "/files/{id}");
    CHECK(pattern_of(site, Method::get, "/files//") == "");
    CHECK(pattern_of(site, Method::get, "") == "");
  }

  TEST_CASE("HEAD finds the route of GET, other methods are told which there are") {
    Site site = site_with({{Method::get, "/files/{id}"}, {Method::del, "/files/{id}"}});
    CHECK(pattern_of(site, Method::head, "/files/7") == "/files/{id}");
    const auto match = site.find(Method::put, "/files/7");
    CHECK(match.route == nullptr);
    CHECK(match.allowed == std::vector{Method::get, Method::head, Method::del});
    REQUIRE(site.add({.pattern = "/run", .handler = nothing, .threads = Threads::lasting}));
    CHECK(pattern_of(site, Method::get, "/run") == "/run");
    const Site::Match lasting = site.find(Method::head, "/run");
    CHECK(lasting.route == nullptr);
    CHECK(lasting.allowed == std::vector{Method::get});
    CHECK(site.find(Method::put, "/nowhere").allowed.empty());
  }

  TEST_CASE("a method of a more general pattern is found behind a word that has none") {
    const Site site = site_with({{Method::get, "/files/search"}, {Method::del, "/files/{id}"}});
    CHECK(pattern_of(site, Method::del, "/files/search") == "/files/{id}");
  }

  TEST_CASE("a route is refused when it is there already or its pattern is none") {
    Site site = site_with({{Method::get, "/files/{id}"}});
    const auto refused = [&](const std::string& pattern) {
      const auto added = site.add({.pattern = pattern, .handler = nothing});
      REQUIRE_FALSE(added);
      return added.error().code;
    };
    CHECK(refused("/files/{id}/") == Errc::conflict);
    CHECK(refused("files") == Errc::invalid_argument);
    CHECK(refused("/files/{}") == Errc::invalid_argument);
    CHECK(refused("/files/x{id}") == Errc::invalid_argument);
    CHECK(refused("/files//x") == Errc::invalid_argument);
    CHECK(site.add({.pattern = "/no/handler"}).error().code == Errc::invalid_argument);
    CHECK(site.routes().size() == 1);
  }

  TEST_CASE("the fields of a problem are in whatever the renderer makes") {
    const Site site("x", [](const Problem& problem, const Request&) {
      return Response{.status = problem.status, .body = "no"};
    });
    const auto response = site.render({.status = 405, .headers = {{"Allow", "GET"}}}, {});
    CHECK(response.status == 405);
    CHECK(response.headers.find("allow") == "GET");
    CHECK(response.body == "no");
  }
}

}  // namespace
}  // namespace artcache::http
