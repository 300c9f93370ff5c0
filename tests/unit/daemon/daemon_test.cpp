// SPDX-License-Identifier: Apache-2.0
#include "daemon.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "support/http_client.hpp"
#include "support/temp_dir.hpp"

namespace artcache {
namespace {

using test::get;

/// Says who it is, and is as well as its setting says.
class Parrot final : public Role {
 public:
  explicit Parrot(RoleContext context) : context_(std::move(context)), site_(context_.instance) {
    const auto added = site_.add({.pattern = "/name", .handler = [this](http::Request&) {
                                    return http::Response{.body = context_.instance + " at " +
                                                                  context_.addresses("p2")};
                                  }});
    REQUIRE(added);
  }
  http::Site& site() override { return site_; }
  std::vector<HealthPart> health(const Call& call) override {
    if (call.remaining() > std::chrono::seconds(1))
      return {{.name = "voice", .state = "asked without a bound", .works = false}};
    const bool works = context_.settings->flag("works");
    return {{.name = "voice", .state = works ? "ok" : "hoarse", .works = works}};
  }

 private:
  const RoleContext context_;
  http::Site site_;
};

Result<std::unique_ptr<Role>> make_parrot(const RoleContext& context) {
  if (context.instance == "mute") return Error{Errc::unavailable, "voice: none"};
  return std::unique_ptr<Role>(std::make_unique<Parrot>(context));
}

constexpr config::Setting kSettings[] = {
    {.name = "works", .variable = "WORKS", .kind = config::Kind::flag, .fallback = "on"}};
constexpr RoleKind kParrot{
    .name = "parrot", .instance = "p1", .port = 0, .settings = kSettings, .make = make_parrot};
constexpr const RoleKind* kKinds[] = {&kParrot};

config::Plan plan(const test::TempDir& dir, std::vector<std::string> roles,
                  std::vector<std::string> flags = {}) {
  flags.push_back("daemon.data=" + dir.path());
  auto made = config::make_plan(
      kKinds,
      {.file = {}, .environment = {}, .roles = std::move(roles), .flags = std::move(flags)});
  REQUIRE(made);
  return *std::move(made);
}

TEST_SUITE("daemon") {
  TEST_CASE("each role has its port, its health and the numbers of the process") {
    const test::TempDir dir;
    const auto made = plan(dir, {"parrot", "parrot.p2"}, {"parrot.p2.works=off"});
    MetricsRegistry metrics;
    Deps deps;
    deps.metrics = &metrics;
    const Backends backends;
    std::stop_source stop;
    Call call;
    call.stop = stop.get_token();
    Daemon daemon(made, deps, metrics, backends);
    REQUIRE(daemon.open(call));
    REQUIRE(daemon.ports().size() == 2);
    std::thread thread([&] { static_cast<void>(daemon.run(call)); });
    test::RawClient first(daemon.ports().at("p1")), second(daemon.ports().at("p2"));
    CHECK(first.ask(get("/name")).body ==
          "p1 at http://127.0.0.1:" + std::to_string(daemon.ports().at("p2")));
    CHECK(first.ask(get("/health/live")).body.find(R"("checks":{"process":"running"})") !=
          std::string::npos);
    CHECK(first.ask(get("/health/startup")).body.starts_with(R"({"status":"started",)"));
    CHECK(first.ask(get("/health/metrics")).body.find("http_requests_total") != std::string::npos);
    const auto ready = first.ask(get("/health/ready"));
    CHECK(ready.status == 200);
    CHECK(ready.body.starts_with(R"({"status":"ready","timestamp":")"));
    const auto hoarse = second.ask(get("/health/ready"));
    CHECK(hoarse.status == 503);
    CHECK(hoarse.body.starts_with(R"({"status":"not_ready")"));
    CHECK(hoarse.body.ends_with(R"("checks":{"voice":"hoarse"}})"));
    const auto numbers = second.ask(get("/metrics"));
    CHECK(numbers.field("Content-Type").starts_with("text/plain; version=0.0.4"));
    CHECK(numbers.body.find(
              R"(http_requests_total{site="p1",method="GET",route="/name",status="200"} 1)") !=
          std::string::npos);
    stop.request_stop();
    thread.join();
  }

  TEST_CASE("a role that cannot be made is named, and nothing is served") {
    const test::TempDir dir;
    const auto made = plan(dir, {"parrot", "parrot.mute"});
    const MetricsRegistry metrics;
    const Backends backends;
    Daemon daemon(made, {}, metrics, backends);
    const auto opened = daemon.open({});
    REQUIRE_FALSE(opened);
    CHECK(opened.error().message == "mute: voice: none");
    CHECK(daemon.ports().empty());
  }

  TEST_CASE("a folder in which another daemon works is refused until that one is gone") {
    const test::TempDir dir;
    const auto first = plan(dir, {"parrot"}), both = plan(dir, {"parrot", "parrot.p2"});
    const MetricsRegistry metrics;
    const Backends backends;
    auto holder = std::make_unique<Daemon>(first, Deps{}, metrics, backends);
    REQUIRE(holder->open({}));
    {
      Daemon second(both, {}, metrics, backends);
      const auto refused = second.open({});
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == Errc::busy);
      CHECK(refused.error().message.find("p1: the folder '" + dir / "p1" + "' is held by process " +
                                         std::to_string(::getpid())) == 0);
      CHECK(refused.error().message.find("--data") != std::string::npos);
    }
    // Other instances may have another process.
    const auto other = plan(dir, {"parrot.p2"});
    Daemon beside(other, {}, metrics, backends);
    CHECK(beside.open({}));
    holder.reset();
    Daemon after(first, {}, metrics, backends);
    CHECK(after.open({}));
  }
}

}  // namespace
}  // namespace artcache
