// SPDX-License-Identifier: Apache-2.0
// What the ingester knows of elements, on servers that answer when the test wants them to.
#include "roles/ingester/elements.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <new>
#include <optional>
#include <stop_token>
#include <thread>

#include "roles/ingester/sources.hpp"
#include "support/fake_clock.hpp"
#include "support/kept_log.hpp"
#include "support/scripted_http.hpp"

namespace artcache::ingester {
namespace {

using namespace std::chrono_literals;
using test::http_answer;
using test::ScriptedHttp;
using Urls = std::vector<std::string>;

std::string info(const std::string& id, const std::string& mode) {
  return R"({"element_id":")" + id + R"(","mode":")" + mode +
         R"(","priority":1,"capacity_bytes":100,"used_bytes":0,"status":"operational"})";
}

ElementSource naming(Urls urls) {
  return {.name = "test", .addresses = [urls](const Call&) -> Result<Urls> { return urls; }};
}

/// Opened once, for all who wait.
class Gate {
 public:
  void open() {
    if (!opened_.exchange(true)) promise_.set_value();
  }
  void pass() const { future_.wait(); }

 private:
  std::atomic<bool> opened_ = false;
  std::promise<void> promise_;
  std::shared_future<void> future_ = promise_.get_future().share();
};

}  // namespace

