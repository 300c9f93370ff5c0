// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <semaphore>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "support/kept_log.hpp"
#include "unit/daemon/serving.hpp"

namespace artcache::http {
namespace {

using namespace std::chrono_literals;
using test::get;
using test::post;

Reply size_of(Request& request) {
  std::vector<std::byte> piece(100'000);
  std::uint64_t size = 0;
  for (;;) {
    const auto got = request.body->read(piece);
    if (!got) return got.error();
    if (*got == 0) return Response{.body = std::to_string(size)};
    size += *got;
  }
}

std::string head(const std::string& path, std::size_t length, const std::string& fields = {}) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(length) +
         "\r\n" + fields + "\r\n";
}

/// `/small` and `/large` tell the size of a body, `/ping` takes a worker for a moment.
class Sizes {
 public:
  Sizes() : site("sizes") {
    REQUIRE(site.add({.method = Method::post, .pattern = "/small", .handler = size_of}));
    REQUIRE(site.add({.method = Method::post,
                      .pattern = "/large",
                      .handler = size_of,
                      .body_most = 100 * kReadWhole}));
    REQUIRE(site.add({.pattern = "/ping", .handler = [](Request&) { return Response{}; }}));
  }
  Site site;
};

class Endless final : public BodySource {
 public:
  Result<std::size_t> read(std::span<std::byte> into, const Call&) override {
    std::ranges::fill(into, std::byte{'x'});
    return into.size();
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return std::nullopt; }
};

/// Byte by byte until the server has had enough.
void trickle(test::RawClient& client, const std::atomic<bool>& enough) {
  while (!enough && client.send("x")) std::this_thread::sleep_for(10ms);
}

TEST_SUITE("http slow") {
  TEST_CASE("clients that are slow with a small body hold no worker") {
    Sizes sizes;
    // One place in the queue: a worker that has answered is not free at that very moment.
    const Serving serving(sizes.site, {.workers = 1, .queue_most = 1});
    std::vector<test::RawClient> slow;
    for (const std::string path : {"/small", "/small", "/large"}) {
      slow.push_back(serving.client());
      REQUIRE(slow.back().send(head(path, 10) + "12345"));
    }
    for (int i = 0; i < 20; ++i) CHECK(serving.client().ask(get("/ping")).status == 200);
    for (auto& client : slow) CHECK(client.ask("67890").body == "10");
  }

  TEST_CASE("a body that does not begin is told so, before and after the word to go on") {
    Sizes sizes;
    sizes.site.limits.first_byte_timeout = 100ms;
    const Serving serving(sizes.site);
    for (const std::string path : {"/small", "/large"}) {
      auto client = serving.client();
      const auto answer = client.ask(head(path, 10));
      CHECK(answer.status == 408);
      CHECK(answer.body.find("did not begin") != std::string::npos);
      CHECK(answer.field("Connection") == "close");
      CHECK(client.ended());
      auto asking = serving.client();
      CHECK(asking.ask(head(path, 10, "Expect: 100-continue\r\n")).status == 100);
      CHECK(asking.receive().status == 408);
    }
  }

  TEST_CASE("how long a client may take for a header and to begin a body says the site") {
    Sizes hasty_sizes, calm_sizes;
    Limits& hasty_limits = hasty_sizes.site.limits;
    Limits& calm_limits = calm_sizes.site.limits;
    hasty_limits.header_timeout = hasty_limits.first_byte_timeout = 200ms;
    // Less than without a word of the site: who does not hear it is overtaken.
    calm_limits.header_timeout = calm_limits.first_byte_timeout = 8s;
    const Serving hasty(hasty_sizes.site), calm(calm_sizes.site);
    for (const std::string& begin : {std::string("GET /ping HTTP/1.1\r\nHo"), head("/small", 10)}) {
      CAPTURE(begin);
      auto longer = calm.client();
      REQUIRE(longer.send(begin));
      std::this_thread::sleep_for(1s);  // ahead by more than the clock of a server steps
      CHECK(hasty.client().ask(begin).status == 408);
      CHECK(longer.drop_for(1ms) == 0);
    }
  }

  TEST_CASE("a body below the least rate is cut with 408, wherever it goes") {
    Sizes sizes;
    sizes.site.limits.body_timeout = 400ms;
    sizes.site.limits.body_rate = 10'000;
    const Serving serving(sizes.site, {.workers = 1});
    for (const std::string& begin : {head("/small", 1'000'000), head("/large", 1'000'000),
                                     head("/large", 1'000'000) + std::string(200'000, 'x')}) {
      auto client = serving.client();
      REQUIRE(client.send(begin + "x"));
      std::atomic<bool> enough = false;
      std::thread sender([&] { trickle(client, enough); });
      // Reads on its own copy of the descriptor's stream: what is sent is another direction.
      const auto answer = client.receive();
      enough = true;
      sender.join();
      CHECK(answer.status == 408);
      CHECK(answer.body.find("slower than 10000 bytes a second") != std::string::npos);
      CHECK(serving.client().ask(get("/ping")).status == 200);
    }
    // The same in chunks: what is around them is no body.
    auto client = serving.client();
    REQUIRE(
        client.send("POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "1\r\nx\r\n1;"));
    std::atomic<bool> enough = false;
    std::thread sender([&] { trickle(client, enough); });
    const auto answer = client.receive();
    enough = true;
    sender.join();
    CHECK(answer.status == 408);
  }

  TEST_CASE("a client that waits for us is not too slow") {
    constexpr std::size_t kSize = 30'000'000;
    Sizes sizes;
    std::binary_semaphore go_on{0};
    REQUIRE(sizes.site.add({.method = Method::post,
                            .pattern = "/later",
                            .handler = [&](Request& request) -> Reply {
                              std::byte first[1000];
                              const auto got = request.body->read(first);
                              if (!got) return got.error();
                              go_on.acquire();
                              return size_of(request);
                            },
                            .body_most = kSize}));
    sizes.site.limits.body_timeout = 5s;  // longer than a busy machine keeps the client waiting
    sizes.site.limits.first_byte_timeout = 5s;
    sizes.site.limits.body_rate = 1'000'000;
    const Serving serving(sizes.site);
    auto client = serving.client();
    std::thread sender([&] { client.send(head("/later", kSize) + std::string(kSize, 'x')); });
    std::this_thread::sleep_for(8s);  // well beyond what the client may take
    go_on.release();
    sender.join();
    const auto answer = client.receive();
    CHECK(answer.status == 200);
    CHECK(answer.body == std::to_string(kSize - 1000));
  }

  TEST_CASE("an answer that is not taken is logged as such, and with what was taken of it") {
    constexpr std::size_t kSize = 30'000'000;  // more than stays on the way
    test::KeptLog log;
    Site site("s"), patient("patient");
    site.limits.write_timeout = 200ms;
    REQUIRE(site.add({.pattern = "/whole", .handler = [](Request&) {
                        return Response{.body = std::string(kSize, 'x')};
                      }}));
    for (Site* one : {&site, &patient})
      REQUIRE(one->add({.pattern = "/stream", .handler = [](Request&) {
                          return Response{.stream = std::make_unique<Endless>()};
                        }}));
    const Serving serving(site, {}, {.logger = &log}), waiting(patient, {}, {.logger = &log});
    std::vector<test::RawClient> slow;
    for (const std::string path : {"/whole", "/stream"}) {
      slow.push_back(serving.client());
      REQUIRE(slow.back().send(get(path)));
    }
    while (log.count("WARNING: the client did not take a piece") < 2)
      std::this_thread::sleep_for(1ms);
    CHECK(log.count("INFO: GET /whole 200 | site=s bytes=") == 1);
    CHECK(log.count("INFO: GET /whole 200 | site=s bytes=0 ") == 0);
    CHECK(log.count("INFO: GET /whole 200 | site=s bytes=30000000 ") == 0);
    auto leaving = waiting.client();
    REQUIRE(leaving.send(get("/stream")));
    REQUIRE(leaving.read_some(1).size() == 1);
    leaving.close();
    while (log.count("WARNING: the client went away") < 1) std::this_thread::sleep_for(1ms);
    CHECK(log.count("WARNING: ") == 3);
  }

  TEST_CASE("a small body that comes byte by byte arrives whole") {
    Sizes sizes;
    const Serving serving(sizes.site);
    auto client = serving.client();
    REQUIRE(client.send(head("/small", 3000)));
    for (int i = 0; i < 3000; ++i) REQUIRE(client.send("x"));
    CHECK(client.receive().body == "3000");
    CHECK(client.ask(get("/ping")).status == 200);
  }

  TEST_CASE("what lasts by design has threads of its own, and only so many") {
    Site site("s");
    std::counting_semaphore<> begun{0}, go_on{0};
    REQUIRE(site.add({.pattern = "/lasting",
                      .handler =
                          [&](Request&) {
                            begun.release();
                            go_on.acquire();
                            return Response{};
                          },
                      .threads = Threads::lasting}));
    REQUIRE(site.add({.pattern = "/ping", .handler = [](Request&) { return Response{}; }}));
    const Serving serving(site, {.workers = 1, .queue_most = 0, .lasting_most = 2});
    std::vector<test::RawClient> lasting;
    for (int i = 0; i < 2; ++i) {
      lasting.push_back(serving.client());
      REQUIRE(lasting.back().send(get("/lasting")));
      begun.acquire();
    }
    CHECK(serving.client().ask(get("/ping")).status == 200);
    const auto refused = serving.client().ask(get("/lasting"));
    CHECK(refused.status == 503);
    CHECK(refused.field("Retry-After") == "5");
    go_on.release(2);
    for (auto& client : lasting) CHECK(client.receive().status == 200);
    go_on.release(3);
    // A seat is given back behind the answer.
    while (serving.client().ask(get("/lasting")).status != 200) std::this_thread::yield();
  }
}

}  // namespace
}  // namespace artcache::http
