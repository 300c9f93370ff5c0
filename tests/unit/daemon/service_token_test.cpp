// SPDX-License-Identifier: Apache-2.0
#include "common/service_token.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/fake_clock.hpp"
#include "unit/daemon/serving.hpp"

namespace artcache {
namespace {

using namespace std::chrono_literals;

constexpr const char* kGood = R"({"access_token":"good","expires_in":1000})";

/// An admin that says nothing before it is told to, and a role that asks it for tokens.
class Stand {
 public:
  Stand() {
    const auto added = site_.add({.method = http::Method::post,
                                  .pattern = "/api/v1/auth/token",
                                  .handler = [this](http::Request&) { return give(); }});
    REQUIRE(added);
    serving_ = std::make_unique<http::Serving>(site_);
    const std::string address = "http://127.0.0.1:" + std::to_string(serving_->port());
    token = std::make_unique<ServiceToken>(
        ServiceAccount{
            .admin = [address] { return address; }, .client_id = "x", .secret = "y", .site = "z"},
        http_, Deps{.clock = &clock});
  }
  ~Stand() { speak(); }
  Stand(const Stand&) = delete;
  Stand& operator=(const Stand&) = delete;

  void wait_until_asked() const { asked.wait(0); }
  void speak() {
    silent = false;
    silent.notify_all();
  }

  test::FakeClock clock;
  std::atomic<bool> silent = false;
  std::atomic<int> asked = 0, status = 200;
  std::unique_ptr<ServiceToken> token;

 private:
  http::Reply give() {
    ++asked;
    asked.notify_all();
    silent.wait(true);
    return http::json_response(status, kGood);
  }

  http::Site site_{"admin"};
  std::unique_ptr<http::Serving> serving_;
  web::HttpClient http_{{}, clock};
};

std::vector<Result<std::string>> all_at_once(Stand& stand) {
  std::vector<Result<std::string>> out(8, Error{Errc::internal, "not asked"});
  std::vector<std::thread> callers;
  stand.silent = true;
  for (auto& one : out) callers.emplace_back([&] { one = stand.token->get({}); });
  stand.wait_until_asked();
  stand.speak();
  for (std::thread& one : callers) one.join();
  return out;
}

}  // namespace

TEST_SUITE_BEGIN("service token");

TEST_CASE("many who need a token at once share one") {
  Stand stand;
  for (const auto& one : all_at_once(stand)) {
    REQUIRE(one);
    CHECK(*one == "good");
  }
  CHECK(stand.asked == 1);
}

TEST_CASE("many who need a token at once share what is wrong, and soon one asks again") {
  Stand stand;
  stand.status = 503;
  for (const auto& one : all_at_once(stand)) {
    REQUIRE_FALSE(one);
    CHECK(one.error().code == Errc::unavailable);
  }
  CHECK(stand.asked == 1);
  stand.status = 200;
  CHECK_FALSE(stand.token->get({}));
  stand.clock.advance(500ms);
  CHECK(stand.token->get({}));
}

TEST_CASE("who waits for the question of another one may stop waiting") {
  Stand stand;
  stand.silent = true;
  std::jthread asker([&] { CHECK(stand.token->get({})); });
  stand.wait_until_asked();
  std::stop_source stop;
  Call call;
  call.stop = stop.get_token();
  std::jthread stopper([&] { stop.request_stop(); });
  const auto given_up = stand.token->get(call);
  CHECK(stand.silent);
  stand.speak();
  REQUIRE_FALSE(given_up);
  CHECK(given_up.error().code == Errc::cancelled);
}

TEST_CASE("a token is renewed before it ends, and the old one given meanwhile") {
  Stand stand;
  REQUIRE(stand.token->get({}));
  stand.clock.advance(799s);
  REQUIRE(stand.token->get({}));
  CHECK(stand.asked == 1);
  stand.clock.advance(1s);
  stand.asked = 0;
  stand.silent = true;
  std::jthread asker([&] { CHECK(stand.token->get({})); });
  stand.wait_until_asked();
  CHECK(stand.token->get({}));
  CHECK(stand.silent);
  stand.speak();
}

TEST_SUITE_END();

}  // namespace artcache
