// SPDX-License-Identifier: Apache-2.0
#include "http/message.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace artcache::http {
namespace {

/// Gives a text in pieces of three bytes.
class TextBody final : public BodyReader {
 public:
  explicit TextBody(std::string text) : text_(std::move(text)) {}
  Result<std::size_t> read(std::span<std::byte> into) override {
    const std::size_t size = std::min({into.size(), text_.size() - at_, std::size_t{3}});
    std::memcpy(into.data(), text_.data() + at_, size);
    at_ += size;
    return size;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return std::nullopt; }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

TEST_SUITE("http message") {
  TEST_CASE("header fields are found without regard to case and replaced as a whole") {
    Headers headers{{"Content-Type", "text/plain"}, {"Via", "a"}, {"via", "b"}};
    CHECK(headers.find("content-TYPE") == "text/plain");
    CHECK(headers.find("Via") == "a");
    CHECK_FALSE(headers.find("Vi"));
    headers.set("VIA", "c");
    CHECK(headers.find("via") == "c");
    CHECK(headers.all().size() == 2);
  }

  TEST_CASE("of several pairs of one name the last one counts") {
    const auto pairs = parse_pairs("tag=a&limit=5&tag=b%26c+d&&empty&x=");
    REQUIRE(pairs);
    CHECK(pairs->find("tag") == "b&c d");
    CHECK(pairs->every("tag") == std::vector<std::string_view>{"a", "b&c d"});
    CHECK(pairs->find("empty") == "");
    CHECK(pairs->find("x") == "");
    CHECK_FALSE(pairs->has("none"));
    CHECK(parse_pairs("a=%4").error().code == Errc::invalid_argument);
    CHECK(parse_pairs("a=%zz").error().code == Errc::invalid_argument);
  }

  TEST_CASE("a plus is a blank in a form and itself in a path") {
    CHECK(percent_decode("a+b%2b", Escapes::of_path) == "a+b+");
    CHECK(percent_decode("a+b%2B", Escapes::of_form) == "a b+");
    CHECK(percent_decode("%00", Escapes::of_path) == std::string(1, '\0'));
  }

  TEST_CASE("a small body is read whole, one that is too long is refused") {
    TextBody fits("12345678");
    CHECK(*read_all(fits, 8) == "12345678");
    TextBody longer("123456789");
    CHECK(read_all(longer, 8).error().code == Errc::no_space);
  }

  TEST_CASE("an error says when to try again, an internal one says nothing of itself") {
    const auto busy = to_problem({Errc::busy, "lock: held"});
    CHECK(busy.status == 503);
    CHECK(busy.detail == "lock: held");
    CHECK(busy.headers.find("Retry-After") == "5");
    const auto bug = to_problem({Errc::internal, "put: the secret plan"});
    CHECK(bug.status == 500);
    CHECK(bug.detail == "Internal Server Error");
    CHECK(bug.cause == "internal: put: the secret plan");
    CHECK_FALSE(bug.headers.find("Retry-After"));
    CHECK(to_problem({Errc::not_found, "no"}).status == 404);
  }

  TEST_CASE("a problem is one detail, or the list of fields as FastAPI makes it") {
    CHECK(render_detail({.status = 404, .detail = "File \"x\" not found"}, {}).body ==
          R"({"detail":"File \"x\" not found"})");
    const Problem fields{.status = 422,
                         .fields = {{.where = {"body", "items", "2", "id"},
                                     .message = "Field required",
                                     .type = "missing"}}};
    const auto response = render_detail(fields, {});
    CHECK(response.status == 422);
    CHECK(response.headers.find("content-type") == "application/json");
    CHECK(
        response.body ==
        R"({"detail":[{"type":"missing","loc":["body","items",2,"id"],"msg":"Field required"}]})");
  }
}

}  // namespace
}  // namespace artcache::http
