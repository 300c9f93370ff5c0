// SPDX-License-Identifier: Apache-2.0
#include "auth/guard.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tokens.hpp"

namespace artcache::auth {
namespace {

struct Door {
  test::FakeClock clock;
  KeyRing ring;
  Verifier verifier{ring, clock};
  Gate gate;

  explicit Door(GateOptions options = {})
      : gate(verifier, Deps{.clock = &clock}, std::move(options)) {
    REQUIRE(ring.set({our_key().public_key()}));
  }

  [[nodiscard]] std::string token(std::string_view role, std::string_view kind = "service_account",
                                  std::uint32_t rate_limit = 0) const {
    Claims claims = sample_claims(clock.now());
    claims.role = role;
    claims.kind = kind;
    claims.rate_limit = rate_limit;
    return must(mint(claims, our_key()));
  }

  std::optional<http::Problem> ask(const Rule& rule, std::string authorization) {
    http::Request request;
    if (!authorization.empty()) request.headers.add("authorization", std::move(authorization));
    auto problem = gate.guard(rule)(request);
    CHECK(request.identity.has_value() != problem.has_value());
    return problem;
  }
  std::optional<http::Problem> with(const Rule& rule, const std::string& token) {
    return ask(rule, "Bearer " + token);
  }
};

}  // namespace

TEST_SUITE_BEGIN("guard");

TEST_CASE("without a token it is 401, not authenticated, and how to be") {
  Door door;
  for (const char* header : {"", "Basic YTpi", "Bearer", "Bearer ", "Bearer    ", "Bearerx", "x"}) {
    const auto problem = door.ask({}, header);
    REQUIRE(problem);
    CHECK(problem->status == 401);
    CHECK(problem->detail == "Not authenticated");
    CHECK(problem->headers.find("WWW-Authenticate") == "Bearer");
  }
}

TEST_CASE("a token that is bad or expired is 401, and says no more") {
  Door door;
  const std::string token = door.token("admin");
  CHECK_FALSE(door.with({}, token));
  for (const std::string& bad : {token + "x", std::string("a.b.c"), token + " " + token,
                                 must(mint(sample_claims(), other_key()))}) {
    const auto problem = door.with({}, bad);
    REQUIRE(problem);
    CHECK(problem->status == 401);
    CHECK(problem->detail == "Invalid or expired token");
  }
  door.clock.advance(std::chrono::hours(1));
  CHECK(door.with({}, token)->status == 401);
}

TEST_CASE("the scheme may be written in any case, with blanks around the token") {
  Door door;
  CHECK_FALSE(door.ask({}, "bearer " + door.token("admin")));
  CHECK_FALSE(door.ask({}, "BEARER   " + door.token("admin") + " "));
}

TEST_CASE("the words of a refusal are those of the role") {
  Door door({.wording = {.missing = "Authorization header missing",
                         .wrong_scheme = "Invalid authorization header format",
                         .invalid = "Invalid token",
                         .expired = "Token expired"}});
  const std::string token = door.token("admin");
  CHECK(door.ask({}, "")->detail == "Authorization header missing");
  CHECK(door.ask({}, "Basic x")->detail == "Invalid authorization header format");
  CHECK(door.with({}, "x")->detail == "Invalid token");
  door.clock.advance(std::chrono::hours(1));
  CHECK(door.with({}, token)->detail == "Token expired");
}

TEST_CASE("roles compare without case, and one that nobody knows gets nothing") {
  Door door;
  const Rule rule{.roles = {"admin", "operator"}};
  CHECK_FALSE(door.with(rule, door.token("ADMIN")));
  CHECK_FALSE(door.with(rule, door.token("Operator")));
  const auto user = door.with(rule, door.token("user"));
  REQUIRE(user);
  CHECK(user->status == 403);
  CHECK(user->detail == "Required role: admin or operator");
  for (const char* role : {"root", "administrator", "admin ", "*", "admin,user"})
    CHECK(door.with({}, door.token(role))->status == 403);
}

TEST_CASE("service accounts and people are told apart") {
  Door door;
  const Rule accounts{.callers = Callers::service_accounts, .denial = "Service account access"};
  const Rule people{.callers = Callers::people};
  CHECK_FALSE(door.with(accounts, door.token("user")));
  CHECK(door.with(accounts, door.token("admin", "admin_user"))->detail == "Service account access");
  CHECK_FALSE(door.with(people, door.token("admin", "admin_user")));
  CHECK(door.with(people, door.token("admin"))->detail ==
        "Invalid token type: expected admin_user, got service_account");
}

TEST_CASE("a refresh token opens nothing") {
  Door door;
  for (const char* kind : {"refresh", "root", "Service_Account"})
    CHECK(door.with({}, door.token("admin", kind))->status == 401);
}

TEST_CASE("the handler learns who calls") {
  Door door;
  http::Request request;
  request.headers.add("Authorization", "Bearer " + door.token("ADMIN"));
  REQUIRE_FALSE(door.gate.guard({})(request));
  CHECK(request.identity->role == "admin");
  CHECK(request.identity->id == sample_claims().subject);
  CHECK(request.identity->client_id == sample_claims().client_id);
}

TEST_CASE("an account beyond its limit waits, others do not") {
  Door door({.limits = RateLimits::on});
  const std::string token = door.token("user", "service_account", 3);
  const http::Route route = door.gate.protect(
      {.pattern = "/", .handler = [](http::Request&) { return http::Response{}; }}, {});
  for (int left = 2; left >= 0; --left) {
    http::Request request;
    request.headers.add("Authorization", "Bearer " + token);
    REQUIRE_FALSE(route.guard(request));
    http::Reply reply = route.handler(request);
    CHECK(reply.response()->headers.find("X-RateLimit-Limit") == "3");
    CHECK(reply.response()->headers.find("X-RateLimit-Remaining") == std::to_string(left));
  }
  const auto problem = door.with({}, token);
  REQUIRE(problem);
  CHECK(problem->status == 429);
  CHECK(problem->headers.find("Retry-After") == "20");
  CHECK(problem->headers.find("X-RateLimit-Remaining") == "0");
  CHECK(problem->headers.find("X-RateLimit-Reset") ==
        std::to_string(test::FakeClock::kStart.micros() / 1'000'000 + 60));
  door.clock.advance(std::chrono::seconds(20));
  CHECK_FALSE(door.with({}, token));
  CHECK(door.with({}, token)->status == 429);
}

TEST_CASE("limits are off unless they were asked for") {
  Door door;
  const std::string token = door.token("user", "service_account", 1);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(door.with({}, token));
}

TEST_CASE("any number of callers fits into the room of a limiter") {
  test::FakeClock clock;
  Limiter limiter(clock, 10);
  CHECK(limiter.take("first", 1).allowed);
  CHECK_FALSE(limiter.take("first", 1).allowed);
  for (int i = 0; i < 8; ++i) CHECK(limiter.take("early" + std::to_string(i), 600).allowed);
  clock.advance(std::chrono::seconds(1));
  // Those that have rested make room; who still owes is not forgotten.
  for (int i = 0; i < 5; ++i) CHECK(limiter.take("late" + std::to_string(i), 1).allowed);
  CHECK_FALSE(limiter.take("first", 1).allowed);
  CHECK(limiter.look("nobody", 7).remaining == 7);
}

TEST_SUITE_END();

}  // namespace artcache::auth
