// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "unit/daemon/serving.hpp"

namespace artcache::http {
namespace {

using namespace std::chrono_literals;
using test::get;
using test::post;

Reply echo(Request& request) {
  auto body = read_all(*request.body, 1024 * 1024);
  if (!body) return body.error();
  return Response{.body = request.path + ":" + *body};
}

/// Echoes, and takes bodies of 1,000 bytes.
class Echo {
 public:
  Echo() : site_("echo") {
    REQUIRE(site_.add({.pattern = "/echo", .handler = echo}));
    REQUIRE(site_.add({.pattern = "/files/{id}", .handler = echo}));
    REQUIRE(site_.add(
        {.method = Method::post, .pattern = "/echo", .handler = echo, .body_most = 1000}));
  }
  Site& site() { return site_; }

 private:
  Site site_;
};

/// Waits for nobody, and therefore is asked only by who is to be cut off.
class ImpatientEcho : public Echo {
 public:
  ImpatientEcho() {
    site().limits.header_timeout = site().limits.body_timeout = 300ms;
    site().limits.first_byte_timeout = 0ms;  // none, which would be told with 408 as well
  }
};

/// The status of the answer; and that the server still serves afterwards.
int status_of(const Serving& serving, const std::string& bytes) {
  auto client = serving.client();
  const auto answer = client.ask(bytes);
  if (answer.status >= 400) CHECK(answer.body.find("\"detail\"") != std::string::npos);
  CHECK(serving.client().ask(get("/echo")).status == 200);
  return answer.status;
}

int impatient_status_of(const std::string& bytes) {
  ImpatientEcho echo_site;
  const Serving serving(echo_site.site());
  auto client = serving.client();
  const auto answer = client.ask(bytes);
  CHECK(answer.body.find("\"detail\"") != std::string::npos);
  return answer.status;
}

TEST_SUITE("http bad input") {
  TEST_CASE("two readers never disagree on where a request ends") {
    Echo echo_site;
    const Serving serving(echo_site.site());
    const std::string start = "POST /echo HTTP/1.1\r\nHost: x\r\n";
    const std::vector<std::pair<std::string, int>> cases = {
        {"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
        {"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
        {"Content-Length: 3, 4\r\n\r\nabc", 400},
        {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501},
        {"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {"Content-Length: -1\r\n\r\n", 400},
        {"Content-Length: +3\r\n\r\nabc", 400},
        {"Content-Length: 0x3\r\n\r\nabc", 400},
        {"Content-Length: 99999999999999999999999\r\n\r\n", 400},
        {"Content-Length : 3\r\n\r\nabc", 400},
        {"Host: y\r\nContent-Length: 0\r\n\r\n", 400},
        {"Expect: wonders\r\nContent-Length: 0\r\n\r\n", 417}};
    for (const auto& one : cases) {
      CAPTURE(one.first);
      CHECK(status_of(serving, start + one.first) == one.second);
    }
    CHECK(status_of(serving, "GET /echo HTTP/1.1\r\n\r\n") == 400);
    CHECK(status_of(serving, "GET /echo HTTP/1.0\r\n\r\n") == 200);
  }

  TEST_CASE("chunks that are none end the request with 400") {
    Echo echo_site;
    const Serving serving(echo_site.site());
    const std::string start =
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const std::string chunks : {"zz\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n",
                                     "-3\r\nabc\r\n0\r\n\r\n", "fffffffffffffffff\r\nabc\r\n"}) {
      CAPTURE(chunks);
      CHECK(status_of(serving, start + chunks) == 400);
    }
    // A line that ends in LF alone does not end: the rest of it never comes.
    CHECK(impatient_status_of(start + "3\nabc\n0\n\n") == 408);
    CHECK(serving.client().ask(start + "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n").body ==
          "/echo:abcde");
  }

  TEST_CASE("a request line or header that is none gets 400") {
    Echo echo_site;
    const Serving serving(echo_site.site());
    const std::string nul(1, '\0');
    for (const std::string& bytes :
         {std::string("garbage\r\n\r\n"), std::string("GET\r\n\r\n"),
          std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15),
          std::string("GET /echo HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n"),
          "GET /echo HTTP/1.1\r\nHost: x\r\nX: a" + nul + "b\r\n\r\n",
          std::string("GET /echo HTTP/1.1\r\nHost: x\r\nX Y: a\r\n\r\n")}) {
      CAPTURE(bytes);
      CHECK(status_of(serving, bytes) == 400);
    }
    CHECK(status_of(serving, "GET /echo HTTP/3.0\r\nHost: x\r\n\r\n") == 505);
    CHECK(status_of(serving, "GET /echo HTTP/1.1\nHost: x\n\n") == 505);
    CHECK(status_of(serving, "BREW /echo HTTP/1.1\r\nHost: x\r\n\r\n") == 501);
  }

  TEST_CASE("a path with a control character, a dot part or a broken escape gets 400") {
    Echo echo_site;
    const Serving serving(echo_site.site());
    for (const std::string path :
         {"/files/../echo", "/files/..", "/files/%2e%2e", "/files/a%2F..%2Fb", "/files/./a",
          "/files/a%00b", "/files/a%0d%0aX:y", "/files/%", "/files/%4", "/files/%gg", "*",
          "/echo?a=%4"}) {
      CAPTURE(path);
      CHECK(status_of(serving, get(path)) == 400);
    }
    CHECK(serving.client().ask(get("/files/..a%20b")).body == "/files/..a b:");
    CHECK(serving.client().ask(get("http://other/files/7")).body == "/files/7:");
    CHECK(status_of(serving, get("/nowhere")) == 404);
  }

  TEST_CASE("a header that is too long, or of too many fields, gets 431") {
    Echo echo_site;
    const Serving serving(echo_site.site());
    std::string fields;
    for (int i = 0; i < 10'000; ++i) fields += "X-" + std::to_string(i) + ": y\r\n";
    CHECK(status_of(serving, get("/echo", fields)) == 431);
    CHECK(status_of(serving, get("/echo", fields.substr(0, 1500))) == 431);
    CHECK(status_of(serving, get("/echo", "X: " + std::string(20'000, 'y') + "\r\n")) == 431);
    CHECK(status_of(serving, get("/" + std::string(20'000, 'y'))) == 431);
  }

  TEST_CASE("a header that arrives byte by byte is cut off with 408") {
    ImpatientEcho echo_site;
    const Serving serving(echo_site.site());
    auto client = serving.client();
    std::string trickle = get("/echo", "X-Slow: " + std::string(10'000, 'x') + "\r\n");
    // Each byte on its own: with or without a pause between them the end never comes.
    trickle.resize(40);
    for (const char c : trickle)
      if (!client.send({&c, 1})) break;  // cut off before that already
    CHECK(client.receive().status == 408);
    CHECK(client.ended());
  }

  TEST_CASE("a body that stops arriving gets 408, one that is too long 413") {
    Echo echo_site;
    const Serving serving(echo_site.site());
    CHECK(impatient_status_of("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc") ==
          408);
    CHECK(status_of(serving, post("/echo", std::string(1001, 'x'))) == 413);
    CHECK(status_of(serving, post("/echo", std::string(1000, 'x'))) == 200);
    const std::string chunk = "400\r\n" + std::string(1024, 'x') + "\r\n0\r\n\r\n";
    CHECK(
        status_of(serving, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                               chunk) == 413);
    // Announced, and waited for the word to go on: it is refused before a byte of it is sent.
    CHECK(status_of(serving,
                    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
                    "Expect: 100-continue\r\n\r\n") == 413);
  }

  TEST_CASE("a client that goes away in the middle of anything costs nothing") {
    Echo echo_site;
    const Serving serving(echo_site.site());
    const std::string whole = post("/echo", std::string(500, 'x'));
    for (std::size_t size = 1; size < whole.size(); size += 7) {
      auto client = serving.client();
      REQUIRE(client.send(whole.substr(0, size)));
    }
    CHECK(serving.client().ask(get("/echo")).status == 200);
  }
}

}  // namespace
}  // namespace artcache::http
