// SPDX-License-Identifier: Apache-2.0
#include "admin_bench.hpp"
#include "roles/admin/accounts.hpp"

namespace artcache::admin {
namespace {

using http::Method;
const std::string kAccounts = "/api/v1/service-accounts/";

/// As the original makes it, with an account in it.
Result<void> make_original(sql::Connection& connection, db::Engine, const Call&) {
  return connection.execute(
      "CREATE TABLE service_accounts(id VARCHAR(36) PRIMARY KEY, name VARCHAR(255) NOT NULL "
      "UNIQUE, "
      "client_id VARCHAR(100) NOT NULL UNIQUE, client_secret_hash VARCHAR(255) NOT NULL, "
      "secret_history TEXT);"
      "INSERT INTO service_accounts VALUES('1', 'admin-service', 'sa_prod', '$2b$12$x', NULL)");
}

/// Whether that account is there as it was, and nothing beside its table.
Result<void> look_at_original(sql::Connection& connection, db::Engine, const Call&) {
  const auto ours = connection.has_table("artcache_schema");
  CHECK((ours && !*ours));
  return connection.execute(
      "INSERT INTO service_accounts SELECT '2', client_secret_hash, 'other', '', NULL "
      "FROM service_accounts WHERE id = '1' AND name = 'admin-service'");
}

}  // namespace

TEST_SUITE_BEGIN("admin: service accounts");

TEST_CASE("a client_id tells where and what for, and is never the same twice") {
  const std::string id = make_client_id("prod", "Report-Writer for everybody");
  CHECK(id.starts_with("sa_prod_report_writer_for_ev_"));
  CHECK(id.size() == std::string("sa_prod_report_writer_for_ev_").size() + 8);
  CHECK(make_client_id("prod", "x") != make_client_id("prod", "x"));
}

TEST_CASE("a new account shows its secret once, and gets tokens with it") {
  Bench bench;
  const std::string root = bench.root_token();
  const Seen made = bench.post(kAccounts, R"({"name":"reports","role":"auditor"})", root);
  REQUIRE(made.status == 201);
  CHECK(made["role"] == "AUDITOR");
  CHECK(made["rate_limit"] == "100");
  const std::string secret = made["client_secret"];
  CHECK(secret.size() >= 40);
  const Seen shown = bench.get(kAccounts + made["id"], root);
  CHECK(shown.status == 200);
  CHECK(shown.body.find("secret_hash") == std::string::npos);
  CHECK(shown["client_secret"].empty());
  CHECK(bench.get(kAccounts, root)["total"] == "2");
  CHECK(bench.token_for(made["client_id"], secret).status == 200);
  CHECK(bench.token_for("reports", secret).status == 200);
}

TEST_CASE("names are unique") {
  Bench bench;
  const std::string root = bench.root_token();
  CHECK(bench.post(kAccounts, R"({"name":"admin-service"})", root).status == 409);
  const Seen made = bench.post(kAccounts, R"({"name":"other"})", root);
  CHECK(bench
            .send(Method::put, kAccounts + made["id"],
                  {.body = R"({"name":"admin-service"})", .token = root})
            .status == 409);
}

TEST_CASE("a suspended account gets no token until it is active again") {
  Bench bench;
  const std::string root = bench.root_token();
  const Seen made = bench.post(kAccounts, R"({"name":"reports"})", root);
  const auto set = [&](const std::string& body) {
    return bench.send(Method::put, kAccounts + made["id"], {.body = body, .token = root});
  };
  CHECK(set(R"({"status":"suspended","rate_limit":7,"role":"readonly"})")["status"] == "SUSPENDED");
  CHECK(bench.token_for("reports", made["client_secret"]).status == 401);
  CHECK(set(R"({"status":"active"})")["rate_limit"] == "7");
  const Seen token = bench.token_for("reports", made["client_secret"]);
  REQUIRE(token.status == 200);
  CHECK(must(auth::take_apart(token["access_token"])).claims.role == "READONLY");
  CHECK(set(R"({"role":"emperor"})").status == 422);
  CHECK(set(R"({"rate_limit":0})").status == 422);
}

TEST_CASE("a secret that was rotated or has expired is none") {
  Bench bench;
  const std::string root = bench.root_token();
  const Seen made = bench.post(kAccounts, R"({"name":"reports"})", root);
  const Seen rotated = bench.post(kAccounts + made["id"] + "/rotate-secret", "", root);
  CHECK(rotated.status == 200);
  CHECK(bench.token_for("reports", made["client_secret"]).status == 401);
  CHECK(bench.token_for("reports", rotated["client_secret"]).status == 200);
  bench.clock.advance(std::chrono::hours(24 * 90));
  CHECK(bench.token_for("reports", rotated["client_secret"]).status == 401);
  CHECK(bench.token_for("admin-service", "Test-Password123").status == 200);
}

TEST_CASE("an account can be deleted, one of the system cannot") {
  Bench bench;
  const std::string root = bench.root_token();
  const Seen made = bench.post(kAccounts, R"({"name":"reports"})", root);
  const auto remove = [&](const std::string& id) {
    return bench.send(Method::del, kAccounts + id, {.token = root}).status;
  };
  CHECK(remove(made["id"]) == 204);
  CHECK(remove(made["id"]) == 404);
  CHECK(bench.get(kAccounts + made["id"], root).status == 404);
  CHECK(bench.token_for("reports", made["client_secret"]).status == 401);
  const auto claims = must(auth::take_apart(bench.service_token())).claims;
  CHECK(remove(claims.subject) == 403);
}

TEST_CASE("accounts are for people who may, and the answer comes before anything is looked at") {
  Bench bench;
  const std::string service = bench.service_token();
  const Seen seen = bench.get(kAccounts, service);
  CHECK(seen.status == 403);
  CHECK(seen["detail"] == "Invalid token type: expected admin_user, got service_account");
  CHECK(bench.get(kAccounts + "no-such-id", service).status == 403);
  CHECK(bench.get(kAccounts, "").status == 401);
}

TEST_CASE("an initial account is made once, and what became of it since stays") {
  Bench bench;
  const std::string root = bench.root_token();
  const auto claims = must(auth::take_apart(bench.service_token())).claims;
  bench.send(Method::put, kAccounts + claims.subject,
             {.body = R"({"status":"suspended"})", .token = root});
  bench.reopen();
  CHECK(bench.token_for("admin-service", "Test-Password123").status == 401);
  CHECK(bench.get(kAccounts, root)["total"] == "1");
}

TEST_CASE("an initial account keeps its name, by which a start knows that it is there") {
  Bench bench;
  const std::string root = bench.root_token();
  const std::string id = must(auth::take_apart(bench.service_token())).claims.subject;
  const auto rename = [&](const std::string& name) {
    return bench.send(
        Method::put, kAccounts + id,
        {.body = R"({"name":")" + name + R"(","description":"mine"})", .token = root});
  };
  CHECK(bench.post(kAccounts + id + "/rotate-secret", "", root).status == 200);
  const Seen refused = rename("operations");
  CHECK(refused.status == 403);
  CHECK(refused["detail"] == "System service accounts cannot be renamed");
  CHECK(bench.get(kAccounts + id, root)["description"] != "mine");
  CHECK(rename("admin-service")["description"] == "mine");
  bench.reopen();
  CHECK(bench.get(kAccounts, root)["total"] == "1");
  CHECK(bench.token_for("admin-service", "Test-Password123").status == 401);
}

TEST_CASE("the role of an account is one of five, in any case of letters") {
  CHECK(must(account_role("operator")) == "OPERATOR");
  CHECK(must(account_role("Admin")) == "ADMIN");
  const auto refused = account_role("ADMINS");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::invalid_argument);
  CHECK(refused.error().message.find("ADMIN, OPERATOR, USER, AUDITOR, READONLY") !=
        std::string::npos);
}

TEST_CASE("tables of another program are refused with what to do, and left as they are") {
  const test::TempDir dir;
  const test::FakeClock clock;
  const Deps deps{.clock = &clock};
  Options options = quick_options();
  options.database = server_database().value_or("sqlite://" + (dir / "admin.db"));
  must(db::Database::open(options.database, "test", make_original, deps, {}));
  for (int i = 0; i < 2; ++i) {
    const auto admin = Admin::open(options, deps, Outside(), {});
    REQUIRE_FALSE(admin);
    CHECK(admin.error().code == Errc::unsupported);
    CHECK(admin.error().message.find("'service_accounts'") != std::string::npos);
    CHECK(admin.error().message.find("create a database of its own") != std::string::npos);
  }
  must(db::Database::open(options.database, "test", look_at_original, deps, {}));
}

TEST_SUITE_END();

}  // namespace artcache::admin
