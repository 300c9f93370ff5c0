// SPDX-License-Identifier: Apache-2.0
// The client that the roles call each other with, against the server they answer with, and
// against one that breaks every rule.
#include "web/http_client.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "support/scripted_http.hpp"
#include "unit/daemon/serving.hpp"

namespace artcache::web {
namespace {

using namespace std::chrono_literals;
using test::http_answer;
using test::HttpAnswer;
using test::ScriptedHttp;

constexpr std::uint64_t kBig = 100'000'000;
constexpr long kMemoryKiB = 32 * 1024;

long memory_peak() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

std::byte byte_at(std::uint64_t position) { return static_cast<std::byte>(position % 251); }

/// So many bytes, of which each tells where it is.
struct Numbers {
  std::uint64_t left, at = 0;
  Result<std::size_t> operator()(std::span<std::byte> into) {
    const std::size_t count = std::min<std::uint64_t>(into.size(), left);
    for (std::size_t i = 0; i < count; ++i) into[i] = byte_at(at + i);
    at += count;
    left -= count;
    return count;
  }
};

class NumbersBody final : public http::BodySource {
 public:
  Result<std::size_t> read(std::span<std::byte> into, const Call&) override {
    return numbers_(into);
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return std::nullopt; }

 private:
  Numbers numbers_{kBig};
};

/// How many bytes came, or nothing when one of them is wrong.
template <class Read>
std::optional<std::uint64_t> count_numbers(const Read& read) {
  std::vector<std::byte> piece(64 * 1024);
  for (std::uint64_t at = 0;;) {
    const Result<std::size_t> size = read(piece);
    if (!size) return std::nullopt;
    if (*size == 0) return at;
    for (std::size_t i = 0; i < *size; ++i)
      if (piece[i] != byte_at(at + i)) return std::nullopt;
    at += *size;
  }
}

/// What the daemon's server makes of a request.
void add_routes(http::Site& site) {
  using http::Method;
  REQUIRE(site.add({.pattern = "/numbers", .handler = [](http::Request&) {
                      return http::Response{.stream = std::make_unique<NumbersBody>()};
                    }}));
  for (const Method method : {Method::post, Method::put, Method::patch, Method::del})
    REQUIRE(site.add({.method = method,
                      .pattern = "/count",
                      .handler =
                          [](http::Request& request) {
                            const auto count = count_numbers([&](std::span<std::byte> into) {
                              return request.body->read(into);
                            });
                            return http::Response{.body = std::to_string(count.value_or(-1))};
                          },
                      .body_most = 2 * kBig}));
  REQUIRE(site.add({.pattern = "/busy", .handler = [](http::Request&) {
                      return http::Reply(Error{Errc::unavailable, "not now"});
                    }}));
}

struct Stand {
  Stand() { add_routes(site); }
  http::Site site{"s"};
  std::optional<http::Serving> serving{};
  HttpClient client{HttpSettings{}};
  std::string url(const std::string& path) {
    if (!serving) serving.emplace(site);
    return "http://127.0.0.1:" + std::to_string(serving->port()) + path;
  }
};

TEST_SUITE("web client") {
  TEST_CASE("a body of any size is sent as it comes, in memory of a bounded size") {
    Stand stand;
    const std::string url = stand.url("/count");
    const long before = memory_peak();
    for (const std::optional<std::uint64_t> told :
         {std::optional(kBig), std::optional<std::uint64_t>()}) {
      const auto reply = stand.client.send(
          {.method = "POST", .url = url, .source = Numbers{kBig}, .source_length = told}, {});
      REQUIRE(reply);
      CHECK(reply->head.status == 200);
      CHECK(reply->body == std::to_string(kBig));
    }
    CHECK(memory_peak() - before < kMemoryKiB);
  }

  TEST_CASE("an answer of any size is read as it comes, in memory of a bounded size") {
    Stand stand;
    const std::string url = stand.url("/numbers");
    const long before = memory_peak();
    auto stream = stand.client.open({.url = url}, {});
    REQUIRE(stream);
    CHECK((*stream)->head().status == 200);
    CHECK(count_numbers([&](std::span<std::byte> into) { return (*stream)->read(into, {}); }) ==
          kBig);
    CHECK(memory_peak() - before < kMemoryKiB);
  }

  TEST_CASE("every method is sent, with and without a body, and any status is an answer") {
    Stand stand;
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE"}) {
      const auto empty = stand.client.send({.method = method, .url = stand.url("/count")}, {});
      REQUIRE(empty);
      CHECK(empty->body == "0");
      const auto full = stand.client.send(
          {.method = method, .url = stand.url("/count"), .body = std::string("\0\1\2", 3)}, {});
      REQUIRE(full);
      CHECK(full->body == "3");
    }
    const auto head = stand.client.send({.method = "HEAD", .url = stand.url("/busy")}, {});
    REQUIRE(head);
    CHECK(head->head.status == 503);
    const auto busy = stand.client.send({.url = stand.url("/busy")}, {});
    REQUIRE(busy);
    CHECK(busy->head.status == 503);
    CHECK_FALSE(busy->head.header("retry-after").empty());
    CHECK(busy->head.header("x-none").empty());
  }

