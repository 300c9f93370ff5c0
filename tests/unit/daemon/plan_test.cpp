// SPDX-License-Identifier: Apache-2.0
#include "config/plan.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>

namespace artcache::config {
namespace {

constexpr Setting kElement[] = {
    {.name = "storage_mode", .variable = "STORAGE_MODE", .fallback = "edit"},
    {.name = "ttl", .variable = "CACHE_TTL", .kind = Kind::duration, .fallback = "24h"},
    {.name = "most",
     .variable = "MOST",
     .also = "LEAST_BUT_MOST",
     .kind = Kind::number,
     .fallback = "5",
     .most = 10},
    {.name = "pause", .kind = Kind::duration, .fallback = "10s", .least = 1500, .most = 3'600'000},
    {.name = "lazy", .variable = "LAZY", .kind = Kind::flag, .fallback = "on"},
    {.name = "secret", .variable = "SECRET", .kind = Kind::secret},
    {.name = "index", .variable = "INDEX", .kind = Kind::address},
};
constexpr RoleKind kAdminKind{.name = "admin", .instance = "admin", .port = 8000};
constexpr RoleKind kElementKind{
    .name = "element", .instance = "se-01", .port = 8010, .settings = kElement};
constexpr const RoleKind* kKinds[] = {&kAdminKind, &kElementKind};

using Variables = std::map<std::string, std::string>;

Sources sources(std::string_view file, Variables variables = {}) {
  auto said = parse_toml(file, "a.toml");
  REQUIRE(said);
  return {.file = *std::move(said),
          .environment = [variables = std::move(variables)](
                             const std::string& name) -> std::optional<std::string> {
            const auto found = variables.find(name);
            return found == variables.end() ? std::nullopt : std::optional(found->second);
          },
          .roles = {},
          .flags = {}};
}

Plan plan(const Sources& from) {
  auto made = make_plan(kKinds, from);
  REQUIRE_MESSAGE(made.has_value(), made.error().message);
  return *std::move(made);
}

std::string refusal(const Sources& from) {
  const auto made = make_plan(kKinds, from);
  REQUIRE_FALSE(made);
  CHECK(made.error().code == Errc::invalid_argument);
  return made.error().message;
}

TEST_SUITE("plan") {
  TEST_CASE("flags go above the environment, that above the file, that above the defaults") {
    Sources all = sources("[element]\nmost = 1\nttl = \"1h\"\nlazy = false\n",
                          {{"MOST", "2"}, {"CACHE_TTL", "90"}});
    all.flags = {"element.most=3"};
    const Plan made = plan(all);
    REQUIRE(made.instances.size() == 1);
    const Instance& one = made.instances.front();
    CHECK(one.name == "se-01");
    CHECK(one.role.number("most") == 3);
    CHECK(one.role.source("most") == "--set");
    CHECK(one.role.duration("ttl") == std::chrono::seconds(90));
    CHECK_FALSE(one.role.flag("lazy"));
    CHECK(one.role.source("lazy") == "a.toml:4");
    CHECK(one.role.text("storage_mode") == "edit");
    CHECK_FALSE(one.role.was_said("storage_mode"));
    CHECK(one.site.number("port") == 8010);
  }

  TEST_CASE(
      "several roles have names of their own in the environment, a bare one is warned about") {
    const Plan made =
        plan(sources("[element.se-01]\n[element.se-02]\nport = 8011\n[admin]\n",
                     {{"MOST", "2"}, {"ARTCACHE_SE_02_MOST", "7"}, {"ARTCACHE_ADMIN_PORT", "9"}}));
    REQUIRE(made.instances.size() == 3);
    CHECK(made.instances[0].name == "admin");
    CHECK(made.instances[0].site.number("port") == 9);
    CHECK(made.instances[1].role.number("most") == 5);
    CHECK(made.instances[2].role.number("most") == 7);
    CHECK(made.instances[2].site.number("port") == 8011);
    REQUIRE(made.warnings.size() == 1);
    CHECK(made.warnings.front().starts_with("MOST is ignored"));
  }

  TEST_CASE("a variable that is nearly one of ours is warned about, and no other") {
    Sources all = sources("[element]\n", {{"STORAGE_MODE", "rw"}});
    all.variables = {"STORAGE_MODE", "STORAGE_MODUS",    "CACHE_TLL",
                     "HOME",         "STORAGE_LOCATION", "ARTCACHE_SE_01_STORAGE_MOD",
                     "GARAGE_MODE"};
    const Plan made = plan(all);
    REQUIRE(made.warnings.size() == 3);
    CHECK(made.warnings[0] == "STORAGE_MODUS is read by nobody here; did you mean STORAGE_MODE?");
    CHECK(made.warnings[1] == "CACHE_TLL is read by nobody here; did you mean CACHE_TTL?");
    CHECK(made.warnings[2].ends_with("did you mean ARTCACHE_SE_01_STORAGE_MODE?"));
  }

  TEST_CASE("a variable that only the original reads is warned about, with what does it here") {
    Sources all = sources("[element]\n");
    all.variables = {"STORAGE_MAX_SIZE_GB", "CORS_MAX_AGE", "CORS_ALLOW_ORIGINS", "SAGAS"};
    const Plan made = plan(all);
    REQUIRE(made.warnings.size() == 2);
    CHECK(made.warnings[0] ==
          "STORAGE_MAX_SIZE_GB has no effect: STORAGE_MAX_SIZE says it in bytes");
    CHECK(made.warnings[1].starts_with("CORS_MAX_AGE has no effect: CORS_ALLOW_ORIGINS"));
  }

  TEST_CASE("what Kubernetes says of a service that is called like a setting has no effect") {
    const Plan made = plan(sources("[element]\n", {{"SERVER_PORT", "tcp://10.0.0.7:8010"}}));
    REQUIRE(made.warnings.size() == 1);
    CHECK(made.warnings[0] ==
          "SERVER_PORT = 'tcp://10.0.0.7:8010' comes from a service of Kubernetes and has no "
          "effect");
  }

  TEST_CASE("of two variables for one setting the second counts where the first is not set") {
    const auto most = [](Variables variables) {
      const Plan made = plan(sources("[element]\n", std::move(variables)));
      const Settings& role = made.instances.front().role;
      return role.text("most") + " by " + role.source("most");
    };
    CHECK(most({{"LEAST_BUT_MOST", "3"}}) == "3 by LEAST_BUT_MOST");
    CHECK(most({{"LEAST_BUT_MOST", "none"}, {"MOST", "4"}}) == "4 by MOST");
    const Plan two = plan(sources(
        "[element]\n[admin]\n",
        {{"LEAST_BUT_MOST", "3"}, {"ARTCACHE_SE_01_LEAST_BUT_MOST", "2"}, {"SERVER_PORT", "1"}}));
    CHECK(two.instances[1].role.number("most") == 2);
    REQUIRE(two.warnings.size() == 2);
    CHECK(two.warnings[0].starts_with("SERVER_PORT is ignored"));
    CHECK(two.warnings[1].starts_with("LEAST_BUT_MOST is ignored"));
  }

  TEST_CASE("a role runs without a section when it is asked for") {
    Sources none = sources("");
    none.roles = {"element.se-07", "admin"};
    const Plan made = plan(none);
    REQUIRE(made.instances.size() == 2);
    CHECK(made.instances[1].name == "se-07");
  }

  TEST_CASE("what nobody knows is an error that names what was probably meant") {
    CHECK(refusal(sources("[element]\nstorage_mod = \"rw\"\n")) ==
          "a.toml:2: there is no setting 'storage_mod'; did you mean 'storage_mode'?");
    CHECK(refusal(sources("[elemnt]\nmost = 1\n")) ==
          "a.toml:2: there is no role 'elemnt'; did you mean 'element'?");
    CHECK(refusal(sources("[daemon]\nworker = 1\n")) ==
          "a.toml:2: there is no setting 'worker'; did you mean 'workers'?");
    CHECK(refusal(sources("[element]\nbanana = 1\n")) == "a.toml:2: there is no setting 'banana'");
    Sources flag = sources("");
    flag.flags = {"port=1"};
    CHECK(refusal(flag) == "--set: 'port=1' is not SECTION.NAME=VALUE");
  }

  TEST_CASE("a flag tells an instance something and starts none") {
    Sources all = sources("[element.se-01]\n");
    all.flags = {"element.se-99.most=1"};
    CHECK(refusal(all) ==
          "--set: there is no instance 'element.se-99'; did you mean 'element.se-01'?");
    all.flags = {"admin.port=1"};
    CHECK(refusal(all) == "--set: there is no instance 'admin.admin'");
    all.roles = {"admin"};
    CHECK(plan(all).instances.front().site.number("port") == 1);
    all.flags = {"elemnt.se-01.most=1"};
    CHECK(refusal(all) == "--set: there is no role 'elemnt'; did you mean 'element'?");
    Sources none = sources("");
    none.flags = {"admin.port=1"};
    CHECK(refusal(none).ends_with("; --role or a section of --config starts one"));
  }

  TEST_CASE("a value of the wrong kind is named, unless it may be a secret") {
    CHECK(refusal(sources("[element]\nmost = 11\n")) ==
          "a.toml:2: most = '11': not a whole number of at least 0 and at most 10");
    const std::string bounds =
        ": not a duration such as 250ms, 30s, 5m, 2h or 1d, of at least 1500ms, of at most 1h";
    for (const std::string value : {"0", "1499ms", "2h", "soon"}) {
      const std::string line = "pause = '" + value + "'";
      CHECK(refusal(sources("[element]\npause = '" + value + "'\n")) ==
            "a.toml:2: " + line + bounds);
    }
    CHECK(plan(sources("[element]\npause = '1h'\n")).instances[0].role.duration("pause") ==
          std::chrono::hours(1));
    CHECK(refusal(sources("[element]\nmost = -1\n")).find("'-1'") != std::string::npos);
    CHECK(refusal(sources("[element]\nlazy = \"maybe\"\n")).find("true/false") !=
          std::string::npos);
    CHECK(refusal(sources("[element]\n", {{"CACHE_TTL", "x"}})).starts_with("CACHE_TTL: ttl = "));
    CHECK(refusal(sources("[element]\nindex = \"hush\"\n")).find("hush") == std::string::npos);
  }

  TEST_CASE("the effective configuration shows who said what, and no secret") {
    const std::string text = to_text(
        plan(sources("[element]\nsecret = \"hush\"\nindex = \"postgresql://u:hush@h/d\"\n")));
    CHECK(text.find("hush") == std::string::npos);
    CHECK(text.find("secret = \"***\"  # a.toml:2\n") != std::string::npos);
    CHECK(text.find("most = 5  # default\n") != std::string::npos);
    CHECK(text.find("[element.se-01]\n") != std::string::npos);
    // It is a configuration itself.
    CHECK(make_plan(kKinds, sources(text)));
  }

  TEST_CASE("a file that is no TOML is refused with its line") {
    CHECK(parse_toml("[element]\nmost = \n", "a.toml").error().message.starts_with("a.toml:2: "));
    CHECK(parse_toml("most = 1\n", "a.toml").error().message ==
          "a.toml:1: 'most' is in no [section]");
    CHECK(parse_toml("[a]\nb = 1979-05-27\n", "a.toml").error().code == Errc::invalid_argument);
    CHECK(parse_toml("[a]\nb = [\"x\", \"y\"]\n", "a.toml")->front().value == "x,y");
  }
}

}  // namespace
}  // namespace artcache::config