TEST_SUITE("ingester elements") {
  TEST_CASE("no element is shown before all were asked once") {
    Gate decided, asked, answer;
    std::atomic<int> late = -1;
    const auto script = [&](int number) {
      return [&, number](const test::HttpRequest&) {
        decided.pass();
        if (number == late) {
          asked.open();
          answer.pass();
        }
        return http_answer(200, info("se-0" + std::to_string(number), "edit"));
      };
    };
    ScriptedHttp one(script(1)), two(script(2));
    // They are asked in the order of their addresses.
    late = one.origin() < two.origin() ? 2 : 1;
    decided.open();
    web::HttpClient http({});
    Elements elements({.poll_every = 1h, .poll_most = 1h}, {naming({one.origin(), two.origin()})},
                      http, {});
    elements.start();
    asked.pass();
    CHECK(elements.now().empty());
    CHECK_FALSE(elements.find(late == 2 ? "se-01" : "se-02"));
    CHECK_FALSE(elements.complete());
    answer.open();
    elements.refresh({});  // waits for the round that goes on
    CHECK(elements.now().size() == 2);
    CHECK(elements.complete());
  }

  TEST_CASE("news from a source has the elements asked again at once") {
    std::atomic<bool> moved = false;
    Gate first, again;
    ScriptedHttp server([&](const test::HttpRequest&) {
      (moved ? again : first).open();
      return http_answer(200, info("se-01", moved ? "ro" : "edit"));
    });
    std::mutex mutex;
    std::condition_variable_any changed;
    bool news = false;
    ElementSource source = naming({server.origin()});
    source.listen = [&](const ElementSource::News& tell, const Call& call) -> Result<void> {
      std::unique_lock lock(mutex);
      while (changed.wait(lock, call.stop, [&] { return news; })) {
        news = false;
        tell();
      }
      return Error{Errc::cancelled, "test: it ends"};
    };
    web::HttpClient http({});
    Elements elements({.poll_every = 1h, .poll_most = 1h}, {source}, http, {});
    elements.start();
    first.pass();
    elements.refresh({});  // waits for the round that goes on
    REQUIRE(elements.find("se-01"));
    CHECK(elements.find("se-01")->mode == ElementMode::edit);
    moved = true;
    {
      const std::scoped_lock lock(mutex);
      news = true;
    }
    changed.notify_all();
    again.pass();
    while (elements.find("se-01")->mode != ElementMode::ro) std::this_thread::yield();
  }

  TEST_CASE("while a slow source is asked the others go by what is known, if it is not too old") {
    test::FakeClock clock;
    ScriptedHttp one(
        [](const test::HttpRequest&) { return http_answer(200, info("se-01", "rw")); });
    ScriptedHttp two(
        [](const test::HttpRequest&) { return http_answer(200, info("se-02", "rw")); });
    Urls urls{one.origin()};
    std::optional<std::promise<void>> asked, answer;
    ElementSource source{.name = "test", .addresses = [&](const Call&) -> Result<Urls> {
                           if (asked) asked->set_value();
                           if (answer) answer->get_future().wait();
                           return urls;
                         }};
    web::HttpClient http({}, clock);
    Elements elements({.known_most = 60s}, {source}, http, {.clock = &clock});
    const auto count_after_refresh = [&] {
      elements.refresh({});
      return elements.now().size();
    };
    CHECK(count_after_refresh() == 1);
    for (const bool too_old : {false, true}) {
      clock.advance(too_old ? 61s : 2s);
      urls = {one.origin()};
      if (too_old) urls.push_back(two.origin());
      asked.emplace();
      answer.emplace();
      auto first = std::async(std::launch::async, count_after_refresh);
      asked->get_future().wait();
      if (too_old) {
        auto second = std::async(std::launch::async, count_after_refresh);
        answer->set_value();
        CHECK(second.get() == 2);
      } else {
        CHECK(count_after_refresh() == 1);  // and does not wait
        answer->set_value();
      }
      CHECK(first.get() == urls.size());
    }
  }

  TEST_CASE("who waits for its turn to ask waits no longer than its call") {
    test::FakeClock clock;
    std::promise<void> asked, answer;
    ElementSource source{.name = "test", .addresses = [&](const Call&) -> Result<Urls> {
                           asked.set_value();
                           answer.get_future().wait();
                           return Urls();
                         }};
    web::HttpClient http({});
    Elements elements({}, {source}, http, {.clock = &clock});
    auto first = std::async(std::launch::async, [&] { elements.refresh({}); });
    asked.get_future().wait();
    std::stop_source stop;
    Call call;
    call.stop = stop.get_token();
    auto second = std::async(std::launch::async, [&] { elements.refresh(call); });
    stop.request_stop();
    second.get();
    CHECK(elements.now().empty());
    answer.set_value();
    first.get();
  }

  TEST_CASE("a round that ends with an exception gives the turn to the next") {
    bool broken = true;
    ElementSource source{.name = "test", .addresses = [&](const Call&) -> Result<Urls> {
                           if (broken) throw std::bad_alloc();
                           return Urls();
                         }};
    web::HttpClient http({});
    Elements elements({}, {source}, http, {});
    CHECK_THROWS_AS(elements.refresh({}), std::bad_alloc);
    broken = false;
    elements.refresh({});
    CHECK(elements.complete());
  }

  TEST_CASE("it stops while somebody else asks") {
    std::promise<void> asked, answer;
    ElementSource source{.name = "test", .addresses = [&](const Call&) -> Result<Urls> {
                           asked.set_value();
                           answer.get_future().wait();
                           return Urls();
                         }};
    web::HttpClient http({});
    Elements elements({}, {source}, http, {});
    auto first = std::async(std::launch::async, [&] { elements.refresh({}); });
    asked.get_future().wait();
    elements.start();  // it waits for its turn
    elements.stop();
    answer.set_value();
    first.get();
  }

  TEST_CASE("what is known is not all while a source has never said anything") {
    test::FakeClock clock;
    bool away = true;
    ElementSource source{.name = "test", .addresses = [&](const Call&) -> Result<Urls> {
                           if (away) return Error{Errc::unavailable, "test: away"};
                           return Urls();
                         }};
    web::HttpClient http({});
    Elements elements({}, {source}, http, {.clock = &clock});
    elements.refresh({});
    CHECK_FALSE(elements.complete());
    away = false;
    clock.advance(2s);
    elements.refresh({});
    CHECK(elements.complete());
    away = true;
    clock.advance(2s);
    elements.refresh({});
    CHECK(elements.complete());
  }

  TEST_CASE("the log says once why a source names no elements, and once that it does again") {
    test::KeptLog log;
    test::FakeClock clock;
    std::atomic<bool> away = true;
    const ElementSource source{.name = "admin", .addresses = [&](const Call&) -> Result<Urls> {
                                 if (away) return Error{Errc::unavailable, "401 to the account"};
                                 return Urls();
                               }};
    web::HttpClient http({});
    const Deps deps{.clock = &clock, .logger = &log};
    Elements elements({.poll_every = 1h}, {source}, http, deps);
    CHECK(elements.sources().front().state.empty());
    const auto look = [&] {
      clock.advance(2s);
      elements.refresh({});
    };
    const std::string gone =
                          "WARNING: Who names storage elements does not; those that were known "
                          "count | source=admin reason=\"unavailable: 401 to the account\"",
                      back = "INFO: Storage elements are named again | source=admin";
    for (int i = 0; i < 3; ++i) look();
    CHECK(log.count(gone) == 1);
    CHECK(elements.sources().front().state == "unavailable");
    away = false;
    for (int i = 0; i < 3; ++i) look();
    CHECK(log.count(back) == 1);
    CHECK(elements.sources().front().state == "ok");
    away = true;
    look();
    CHECK(log.count(gone) == 2);
  }

  TEST_CASE("that an element is still there is no news; what cannot be read is") {
    CHECK_FALSE(is_news(R"({"event":"storage_element_config_updated","action":"scheduled"})"));
    CHECK(is_news(R"({"action":"updated"})"));
    CHECK(is_news(R"({"action":7})"));
    CHECK(is_news("{}"));
    CHECK(is_news("scheduled"));
  }

  TEST_CASE("an element that never answered is missing") {
    ScriptedHttp one(
        [](const test::HttpRequest&) { return http_answer(200, info("se-01", "rw")); });
    ScriptedHttp two([](const test::HttpRequest&) { return http_answer(503); });
    web::HttpClient http({});
    Elements elements({.poll_most = 1h}, {naming({one.origin(), two.origin()})}, http, {});
    elements.refresh({});
    CHECK(elements.now().size() == 1);
    CHECK_FALSE(elements.complete());
  }
}

}  // namespace artcache::ingester