  TEST_CASE("a connection is kept for the next request, also when a read ended it") {
    std::atomic<int> seen = 0;
    std::set<std::thread::id> connections;  // the server has a thread for each
    ScriptedHttp server([&](const test::HttpRequest&) {
      ++seen;
      connections.insert(std::this_thread::get_id());
      return http_answer(200, "fine");
    });
    HttpClient client{HttpSettings{}};
    for (int i = 0; i < 5; ++i) REQUIRE(client.send({.url = server.origin()}, {}));
    CHECK(seen == 5);
    CHECK(connections.size() == 1);
  }

  TEST_CASE("a connection that the server closed meanwhile is made anew") {
    ScriptedHttp server([&](const test::HttpRequest&) {
      return HttpAnswer{http_answer(200, "fine").bytes, HttpAnswer::Then::close};
    });
    HttpClient client{HttpSettings{}};
    for (int i = 0; i < 5; ++i) REQUIRE(client.send({.url = server.origin()}, {}));
  }

  TEST_CASE("what must not be done twice is sent once over a connection that ends then") {
    const auto sent_over_a_kept_connection = [](const std::string& method) {
      std::atomic<int> seen = 0;
      ScriptedHttp server([&](const test::HttpRequest&) {
        return ++seen == 2 ? HttpAnswer{"", HttpAnswer::Then::close} : http_answer(200, "fine");
      });
      HttpClient client{HttpSettings{}};
      REQUIRE(client.send({.url = server.origin()}, {}));
      const auto reply = client.send({.method = method, .url = server.origin(), .body = "x"}, {});
      CHECK(reply.has_value() == (method == "PUT"));
      if (!reply) CHECK(reply.error().code == Errc::unavailable);
      if (!reply) CHECK(reply.error().outcome == Outcome::unknown);
      return seen.load();
    };
    CHECK(sent_over_a_kept_connection("POST") == 2);
    CHECK(sent_over_a_kept_connection("PUT") == 3);
  }

  TEST_CASE("without a server nothing was applied") {
    std::string url;
    {
      ScriptedHttp server([](const test::HttpRequest&) { return http_answer(200); });
      url = server.origin();
    }
    const auto reply = HttpClient({}).send({.method = "POST", .url = url, .body = "x"}, {});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == Errc::unavailable);
    CHECK(reply.error().outcome == Outcome::not_applied);
  }

  TEST_CASE("a server that breaks off leaves a write unknown, and a read without effect") {
    ScriptedHttp server([](const test::HttpRequest&) {
      return HttpAnswer{"HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nfive!",
                        HttpAnswer::Then::close};
    });
    HttpClient client{HttpSettings{}};
    const auto write = client.send({.method = "POST", .url = server.origin(), .body = "x"}, {});
    REQUIRE_FALSE(write);
    CHECK(write.error().code == Errc::unavailable);
    CHECK(write.error().outcome == Outcome::unknown);
    auto stream = client.open({.url = server.origin()}, {});
    REQUIRE(stream);
    std::array<std::byte, 100> piece{};
    CHECK((*stream)->read(piece, {}).value_or(0) == 5);
    const auto rest = (*stream)->read(piece, {});
    REQUIRE_FALSE(rest);
    CHECK(rest.error().code == Errc::unavailable);
    CHECK(rest.error().outcome == Outcome::not_applied);
  }

  TEST_CASE("a deadline and a stop token end a wait for the head and for the body") {
    for (const char* sent : {"", "HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nfive!"}) {
      ScriptedHttp server([&](const test::HttpRequest&) {
        return HttpAnswer{sent, HttpAnswer::Then::hang};
      });
      HttpClient client{HttpSettings{}};
      const auto late = client.send({.url = server.origin()}, Call{}.within(50ms));
      REQUIRE_FALSE(late);
      CHECK(late.error().code == Errc::timed_out);
      std::stop_source stop;
      Call call;
      call.stop = stop.get_token();
      std::thread stopper([&] { stop.request_stop(); });
      const auto stopped =
          client.send({.method = "PUT", .url = server.origin(), .body = "x"}, call);
      stopper.join();
      REQUIRE_FALSE(stopped);
      CHECK(stopped.error().code == Errc::cancelled);
    }
  }

