// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "admin_bench.hpp"

namespace artcache::admin {
namespace {

using http::Method;
const std::string kUsers = "/api/v1/admin-users/";

Seen refresh(Bench& bench, const std::string& token) {
  return bench.post("/api/v1/admin-auth/refresh", R"({"refresh_token":")" + token + R"("})");
}

}  // namespace

TEST_SUITE_BEGIN("admin: people");

TEST_CASE("a person comes in with a password, and is told who they are") {
  Bench bench;
  const Seen pair = bench.login("root", "Root-Password1");
  REQUIRE(pair.status == 200);
  const Seen me = bench.get("/api/v1/admin-auth/me", pair["access_token"]);
  CHECK(me["username"] == "root");
  CHECK(me["role"] == "super_admin");
  CHECK(me["last_login_at"] == "2026-03-02T10:11:12.000000+00:00");
  CHECK(me.body.find("password") == std::string::npos);
  CHECK(bench.login("root", "wrong").status == 401);
  CHECK(bench.login("nobody", "Root-Password1").status == 401);
}

TEST_CASE("after five wrong passwords even the right one waits a quarter of an hour") {
  Bench bench;
  for (int i = 0; i < 5; ++i) CHECK(bench.login("root", "wrong").status == 401);
  const Seen locked = bench.login("root", "Root-Password1");
  CHECK(locked.status == 423);
  CHECK(locked.headers.find("Retry-After") == "900");
  bench.clock.advance(std::chrono::minutes(15));
  CHECK(bench.login("root", "Root-Password1").status == 200);
}

TEST_CASE("a refresh token gives new tokens until its owner logs out") {
  Bench bench;
  const Seen first = bench.login("root", "Root-Password1");
  const Seen second = refresh(bench, first["refresh_token"]);
  REQUIRE(second.status == 200);
  CHECK(bench.get("/api/v1/admin-auth/me", second["access_token"]).status == 200);
  CHECK(refresh(bench, first["access_token"]).status == 401);
  CHECK(refresh(bench, "x").status == 401);
  const Seen service = bench.token_for("admin-service", "Test-Password123");
  CHECK(refresh(bench, service["refresh_token"]).status == 401);
  CHECK(bench.post("/api/v1/admin-auth/logout", "", first["access_token"]).status == 200);
  CHECK(refresh(bench, second["refresh_token"]).status == 401);
}

TEST_CASE("a changed password is the one that counts, and ends what was begun with the old one") {
  Bench bench;
  const Seen pair = bench.login("root", "Root-Password1");
  const auto change = [&](const std::string& before, const std::string& after) {
    return bench
        .post("/api/v1/admin-auth/change-password",
              R"({"current_password":")" + before + R"(","new_password":")" + after + R"("})",
              pair["access_token"])
        .status;
  };
  CHECK(change("wrong", "Another-Password1") == 400);
  CHECK(change("Root-Password1", "short") == 422);
  CHECK(change("Root-Password1", "Root-Password1") == 422);
  CHECK(change("Root-Password1", "Another-Password1") == 200);
  CHECK(bench.login("root", "Root-Password1").status == 401);
  CHECK(bench.login("root", "Another-Password1").status == 200);
  CHECK(refresh(bench, pair["refresh_token"]).status == 401);
}

TEST_CASE("who changes a password undoes nothing that others did meanwhile") {
  Bench bench;
  const std::string root = bench.root_token();
  const Seen made = bench.post(kUsers, R"({"username":"ann","password":"Ann-Password1"})", root);
  const auto set = [&](const std::string& body) {
    CHECK(bench.send(Method::put, kUsers + made["id"], {.body = body, .token = root}).status ==
          200);
  };
  const auto change_amid = [&](const std::function<void()>& other) {
    const std::string token = bench.login("ann", "Ann-Password1")["access_token"];
    bench.before_handler = [&] {
      bench.before_handler = nullptr;
      bench.clock.interrupt = other;  // when the new password has been hashed
    };
    return bench
        .post("/api/v1/admin-auth/change-password",
              R"({"current_password":"Ann-Password1","new_password":"New-Password1"})", token)
        .status;
  };
  CHECK(change_amid([&] { set(R"({"enabled":false})"); }) == 400);
  CHECK(bench.get(kUsers + made["id"], root)["enabled"] == "false");
  set(R"({"enabled":true})");
  CHECK(change_amid([&] {
          CHECK(bench
                    .post(kUsers + made["id"] + "/reset-password",
                          R"({"new_password":"Set-Password1"})", root)
                    .status == 200);
        }) == 400);
  REQUIRE(bench.login("ann", "Set-Password1").status == 200);
  bench.post(kUsers + made["id"] + "/reset-password", R"({"new_password":"Ann-Password1"})", root);
  CHECK(change_amid([&] { set(R"({"role":"readonly"})"); }) == 200);
  CHECK(bench.get(kUsers + made["id"], root)["role"] == "readonly");
  CHECK(bench.login("ann", "New-Password1").status == 200);
}

TEST_CASE("wrong passwords that come at once count one by one") {
  Bench bench;
  for (int round = 0; round < 10; ++round) {
    std::vector<std::thread> guessers;
    for (int i = 0; i < 4; ++i)
      guessers.emplace_back([&] { CHECK(bench.login("root", "wrong").status == 401); });
    for (std::thread& one : guessers) one.join();
    CHECK(bench.login("root", "wrong").status == 401);
    REQUIRE(bench.login("root", "Root-Password1").status == 423);
    bench.clock.advance(std::chrono::minutes(15));
  }
}

TEST_CASE("an address that asks too often for new tokens waits, and fills no trail") {
  Options options = quick_options();
  options.token_requests_per_minute = 3;
  Bench bench(options);
  for (int i = 0; i < 3; ++i) CHECK(refresh(bench, "x").status == 401);
  const Seen late = refresh(bench, "x");
  CHECK(late.status == 429);
  CHECK(late.headers.find("Retry-After"));
  bench.clock.advance(std::chrono::minutes(1));
  const std::string root = bench.root_token();
  CHECK(bench.get("/api/v1/audit-log?action=admin.refresh", root)["total"] == "3");
}

TEST_CASE("people are made, changed, disabled and removed by a super admin") {
  Bench bench;
  const std::string root = bench.root_token();
  const Seen made = bench.post(
      kUsers, R"({"username":"ann","password":"Ann-Password1","role":"readonly"})", root);
  REQUIRE(made.status == 201);
  CHECK(bench.post(kUsers, R"({"username":"ann","password":"Ann-Password1"})", root).status == 409);
  const std::string ann = bench.login("ann", "Ann-Password1")["access_token"];
  CHECK(bench.get(kUsers, ann)["total"] == "2");
  CHECK(bench.post(kUsers, R"({"username":"bob","password":"Bob-Password1"})", ann).status == 403);
  CHECK(bench.post("/api/v1/service-accounts", R"({"name":"x"})", ann).status == 403);

  const auto set = [&](const std::string& body) {
    return bench.send(Method::put, kUsers + made["id"], {.body = body, .token = root});
  };
  CHECK(set(R"({"email":"ann@example.org"})")["email"] == "ann@example.org");
  CHECK(set(R"({"enabled":false})")["enabled"] == "false");
  CHECK(bench.login("ann", "Ann-Password1").status == 403);
  CHECK(bench.login("ann", "wrong").status == 401);
  CHECK(set(R"({"enabled":true})").status == 200);
  CHECK(bench
            .post(kUsers + made["id"] + "/reset-password", R"({"new_password":"New-Password1"})",
                  root)
            .status == 200);
  CHECK(bench.login("ann", "New-Password1").status == 200);
  CHECK(bench.send(Method::del, kUsers + made["id"], {.token = root}).status == 204);
  CHECK(bench.get(kUsers + made["id"], root).status == 404);
}

TEST_CASE("nobody takes their own rights away") {
  Bench bench;
  const std::string root = bench.root_token();
  const std::string id = bench.get("/api/v1/admin-auth/me", root)["id"];
  CHECK(bench.send(Method::del, kUsers + id, {.token = root}).status == 400);
  CHECK(bench.send(Method::put, kUsers + id, {.body = R"({"enabled":false})", .token = root})
            .status == 400);
}

TEST_SUITE_END();

}  // namespace artcache::admin
