// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <list>
#include <thread>

#include "admin_bench.hpp"
#include "roles/admin/schema.hpp"
#include "support/counted_metrics.hpp"

namespace artcache::admin {
namespace {

using http::Method;

auth::Claims claims_in(const std::string& token) { return must(auth::take_apart(token)).claims; }

std::string key_of(const std::string& token) { return must(auth::take_apart(token)).key_id; }

}  // namespace

TEST_SUITE_BEGIN("admin: tokens");

TEST_CASE("a service account gets a token by its id and by its name") {
  Bench bench;
  for (const char* client : {"sa_prod_admin_service_11710636", "admin-service"}) {
    const Seen seen = bench.token_for(client, "Test-Password123");
    REQUIRE(seen.status == 200);
    CHECK(seen["token_type"] == "Bearer");
    CHECK(seen["expires_in"] == "1800");
    CHECK(seen["issued_at"] == "2026-03-02T10:11:12.000000Z");
    CHECK(seen.headers.find("Cache-Control") == "no-store");
    const auth::Claims claims = claims_in(seen["access_token"]);
    CHECK(claims.kind == "service_account");
    CHECK(claims.role == "ADMIN");
    CHECK(claims.name == "admin-service");
    CHECK(claims.client_id == "sa_prod_admin_service_11710636");
    CHECK(claims.rate_limit == 1000);
    CHECK(claims.expires_at - claims.issued_at == std::chrono::minutes(30));
    CHECK(claims_in(seen["refresh_token"]).kind == "refresh");
  }
}

TEST_CASE("a form is as good as JSON") {
  Bench bench;
  const Seen seen =
      bench.send(Method::post, "/api/v1/auth/token",
                 {.body = "grant_type=client_credentials&client_id=admin-service&"
                          "client_secret=Test%2DPassword123",
                  .content_type = "application/x-www-form-urlencoded; charset=utf-8"});
  CHECK(seen.status == 200);
}

TEST_CASE("wrong credentials are 401 in the words of the original, whatever is wrong") {
  Bench bench;
  for (const auto& [client, secret] :
       {std::pair("admin-service", "wrong"), std::pair("nobody", "Test-Password123"),
        std::pair("ADMIN-SERVICE", "Test-Password123"), std::pair("' OR 1=1 --", "x")}) {
    const Seen seen = bench.token_for(client, secret);
    CHECK(seen.status == 401);
    CHECK(seen.body == R"({"detail":"Invalid client_id or client_secret"})");
    CHECK(seen.headers.find("WWW-Authenticate") == R"(Bearer error="invalid_client")");
    CHECK(seen.headers.find("Cache-Control") == "no-store");
  }
}

TEST_CASE("what is missing or of a wrong type is 422 and named") {
  Bench bench;
  const auto refused = [&](const std::string& body) {
    const Seen seen = bench.post("/api/v1/auth/token", body);
    CHECK_MESSAGE(seen.status == 422, body);
    return seen.body;
  };
  const std::string both = refused("{}");
  CHECK(both.find(R"("client_id")") != std::string::npos);
  CHECK(both.find(R"("client_secret")") != std::string::npos);
  CHECK(refused("").find(R"("missing")") != std::string::npos);
  refused("{");
  refused("[]");
  refused("\xff");
  refused(R"({"client_id":7,"client_secret":"x"})");
  refused(R"({"client_id":"a","client_secret":"x","client_id":"b"})");
  refused(R"({"client_id":"a","client_secret":""})");
  refused(R"({"client_id":"a\u0000","client_secret":"x"})");
  refused(R"({"client_id":"a","client_secret":"x","grant_type":"password"})");
  refused(R"({"client_id":"a","client_secret":")" + std::string(2000, 'x') + R"("})");
}

TEST_CASE("who guesses has to wait, others do not") {
  Options options = quick_options();
  options.token_failures_per_minute = 3;
  Bench bench(options);
  for (int i = 0; i < 3; ++i) CHECK(bench.token_for("admin-service", "guess").status == 401);
  const Seen late = bench.token_for("admin-service", "Test-Password123");
  CHECK(late.status == 429);
  CHECK(late.headers.find("Retry-After").has_value());
  CHECK(late.headers.find("X-RateLimit-Limit") == "3");
  const Seen elsewhere =
      bench.send(Method::post, "/api/v1/auth/token",
                 {.body = R"({"client_id":"admin-service","client_secret":"Test-Password123"})",
                  .peer = "192.0.2.2"});
  CHECK(elsewhere.status == 200);
  bench.clock.advance(std::chrono::minutes(1));
  CHECK(bench.token_for("admin-service", "Test-Password123").status == 200);
}

TEST_CASE("an address gets so many tokens a minute") {
  Options options = quick_options();
  options.token_requests_per_minute = 2;
  Bench bench(options);
  CHECK(
      bench.token_for("admin-service", "Test-Password123").headers.find("X-RateLimit-Remaining") ==
      "1");
  CHECK(bench.token_for("admin-service", "Test-Password123").status == 200);
  CHECK(bench.token_for("admin-service", "Test-Password123").status == 429);
}

TEST_CASE("the key set and the files hold the key that signs") {
  Options options = quick_options();
  const test::TempDir dir;
  options.signing.public_folder = dir / "keys";
  Bench bench(options);
  const std::string kid = key_of(bench.service_token());
  CHECK(bench.get("/api/v1/auth/jwks", "").body.find(kid) != std::string::npos);
  CHECK(bench.get("/.well-known/jwks.json", "").body.find(kid) != std::string::npos);
  auth::KeyRing ring;
  auth::KeyFiles files(ring, {});
  REQUIRE(files.take(auth::read_key_files(dir / "keys")));
  auth::Verifier verifier(ring, bench.clock);
  CHECK(verifier.verify(bench.service_token()));
}

TEST_CASE("a key file that lost its text in a power cut is written anew") {
  const test::TempDir dir;
  Options options = quick_options();
  options.signing.public_folder = dir / "keys";
  Bench bench(options);
  const std::filesystem::path file = std::filesystem::directory_iterator(dir / "keys")->path();
  for (const char* text : {"", "-----BEGIN PUBLIC KEY-----\n"}) {
    std::ofstream(file, std::ios::trunc) << text;
    must(bench.admin().reload());
    auth::KeyRing ring;
    auth::KeyFiles files(ring, {});
    CHECK(files.take(auth::read_key_files(dir / "keys")));
    CHECK(std::filesystem::directory_iterator(dir / "keys")->path() == file);
  }
}

TEST_CASE("after a rotation new tokens have a new key and old ones hold until they expire") {
  Options options = quick_options();
  const test::TempDir dir;
  options.signing.public_folder = dir / "keys";
  Bench bench(options);
  const std::string old = bench.service_token();
  const Seen rotated = bench.post("/api/v1/jwt-keys/rotate", "", old);
  CHECK(rotated.status == 200);
  CHECK(rotated.body.find("PRIVATE") == std::string::npos);
  const std::string fresh = bench.service_token();
  CHECK(key_of(fresh) != key_of(old));
  CHECK(bench.get("/api/v1/jwt-keys/history", old)["total"] == "2");
  CHECK(bench.get("/api/v1/jwt-keys/active", fresh)["total"] == "1");
  CHECK(bench.get("/api/v1/jwt-keys/status", fresh)["active_keys_count"] == "1");

  bench.reopen();
  CHECK(bench.get("/api/v1/jwt-keys/history", old)["total"] == "2");
  bench.clock.advance(std::chrono::hours(24 * 8));
  bench.reopen();
  CHECK(bench.get("/api/v1/jwt-keys/history", bench.service_token())["total"] == "1");
  CHECK_FALSE(std::filesystem::exists(dir / ("keys/" + key_of(old) + ".pem")));
}

TEST_CASE("of several processes that find the key too old one makes the next") {
  Bench bench;
  test::CountedMetrics metrics;
  const Deps deps{.clock = &bench.clock, .metrics = &metrics};
  const auto database = must(Database::open(bench.database(), "admin", migrate, deps, {}));
  constexpr int kProcesses = 4, kRounds = 3;
  std::list<auth::KeyRing> rings;
  std::list<Signing> all;
  for (int i = 0; i < kProcesses; ++i)
    all.emplace_back(*database, rings.emplace_back(), deps,
                     SigningOptions{.rotate_every = std::chrono::hours(24)});
  for (int round = 1; round <= kRounds; ++round) {
    bench.clock.advance(std::chrono::hours(25));
    {
      std::vector<std::jthread> threads;
      for (Signing& one : all) threads.emplace_back([&one] { CHECK(one.tend({})); });
    }
    for (Signing& one : all) REQUIRE(one.load({}));
    const std::vector<JwtKey> keys = all.front().known();
    CHECK(keys.front().rotation_count == round);
    CHECK(std::ranges::count_if(keys, &JwtKey::is_active) == 1);
  }
  CHECK(metrics.of("jwt_rotation_total success") == kRounds);
  CHECK(metrics.of("jwt_rotation_lock_attempts_total acquired") == kRounds);
  CHECK(metrics.of("jwt_rotation_lock_attempts_total error") == 0);
}

TEST_CASE("keys and accounts are still there after a restart") {
  Bench bench;
  const std::string token = bench.service_token();
  bench.reopen();
  CHECK(bench.get("/api/v1/jwt-keys/status", token).status == 200);
  CHECK(bench.service_token() != token);
}

TEST_CASE("a database in a file is for its owner alone") {
  Bench bench;
  if (!std::filesystem::exists(bench.dir() / "admin.db")) return;  // on a server
  const auto rights = std::filesystem::status(bench.dir() / "admin.db").permissions();
  CHECK((rights & std::filesystem::perms::others_all) == std::filesystem::perms::none);
  CHECK((rights & std::filesystem::perms::group_all) == std::filesystem::perms::none);
}

TEST_CASE("a key that was there before goes on signing") {
  const test::TempDir dir;
  std::ofstream(dir / "private.pem") << auth::our_key().pem();
  Options options = quick_options();
  options.signing.first_key = dir / "private.pem";
  Bench bench(options);
  CHECK(key_of(bench.service_token()) == auth::our_key().public_key().id());
}

TEST_CASE("refresh tokens and forged ones open no route") {
  Bench bench;
  const Seen pair = bench.token_for("admin-service", "Test-Password123");
  for (const std::string& token : {pair["refresh_token"], std::string("a.b.c"),
                                   must(auth::mint(auth::sample_claims(), auth::other_key()))}) {
    const Seen seen = bench.get("/api/v1/jwt-keys/status", token);
    CHECK(seen.status == 401);
    CHECK(seen.body == R"({"detail":"Invalid or expired token"})");
  }
  CHECK(bench.get("/api/v1/jwt-keys/status", "").body == R"({"detail":"Not authenticated"})");
}

TEST_CASE("the trail says who did what, also who failed") {
  Bench bench;
  bench.token_for("admin-service", "wrong");
  const std::string token = bench.service_token();
  bench.post("/api/v1/jwt-keys/rotate", "", token);
  const Seen all = bench.get("/api/v1/audit-log", token);
  CHECK(all["total"] == "3");
  const Seen failed = bench.get("/api/v1/audit-log?action=token.create&limit=1&skip=1", token);
  CHECK(failed["total"] == "2");
  CHECK(failed.body.find(R"("status":401,"success":false,"request_id":"request-7")") !=
        std::string::npos);
  CHECK(failed.body.find("wrong") == std::string::npos);
  CHECK(bench.get("/api/v1/audit-log?actor=admin-service&action=jwt_key.rotate", token)["total"] ==
        "1");
  CHECK(bench.get("/api/v1/audit-log?until=2026-03-02T10:00:00Z", token)["total"] == "0");
  CHECK(bench.get("/api/v1/audit-log?since=2026-03-02T10:00:00Z", token)["total"] == "3");
  CHECK(bench.get("/api/v1/audit-log?since=yesterday", token).status == 422);
  CHECK(bench.get("/api/v1/audit-log?limit=0", token).status == 422);
}

TEST_SUITE_END();

}  // namespace artcache::admin
