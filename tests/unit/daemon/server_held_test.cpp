// SPDX-License-Identifier: Apache-2.0
// What an I/O thread does late, because something held it up. A busy machine does that, too.
#include <doctest/doctest.h>

#include <optional>
#include <semaphore>
#include <string>
#include <thread>

#include "unit/daemon/serving.hpp"

namespace artcache::http {
namespace {

using namespace std::chrono_literals;
using test::get;

/// `/held` keeps the I/O thread of its connection until it may go on.
class Held {
 public:
  explicit Held(Site& site) {
    REQUIRE(site.add({.pattern = "/held", .quick = [this](Request&) {
                        begun.release();
                        go_on.acquire();
                        return Response{};
                      }}));
  }
  std::binary_semaphore begun{0}, go_on{0};
};

TEST_SUITE("http held") {
  TEST_CASE("a server that could not cut a connection in time does not wait for its handler") {
    Site site("s");
    Held held(site);
    std::binary_semaphore begun{0};
    std::optional<Errc> got;
    REQUIRE(site.add({.method = Method::post,
                      .pattern = "/upload",
                      .handler = [&](Request& request) -> Reply {
                        begun.release();
                        std::byte into[16];
                        const auto read = request.body->read(into);
                        if (!read) got = read.error().code;
                        return Response{};
                      },
                      .body_most = 2 * kReadWhole}));
    Serving serving(site, {.io_threads = 2, .grace = 0ms});
    // The threads take their turns, and it is the first one that stops all.
    const auto first = serving.client();
    auto upload = serving.client();
    REQUIRE(
        upload.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                    "Expect: 100-continue\r\n\r\n"));
    begun.acquire();
    const auto third = serving.client();
    auto beside = serving.client();
    REQUIRE(beside.send(get("/held")));
    held.begun.acquire();
    serving.begin_stop();
    std::this_thread::sleep_for(2500ms);  // more than it has for what was cut
    held.go_on.release();
    serving.stop();
    CHECK(got == Errc::cancelled);
  }

  TEST_CASE("a client that takes no more is cut, whatever its thread did when its time was over") {
    Site site("s");
    Held held(site);
    REQUIRE(site.add({.pattern = "/large", .handler = [](Request&) {
                        return Response{.body = std::string(100'000'000, 'x')};
                      }}));
    site.limits.write_timeout = 200ms;
    Serving serving(site, {.io_threads = 1});
    auto slow = serving.client();
    REQUIRE(slow.send(get("/large")));
    REQUIRE(slow.read_some(1).size() == 1);
    auto beside = serving.client();
    REQUIRE(beside.send(get("/held")));
    held.begun.acquire();
    // Now there is room for some steps of the answer, and its time is over.
    CHECK(slow.drop_for(300ms) > 0);
    held.go_on.release();
    CHECK(beside.receive().status == 200);
    beside.close();
    while (serving.server().status().connections > 0) std::this_thread::sleep_for(1ms);
  }
}

}  // namespace
}  // namespace artcache::http
