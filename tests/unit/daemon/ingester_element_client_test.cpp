// SPDX-License-Identifier: Apache-2.0
// What the ingester makes of the answers of an element, on one that answers what a test says.
#include "roles/ingester/element_client.hpp"

#include <doctest/doctest.h>

#include <atomic>

#include "support/fake_clock.hpp"
#include "support/scripted_http.hpp"

namespace artcache::ingester {
namespace {

using test::http_answer;

const FileId kFile = FileId::parse("00000000-0000-4000-8000-000000000001").value();

/// An element, and an admin that gives a token for it.
class Stand {
 public:
  Errc change(int status) {
    status_ = status;
    const auto done = client_.change(server_.origin(), kFile, "{}", {}, {});
    REQUIRE_FALSE(done);
    CHECK(done.error().message.find("why") != std::string::npos);
    return done.error().code;
  }

  /// Of one that has changed since.
  Errc change_seen() {
    status_ = 412;
    return client_.change(server_.origin(), kFile, "{}", "\"t\"", {}).error().code;
  }
  Errc collect_seen() {
    status_ = 412;
    return client_.collect(server_.origin(), kFile, "test", "\"t\"", {}).error().code;
  }

 private:
  test::HttpAnswer answer(const test::HttpRequest& request) {
    if (request.target == "/api/v1/auth/token")
      return http_answer(200, R"({"access_token":"good","expires_in":1000})");
    return http_answer(status_, R"({"detail":"why"})");
  }

  std::atomic<int> status_ = 0;
  test::FakeClock clock_;
  test::ScriptedHttp server_{[this](const test::HttpRequest& request) { return answer(request); }};
  web::HttpClient http_{{}};
  ServiceToken token_{
      {.admin = [this] { return server_.origin(); }, .client_id = "x", .secret = "y", .site = "z"},
      http_,
      {.clock = &clock_}};
  ElementClient client_{http_, token_};
};

}  // namespace

TEST_SUITE("ingester element client") {
  TEST_CASE("what an element refuses is told apart from what it may do the next time") {
    Stand stand;
    CHECK(stand.change(400) == Errc::invalid_argument);
    CHECK(stand.change(403) == Errc::invalid_argument);
    for (const int passing : {409, 429, 500, 503})
      CHECK(stand.change(passing) == Errc::unavailable);
    CHECK(stand.change_seen() == Errc::busy);
    CHECK(stand.collect_seen() == Errc::busy);
  }
}

}  // namespace artcache::ingester
