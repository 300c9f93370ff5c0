// SPDX-License-Identifier: Apache-2.0
#include "http/server.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <future>
#include <iterator>
#include <mutex>
#include <semaphore>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/temp_dir.hpp"
#include "unit/daemon/serving.hpp"

namespace artcache::http {
namespace {

using namespace std::chrono_literals;
using test::get;
using test::post;

Reply name_of(Request& request) {
  return Response{.body = std::string(request.values.find("n").value_or(""))};
}

void add(Site& site, Route route) { REQUIRE(site.add(std::move(route))); }

TEST_SUITE("http server") {
  TEST_CASE("requests that are sent ahead are answered in order") {
    Site site("s");
    add(site, {.pattern = "/at/{n}", .handler = name_of});
    add(site, {.pattern = "/now/{n}", .quick = name_of});
    const Serving serving(site);
    auto client = serving.client();
    std::string all;
    for (int i = 0; i < 200; ++i) all += get((i % 3 == 0 ? "/now/" : "/at/") + std::to_string(i));
    REQUIRE(client.send(all));
    for (int i = 0; i < 200; ++i) REQUIRE(client.receive().body == std::to_string(i));
  }

  TEST_CASE("a quick handler that has no answer leaves the request to the other one") {
    Site site("s");
    const QuickHandler quick = [](Request& request) -> std::optional<Reply> {
      if (request.values.find("n") == "2") return std::nullopt;
      return Response{.body = "quick"};
    };
    add(site, {.pattern = "/at/{n}", .handler = name_of, .quick = quick});
    const Serving serving(site);
    auto client = serving.client();
    CHECK(client.ask(get("/at/1")).body == "quick");
    CHECK(client.ask(get("/at/2")).body == "2");
    CHECK(client.ask(get("/at/3")).body == "quick");
  }

  TEST_CASE("a body that is asked for after the connection was cut has ended with an error") {
    Site site("s");
    std::binary_semaphore begun{0}, cut{0};
    std::optional<Errc> got;
    add(site, {.method = Method::post,
               .pattern = "/late",
               .handler = [&](Request& request) -> Reply {
                 begun.release();
                 cut.acquire();
                 std::byte into[16];
                 const auto read = request.body->read(into);
                 if (!read) got = read.error().code;
                 return Response{};
               },
               .body_most = 2 * kReadWhole});
    Serving serving(site, {.grace = 10ms});
    auto client = serving.client();
    REQUIRE(
        client.send("POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                    "Expect: 100-continue\r\n\r\n"));
    begun.acquire();
    serving.begin_stop();
    while (serving.server().status().connections > 0) std::this_thread::yield();
    cut.release();
    serving.stop();
    CHECK(got == Errc::cancelled);
  }

  TEST_CASE("the connection stays open unless one side does not want it") {
    Site site("s");
    add(site, {.pattern = "/at/{n}", .handler = name_of});
    const Serving serving(site);
    auto client = serving.client();
    CHECK(client.ask(get("/at/1")).field("Connection") == "");
    CHECK(client.ask(get("/nowhere")).status == 404);
    CHECK(client.ask(get("/at/2", "Connection: close\r\n")).field("Connection") == "close");
    CHECK(client.ended());
    auto old = serving.client();
    CHECK(old.ask("GET /at/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").body == "3");
    CHECK(old.ask("GET /at/4 HTTP/1.0\r\n\r\n").body == "4");
    CHECK(old.ended());
  }

  TEST_CASE("HEAD has the header of GET and no body, OPTIONS tells what there is") {
    Site site("s");
    site.cors.origins = {"https://a.example"};
    add(site, {.pattern = "/at/{n}", .handler = name_of});
    const Serving serving(site);
    auto client = serving.client();
    REQUIRE(client.send("HEAD /at/four HTTP/1.1\r\nHost: x\r\n\r\n" + get("/at/5")));
    CHECK(client.receive("HEAD").field("Content-Length") == "4");
    CHECK(client.receive().body == "5");
    const auto options = client.ask("OPTIONS /at/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(options.status == 204);
    CHECK(options.field("Allow") == "GET, HEAD, OPTIONS");
    const auto put = client.ask("PUT /at/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    CHECK(put.status == 405);
    CHECK(put.body == R"({"detail":"Method Not Allowed"})");
    const auto asked = client.ask(
        "OPTIONS /at/1 HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n"
        "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: X-Y\r\n\r\n");
    CHECK(asked.field("Access-Control-Allow-Origin") == "https://a.example");
    CHECK(asked.field("Access-Control-Allow-Headers") == "X-Y");
    CHECK(client.ask(get("/at/1", "Origin: https://b.example\r\n"))
              .field("Access-Control-Allow-Origin") == "");
  }

  TEST_CASE("a request keeps its id when that is a plain word, else it is given one") {
    Site site("s");
    add(site, {.pattern = "/id", .handler = [](Request& request) {
                 return Response{.body = request.call.request_id};
               }});
    const Serving serving(site);
    auto client = serving.client();
    const auto mine = client.ask(get("/id", "X-Request-ID: abc-1.2_X\r\n"));
    CHECK(mine.body == "abc-1.2_X");
    CHECK(mine.field("X-Request-ID") == "abc-1.2_X");
    const auto given = client.ask(get("/id", "X-Request-ID: <script>\r\n"));
    CHECK(given.body.size() == 16);
    CHECK(given.field("X-Request-ID") == given.body);
    CHECK(client.ask(get("/id")).body != given.body);
  }

  TEST_CASE("large JSON is compressed for those who take it, and for nobody else") {
    Site site("s");
    add(site, {.pattern = "/json", .handler = [](Request&) {
                 return json_response(200, "\"" + std::string(10'000, 'a') + "\"");
               }});
    const Serving serving(site);
    auto client = serving.client();
    const auto small = client.ask(get("/json", "Accept-Encoding: deflate, gzip;q=0.5\r\n"));
    CHECK(small.field("Content-Encoding") == "gzip");
    CHECK(small.body.size() < 200);
    CHECK(small.body.starts_with("\x1f\x8b"));
    CHECK(client.ask(get("/json", "Accept-Encoding: gzip;q=0\r\n")).body.size() == 10'002);
    CHECK(client.ask(get("/json")).field("Content-Encoding") == "");
  }

  TEST_CASE("a handler that throws costs its request a 500, nothing else") {
    Site site("s");
    add(site, {.pattern = "/throws",
               .handler = [](Request&) -> Reply { throw std::runtime_error("the secret plan"); }});
    add(site, {.pattern = "/drops", .late = [](const Request&, const Answer&) {}});
    const Serving serving(site);
    auto client = serving.client();
    CHECK(client.ask(get("/throws")).body == R"({"detail":"Internal Server Error"})");
    CHECK(client.ask(get("/drops")).status == 500);
    CHECK(client.ask(get("/throws")).status == 500);
  }

  TEST_CASE("a guard speaks before the body is read and before it is told what exists") {
    Site site("s");
    add(site, {.method = Method::post,
               .pattern = "/files",
               .handler = [](Request&) -> Reply { return Response{}; },
               .guard = [](Request& request) -> std::optional<Problem> {
                 if (request.headers.find("Authorization")) return std::nullopt;
                 return Problem{.status = 401, .headers = {{"WWW-Authenticate", "Bearer"}}};
               },
               .body_most = 10});
    const Serving serving(site);
    const auto refused = serving.client().ask(
        "POST /files HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n"
        "Expect: 100-continue\r\n\r\n");
    CHECK(refused.status == 401);
    CHECK(refused.field("WWW-Authenticate") == "Bearer");
    CHECK(serving.client().ask(post("/files", "x", "Authorization: y\r\n")).status == 200);
  }

  TEST_CASE("a full queue answers 503 at once, and is served again when there is room") {
    Site site("s");
    std::counting_semaphore<100> gate{0}, entered{0};
    add(site, {.pattern = "/wait", .handler = [&](Request&) {
                 entered.release();
                 gate.acquire();
                 return Response{};
               }});
    const Serving serving(site, {.workers = 1, .queue_most = 1});
    auto first = serving.client(), second = serving.client(), third = serving.client();
    REQUIRE(first.send(get("/wait")));
    entered.acquire();
    // Which of the two waits and which one is refused is theirs to settle.
    REQUIRE(second.send(get("/wait")));
    REQUIRE(third.send(get("/wait")));
    auto refused = std::async(std::launch::async, [&] { return second.receive(); });
    auto other = std::async(std::launch::async, [&] { return third.receive(); });
    while (refused.wait_for(1ms) != std::future_status::ready &&
           other.wait_for(1ms) != std::future_status::ready) {
    }
    gate.release(2);
    const std::vector answers{refused.get(), other.get()};
    CHECK(answers[0].status + answers[1].status == 703);
    const auto& full = answers[0].status == 503 ? answers[0] : answers[1];
    CHECK(full.field("Retry-After") == "1");
    CHECK(first.receive().status == 200);
  }

  TEST_CASE("a late answer holds no thread, and comes from whichever thread has it") {
    Site site("s");
    std::mutex mutex;
    std::vector<Answer> waiting;
    add(site, {.pattern = "/poll", .late = [&](const Request&, Answer answer) {
                 const std::scoped_lock held(mutex);
                 waiting.push_back(std::move(answer));
               }});
    add(site, {.pattern = "/count", .handler = [&](Request&) {
                 const std::scoped_lock held(mutex);
                 return Response{.body = std::to_string(waiting.size())};
               }});
    const Serving serving(site, {.workers = 1});
    std::vector<test::RawClient> clients;
    for (int i = 0; i < 50; ++i) {
      clients.push_back(serving.client());
      REQUIRE(clients.back().send(get("/poll")));
    }
    while (serving.client().ask(get("/count")).body != "50") {
    }
    std::thread elsewhere([&] {
      const std::scoped_lock held(mutex);
      for (const Answer& answer : waiting) answer(Response{.body = "now"});
      for (const Answer& answer : waiting) answer(Response{.body = "again"});
      waiting.clear();
    });
    for (auto& client : clients) CHECK(client.receive().body == "now");
    elsewhere.join();
  }

  TEST_CASE("a client that went away stops what runs for it") {
    Site site("s");
    std::binary_semaphore begun{0};
    std::promise<void> stopped;
    add(site, {.pattern = "/long", .handler = [&](Request& request) {
                 begun.release();
                 while (!request.call.stop.stop_requested()) std::this_thread::sleep_for(1ms);
                 stopped.set_value();
                 return Response{};
               }});
    const Serving serving(site);
    {
      auto client = serving.client();
      REQUIRE(client.send(get("/long")));
      begun.acquire();
    }
    stopped.get_future().wait();
  }

  TEST_CASE("a stop lets requests finish, takes no more, and ends") {
    Site site("s");
    std::binary_semaphore begun{0}, go{0};
    add(site, {.pattern = "/long", .handler = [&](Request& request) {
                 begun.release();
                 go.acquire();
                 return Response{.body = request.call.stop.stop_requested() ? "cut" : "done"};
               }});
    Serving serving(site);
    auto idle = serving.client();
    auto client = serving.client();
    REQUIRE(client.send(get("/long")));
    begun.acquire();
    serving.begin_stop();
    CHECK(idle.ended());
    CHECK(serving.client().ask(get("/long")).status == 0);
    go.release();
    const auto answer = client.receive();
    CHECK(answer.body == "done");
    CHECK(answer.field("Connection") == "close");
    serving.stop();
  }

  TEST_CASE("what is not done within the grace is told to stop and cut") {
    Site site("s");
    std::binary_semaphore begun{0};
    add(site, {.pattern = "/long", .handler = [&](Request& request) {
                 begun.release();
                 while (!request.call.stop.stop_requested()) std::this_thread::sleep_for(1ms);
                 return Response{};
               }});
    Serving serving(site, {.grace = 50ms});
    auto client = serving.client();
    REQUIRE(client.send(get("/long")));
    begun.acquire();
    serving.stop();
    CHECK(client.receive().status == 0);
  }

  TEST_CASE("connections beyond the limit are turned away until one of them ends") {
    Site site("s");
    site.limits.connections_most = 2;
    add(site, {.pattern = "/at/{n}", .handler = name_of});
    const Serving serving(site);
    auto first = serving.client();
    {
      auto second = serving.client();
      CHECK(first.ask(get("/at/1")).status == 200);
      CHECK(second.ask(get("/at/1")).status == 200);
      const auto third = serving.client().receive();
      CHECK(third.status == 503);
      CHECK(third.field("Retry-After") == "5");
      CHECK(third.body == R"({"detail":"Too many connections; try again"})");
    }
    // That it has ended the server learns when it comes to it.
    while (serving.client().ask(get("/at/2")).status != 200) std::this_thread::yield();
  }

  TEST_CASE("idle connections end") {
    Site site("s");
    site.limits.connections_most = 1;
    site.limits.idle_timeout = 200ms;
    add(site, {.pattern = "/at/{n}", .handler = name_of});
    const Serving serving(site);
    // They keep their ends: the second is served only if the server has given up the first.
    std::vector<test::RawClient> clients;
    for (int served = 0; served < 2;) {
      // One may be idle for too long before it asks, or ask before the only place is free again.
      clients.push_back(serving.client());
      if (clients.back().ask(get("/at/1")).status == 200) ++served;
      REQUIRE(clients.back().ended());
    }
  }

  TEST_CASE("connections of another site take no room of this one") {
    Site few("few"), many("many");
    few.limits.connections_most = 1;
    for (Site* site : {&few, &many}) add(*site, {.pattern = "/at/{n}", .handler = name_of});
    Server server({}, {});
    const auto to_few = server.listen(few, "127.0.0.1", 0, {});
    const auto to_many = server.listen(many, "127.0.0.1", 0, {});
    REQUIRE((to_few && to_many));
    const std::jthread running([&server](const std::stop_token& stop) {
      Call call;
      call.stop = stop;
      static_cast<void>(server.run(call));
    });
    test::RawClient first(*to_many), second(*to_many), third(*to_few);
    for (auto* client : {&first, &second, &third}) CHECK(client->ask(get("/at/1")).status == 200);
    CHECK(test::RawClient(*to_few).receive().status == 503);
  }

  TEST_CASE("through TLS the same is answered, and plain bytes are not") {
    const test::TempDir dir;
    const TlsFiles tls{.certificate = dir / "c.pem", .key = dir / "k.pem"};
    REQUIRE(
        std::system(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
                     "-subj /CN=x -days 1 -out " +
                     tls.certificate + " -keyout " + tls.key + " 2>/dev/null")
                        .c_str()) == 0);
    Site site("s"), impatient("impatient");
    impatient.limits.header_timeout = 500ms;
    add(site, {.pattern = "/at/{n}", .handler = [](Request& request) {
                 return Response{.body = std::string(300'000, request.values.find("n")->front())};
               }});
    const Serving serving(site, {}, {}, tls), hasty(impatient, {}, {}, tls);
    const std::string url = "https://127.0.0.1:" + std::to_string(serving.port()) + "/at/";
    const std::string out = dir / "out";
    REQUIRE(std::system(("curl -sk " + url + "5 " + url + "6 >" + out).c_str()) == 0);
    std::ifstream in(out);
    CHECK(std::string(std::istreambuf_iterator<char>(in), {}) ==
          std::string(300'000, '5') + std::string(300'000, '6'));
    CHECK(serving.client().ask(get("/at/7")).status == 0);
    auto silent = hasty.client();
    CHECK(silent.ended());
  }

  TEST_CASE("a port that is taken and an address that is none are refused") {
    Site site("s");
    Serving serving(site);
    Server other({}, {});
    CHECK(other.listen(site, "127.0.0.1", serving.port()).error().code == Errc::unavailable);
    CHECK(other.listen(site, "not an address", 0).error().code == Errc::invalid_argument);
    const TlsFiles missing{.certificate = "/nowhere.pem", .key = "/nowhere.key"};
    CHECK(other.listen(site, "127.0.0.1", 0, missing).error().code == Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace artcache::http
