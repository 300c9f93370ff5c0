// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <artcache/result.hpp>

#include <memory>
#include <string>
#include <type_traits>

#include "util/try.hpp"

namespace artcache {
namespace {

const Error kBusy{Errc::busy, "lock: 'se-01' is held by reader-7"};

Result<int> number_or(const Error* error) {
  if (error != nullptr) return *error;
  return 7;
}

Result<void> nothing_or(const Error* error) {
  if (error != nullptr) return *error;
  return {};
}

Result<std::unique_ptr<int>> boxed(int number) { return std::make_unique<int>(number); }

TEST_SUITE("result") {
  TEST_CASE("a result with a value gives it in every way there is") {
    Result<int> result = number_or(nullptr);
    REQUIRE(result.has_value());
    CHECK(static_cast<bool>(result));
    CHECK(*result == 7);
    CHECK(result.value() == 7);
    CHECK(result.value_or(1) == 7);
    *result = 8;
    result.value() += 1;
    const Result<int>& same = result;
    CHECK(*same == 9);
    CHECK(same.value() == 9);
  }

  TEST_CASE("a result with an error gives the error, and the fallback for the value") {
    const Result<int> result = number_or(&kBusy);
    REQUIRE_FALSE(result.has_value());
    CHECK_FALSE(static_cast<bool>(result));
    CHECK(result.error().code == Errc::busy);
    CHECK(result.error().message == kBusy.message);
    CHECK(result.value_or(1) == 1);
  }

  TEST_CASE("the members of a value are reached by an arrow") {
    Result<std::string> text = std::string("four");
    CHECK(text->size() == 4);
    text->push_back('!');
    const Result<std::string>& same = text;
    CHECK(same->back() == '!');
  }

  TEST_CASE("what can only be moved goes in and comes out") {
    CHECK(*boxed(3).value() == 3);
    auto result = boxed(4);
    const std::unique_ptr<int> out = *std::move(result);
    CHECK(*out == 4);
    static_assert(std::is_move_constructible_v<Result<std::unique_ptr<int>>>);
    static_assert(!std::is_copy_constructible_v<Result<std::unique_ptr<int>>>);
  }

  TEST_CASE("an error is moved out of a result without a copy") {
    const std::string message(1000, 'x');
    Result<int> result = Error{Errc::corrupt, message};
    const char* const data = result.error().message.data();
    const Error error = std::move(result).error();
    CHECK(error.message == message);
    CHECK(error.message.data() == data);
  }

  TEST_CASE("value() on an error throws an Exception that tells all about it") {
    const Error error{Errc::unavailable, "put: 'a': no answer", Outcome::unknown};
    const auto check = [&](auto&& result) {
      try {
        (void)result.value();
        FAIL("nothing was thrown");
      } catch (const std::exception& base) {
        const auto* thrown = dynamic_cast<const Exception*>(&base);
        REQUIRE(thrown != nullptr);
        CHECK(std::string(thrown->what()) == to_string(error));
        CHECK(thrown->error().code == error.code);
        CHECK(thrown->error().message == error.message);
        CHECK(thrown->error().outcome == Outcome::unknown);
      }
    };
    check(number_or(&error));
    check(nothing_or(&error));
    const Result<int> constant = number_or(&error);
    check(constant);
    CHECK_THROWS_AS((void)Result<int>(error).value(), Exception);
  }

  TEST_CASE("a result without a value is a success until it is given an error") {
    const Result<void> good;
    CHECK(good.has_value());
    CHECK(static_cast<bool>(nothing_or(nullptr)));
    CHECK_NOTHROW(good.value());
    const Result<void> bad = nothing_or(&kBusy);
    CHECK_FALSE(bad.has_value());
    CHECK(bad.error().code == Errc::busy);
    Result<void> given = nothing_or(&kBusy);
    CHECK(std::move(given).error().message == kBusy.message);
  }

  TEST_CASE("an error is internal and not applied until it says otherwise") {
    const Error error;
    CHECK(error.code == Errc::internal);
    CHECK(error.message.empty());
    CHECK(error.outcome == Outcome::not_applied);
  }

  TEST_CASE("an error is told as code and message, with the outcome where it is not known") {
    CHECK(to_string(kBusy) == "busy: lock: 'se-01' is held by reader-7");
    const Error lost{Errc::timed_out, "put: the deadline passed", Outcome::unknown};
    CHECK(to_string(lost) == "timed_out: put: the deadline passed (it may have been applied)");
  }

  TEST_CASE("in() puts what was being done in front and keeps code and outcome") {
    const Error error{Errc::cancelled, "put: stopped", Outcome::unknown};
    const Error outer = error.in("rebuild");
    CHECK(outer.message == "rebuild: put: stopped");
    CHECK(outer.code == Errc::cancelled);
    CHECK(outer.outcome == Outcome::unknown);
    CHECK(error.message == "put: stopped");
    CHECK(Error(error).in("rebuild").in("se-01").message == "se-01: rebuild: put: stopped");
    CHECK(Error{Errc::internal, ""}.in("a").message == "a: ");
  }

  TEST_CASE("an error can stand where its own operation is put in front of it") {
    Error error{Errc::busy, "put"};
    error = std::move(error).in("rebuild");
    CHECK(error.message == "rebuild: put");
  }
}

TEST_SUITE("try") {
  Result<int> counted(int& calls, const Error* error) {
    ++calls;
    return number_or(error);
  }

  Result<std::string> tried(int& calls, const Error* error) {
    ARTCACHE_TRY(const int first, counted(calls, error));
    int second = 0;
    ARTCACHE_TRY(second, counted(calls, nullptr));
    ARTCACHE_TRY(const std::unique_ptr<int> box, boxed(first + second));
    return std::to_string(*box);
  }

  Result<int> checked(int& calls, const Error* error) {
    ARTCACHE_CHECK(nothing_or(error));
    ++calls;
    ARTCACHE_CHECK(nothing_or(nullptr));
    return calls;
  }

  TEST_CASE("what succeeds is called once and its value goes on") {
    int calls = 0;
    const auto text = tried(calls, nullptr);
    REQUIRE(text.has_value());
    CHECK(*text == "14");
    CHECK(calls == 2);
    CHECK(checked(calls, nullptr).value() == 3);
  }

  TEST_CASE("what fails ends the function with its error, and nothing behind it runs") {
    int calls = 0;
    const Error error{Errc::conflict, "put: 'a' is there", Outcome::unknown};
    const auto text = tried(calls, &error);
    REQUIRE_FALSE(text.has_value());
    CHECK(text.error().code == Errc::conflict);
    CHECK(text.error().message == error.message);
    CHECK(text.error().outcome == Outcome::unknown);
    CHECK(calls == 1);
    CHECK_FALSE(checked(calls, &error).has_value());
    CHECK(calls == 1);
  }
}

}  // namespace
}  // namespace artcache
