// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <initializer_list>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "unit/daemon/serving.hpp"

namespace artcache::http {
namespace {

using test::get;
using test::post;

constexpr std::uint64_t kBig = 200'000'000;
// What a body of 200 MB may add to the memory of the process; all of it at once would be twice
// that.
constexpr std::size_t kMemoryKiB = 64 * 1024;

/// So many bytes, of which each tells where it is.
class Numbers final : public BodySource {
 public:
  enum class Length { told, untold };
  Numbers(std::uint64_t size, std::uint64_t fail_at, Length length)
      : size_(size), fail_at_(fail_at), length_(length) {}
  Result<std::size_t> read(std::span<std::byte> into, const Call&) override {
    if (at_ >= fail_at_) return Error{Errc::unavailable, "numbers: gone"};
    const std::size_t count = std::min<std::uint64_t>(into.size(), size_ - at_);
    for (std::size_t i = 0; i < count; ++i) into[i] = static_cast<std::byte>((at_ + i) % 251);
    at_ += count;
    return count;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override {
    return length_ == Length::told ? std::optional(size_) : std::nullopt;
  }

 private:
  const std::uint64_t size_, fail_at_;
  const Length length_;
  std::uint64_t at_ = 0;
};

Route numbers(std::string pattern, std::uint64_t size, Numbers::Length length,
              std::uint64_t fail_at = UINT64_MAX) {
  return {.pattern = std::move(pattern), .handler = [=](Request&) {
            return Response{.stream = std::make_unique<Numbers>(size, fail_at, length)};
          }};
}

bool are_numbers(const std::string& text, std::uint64_t from) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if (static_cast<unsigned char>(text[i]) != (from + i) % 251) return false;
  return true;
}

std::size_t memory_peak() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss);
}