  TEST_CASE("a server from which nothing comes is given up after the stall") {
    ScriptedHttp server([](const test::HttpRequest&) {
      return HttpAnswer{"", HttpAnswer::Then::hang};
    });
    HttpClient client({.stall = 1s});
    const auto reply = client.send({.method = "POST", .url = server.origin(), .body = "x"}, {});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == Errc::unavailable);
    CHECK(reply.error().outcome == Outcome::unknown);
  }

  TEST_CASE("an answer that is too long, or none of HTTP, is corrupt") {
    ScriptedHttp server([](const test::HttpRequest& request) {
      if (request.target == "/odd") return HttpAnswer{"SSH-2.0-x\r\n", HttpAnswer::Then::close};
      return http_answer(200, std::string(1001, 'x'));
    });
    HttpClient client{HttpSettings{}};
    const auto most = client.send({.url = server.origin(), .most = 1001}, {});
    REQUIRE(most);
    CHECK(most->body.size() == 1001);
    const auto more = client.send({.url = server.origin(), .most = 1000}, {});
    REQUIRE_FALSE(more);
    CHECK(more.error().code == Errc::corrupt);
    const auto odd = client.send({.url = server.origin() + "/odd"}, {});
    REQUIRE_FALSE(odd);
    CHECK(odd.error().code == Errc::corrupt);
  }

  TEST_CASE("a redirection is an answer, and interim answers are none") {
    ScriptedHttp server([](const test::HttpRequest& request) {
      if (request.target == "/moved") return http_answer(302, "", "Location: /\r\n");
      HttpAnswer answer = http_answer(201, "made", "ETag:  \"a\" \r\n");
      answer.bytes = "HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + answer.bytes;
      return answer;
    });
    HttpClient client{HttpSettings{}};
    const auto moved = client.send({.url = server.origin() + "/moved"}, {});
    REQUIRE(moved);
    CHECK(moved->head.status == 302);
    const auto made = client.send({.url = server.origin()}, {});
    REQUIRE(made);
    CHECK(made->head.status == 201);
    CHECK(made->head.header("etag") == "\"a\"");
    CHECK(made->head.header("link").empty());
  }

  TEST_CASE("what a source says is what the caller hears, and a short source is no whole body") {
    Stand stand;
    const auto failing = [](std::span<std::byte>) -> Result<std::size_t> {
      return Error{Errc::no_space, "source: full"};
    };
    const auto failed = stand.client.send(
        {.method = "PUT", .url = stand.url("/count"), .source = failing, .source_length = 5}, {});
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == Errc::no_space);
    CHECK(failed.error().message == "source: full");
    const auto cut = stand.client.send(
        {.method = "PUT", .url = stand.url("/count"), .source = Numbers{4}, .source_length = 5},
        {});
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == Errc::invalid_argument);
  }

  TEST_CASE("what is no URL of HTTP, or would smuggle a header, is not sent") {
    HttpClient client{HttpSettings{}};
    for (const char* url : {"", "file:///etc/passwd", "http://", "http:///x", "http://h/a b",
                            "http://h/\r\nx: y", "HTTP//h"}) {
      const auto reply = client.send({.url = url}, {});
      REQUIRE_FALSE(reply);
      CHECK(reply.error().code == Errc::invalid_argument);
    }
    for (const auto& header : {std::pair("a", "b\r\nc: d"), std::pair("a\n", "b"),
                               std::pair("", "b"), std::pair("a:", "b")}) {
      const auto reply = client.send({.url = "http://127.0.0.1:1", .headers = {header}}, {});
      REQUIRE_FALSE(reply);
      CHECK(reply.error().code == Errc::invalid_argument);
    }
  }

  TEST_CASE("a message tells neither the account nor the query of a URL") {
    ScriptedHttp server([](const test::HttpRequest&) {
      return HttpAnswer{"", HttpAnswer::Then::close};
    });
    const std::string url = "http://me:word@" + server.origin().substr(7) + "/path?token=secret";
    const auto reply = HttpClient({}).send({.url = url}, {});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().message.find("/path") != std::string::npos);
    CHECK(reply.error().message.find("word") == std::string::npos);
    CHECK(reply.error().message.find("secret") == std::string::npos);
  }

  TEST_CASE("an answer may be read when its client is gone, and by several threads at once") {
    Stand stand;
    const std::string url = stand.url("/numbers");
    std::vector<std::thread> readers;
    std::atomic<int> whole = 0;
    for (int i = 0; i < 4; ++i)
      readers.emplace_back([&] {
        auto client = std::make_unique<HttpClient>(HttpSettings{});
        auto stream = client->open({.url = url}, {});
        client.reset();
        std::array<std::byte, 1000> piece{};
        whole += stream && (*stream)->read(piece, {}).value_or(0) > 0 ? 1 : 0;
        whole += stand.client.send({.url = url.substr(0, url.rfind('/')) + "/busy"}, {}) ? 1 : 0;
      });
    for (std::thread& reader : readers) reader.join();
    CHECK(whole == 8);
  }
}

}  // namespace
}  // namespace artcache::web