TEST_SUITE("http streams") {
  TEST_CASE("a body of a known or unknown length arrives whole") {
    Site site("s");
    REQUIRE(site.add(numbers("/told", 1'000'000, Numbers::Length::told)));
    REQUIRE(site.add(numbers("/untold", 1'000'000, Numbers::Length::untold)));
    REQUIRE(site.add(numbers("/empty", 0, Numbers::Length::untold)));
    const Serving serving(site);
    auto client = serving.client();
    const auto told = client.ask(get("/told"));
    CHECK(told.field("Content-Length") == "1000000");
    CHECK(told.body.size() == 1'000'000);
    CHECK(are_numbers(told.body, 0));
    const auto untold = client.ask(get("/untold"));
    CHECK(untold.field("Transfer-Encoding") == "chunked");
    CHECK(untold.body == told.body);
    CHECK(client.ask(get("/empty")).whole);
    const auto old = serving.client().ask("GET /untold HTTP/1.0\r\n\r\n");
    CHECK(old.field("Transfer-Encoding") == "");
    CHECK(old.body == told.body);
  }

  TEST_CASE("a source that fails cuts the connection, so that half a body is never taken for one") {
    Site site("s");
    REQUIRE(site.add(numbers("/told", 1'000'000, Numbers::Length::told, 500'000)));
    REQUIRE(site.add(numbers("/untold", 1'000'000, Numbers::Length::untold, 500'000)));
    const Serving serving(site);
    for (const std::string path : {"/told", "/untold"}) {
      const auto answer = serving.client().ask(get(path));
      CHECK(answer.status == 200);
      CHECK_FALSE(answer.whole);
    }
  }

  TEST_CASE("200 MB down and up take little memory, however slow the other side is") {
    Site site("s");
    REQUIRE(site.add(numbers("/big", kBig, Numbers::Length::told)));
    REQUIRE(site.add({.method = Method::post,
                      .pattern = "/big",
                      .handler = [](Request& request) -> Reply {
                        std::vector<std::byte> piece(100'000);
                        std::uint64_t size = 0, wrong = 0;
                        for (;;) {
                          const auto got = request.body->read(piece);
                          if (!got) return got.error();
                          if (*got == 0) break;
                          wrong += static_cast<std::uint64_t>(std::count_if(
                              piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*got),
                              [](std::byte b) { return b != std::byte{'x'}; }));
                          size += *got;
                        }
                        return Response{.body = std::to_string(size) + " " + std::to_string(wrong)};
                      },
                      .body_most = kBig}));
    const Serving serving(site);
    auto client = serving.client();
    const std::size_t before = memory_peak();
    REQUIRE(client.send(get("/big")));
    std::uint64_t size = 0;
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) head += client.read_some(100);
    head.erase(0, head.find("\r\n\r\n") + 4);
    CHECK(are_numbers(head, 0));
    for (size = head.size(); size < kBig;) {
      const std::string piece = client.read_some();
      REQUIRE_FALSE(piece.empty());
      REQUIRE(are_numbers(piece, size));
      size += piece.size();
    }
    REQUIRE(client.send("POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kBig) +
                        "\r\nExpect: 100-continue\r\n\r\n"));
    CHECK(client.receive().status == 100);
    const std::string piece(1'000'000, 'x');
    for (std::uint64_t sent = 0; sent < kBig; sent += piece.size()) REQUIRE(client.send(piece));
    CHECK(client.receive().body == std::to_string(kBig) + " 0");
    CHECK(memory_peak() - before < kMemoryKiB);
  }

  TEST_CASE("a body arrives whole in pieces of any size, and what follows it is a request again") {
    constexpr std::size_t kSize = 1'500'000;
    Site site("s");
    REQUIRE(site.add({.method = Method::post,
                      .pattern = "/sum",
                      .handler = [](Request& request) -> Reply {
                        std::vector<std::byte> piece(100'000);
                        std::string all;
                        for (;;) {
                          const auto got = request.body->read(piece);
                          if (!got) return got.error();
                          if (*got == 0) break;
                          all.append(reinterpret_cast<const char*>(piece.data()), *got);
                        }
                        return Response{.body = std::to_string(all.size()) +
                                                (are_numbers(all, 0) ? " whole" : " broken")};
                      },
                      .body_most = kSize}));
    REQUIRE(site.add(
        {.pattern = "/next", .handler = [](Request&) { return Response{.body = "next"}; }}));
    const Serving serving(site);
    std::string body;
    for (std::size_t i = 0; i < kSize; ++i) body += static_cast<char>(i % 251);
    const auto chunked = [&](std::size_t size) {
      std::ostringstream text;
      text << "POST /sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" << std::hex;
      for (std::size_t at = 0; at < kSize; at += size) {
        const std::string piece = body.substr(at, size);
        text << piece.size() << "\r\n" << piece << "\r\n";
      }
      return text.str() + "0\r\n\r\n";
    };
    std::vector<std::string> requests{post("/sum", body)};
    using Sizes = std::initializer_list<std::size_t>;
    for (const std::size_t size : Sizes{50, 4096, 65'536, 262'144, 99'988, 100'000, 1'000'000})
      requests.push_back(chunked(size));
    for (const std::string& request : requests) {
      for (const std::size_t at_once : Sizes{30'011, 250'000, 2'000'000}) {
        auto client = serving.client();
        const std::string all = request + get("/next");
        for (std::size_t at = 0; at < all.size(); at += at_once)
          REQUIRE(client.send(std::string_view(all).substr(at, at_once)));
        CHECK(client.receive().body == std::to_string(kSize) + " whole");
        CHECK(client.receive().body == "next");
      }
    }
    // One byte too many, and bytes that are no chunk.
    CHECK(serving.client().ask(post("/sum", body + "x")).status == 413);
    std::string wrong = chunked(262'144);
    wrong.replace(wrong.find("\r\n40000\r\n", 300'000), 4, "\r\nxy");
    CHECK(serving.client().ask(wrong).status == 400);
  }

  TEST_CASE("clients that do not take their answer hold no worker") {
    Site site("s");
    REQUIRE(site.add(numbers("/big", kBig, Numbers::Length::told)));
    REQUIRE(site.add({.pattern = "/small", .handler = [](Request&) { return Response{}; }}));
    const Serving serving(site, {.workers = 1});
    std::vector<test::RawClient> slow;
    for (int i = 0; i < 20; ++i) {
      slow.push_back(serving.client());
      REQUIRE(slow.back().send(get("/big")));
    }
    CHECK(serving.client().ask(get("/small")).status == 200);
  }

  TEST_CASE("a thousand idle connections are kept, and one more is served") {
    Site site("s");
    REQUIRE(site.add({.pattern = "/small", .handler = [](Request&) { return Response{}; }}));
    const Serving serving(site);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);  // both ends of each are ours
    const std::size_t before = memory_peak();
    std::vector<test::RawClient> idle;
    for (int i = 0; i < 1000; ++i) {
      idle.push_back(serving.client());
      REQUIRE(idle.back().ask(get("/small")).status == 200);
    }
    CHECK(serving.client().ask(get("/small")).status == 200);
    for (auto& client : idle) REQUIRE(client.ask(get("/small")).status == 200);
    CHECK(memory_peak() - before < kMemoryKiB);
  }

  TEST_CASE("a small body that nobody reads leaves the connection in order") {
    Site site("s");
    REQUIRE(site.add({.method = Method::post,
                      .pattern = "/deaf",
                      .handler = [](Request&) { return Response{.body = "no"}; },
                      .body_most = 2 * kReadWhole}));
    const Serving serving(site);
    auto client = serving.client();
    for (int i = 0; i < 3; ++i) CHECK(client.ask(post("/deaf", std::string(5000, 'x'))).whole);
    const auto last = client.ask(post("/deaf", std::string(500'000, 'x')));
    CHECK(last.body == "no");
    CHECK(last.field("Connection") == "close");
  }
}

}  // namespace
}  // namespace artcache::http
