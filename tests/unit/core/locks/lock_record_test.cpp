// SPDX-License-Identifier: Apache-2.0
// The texts are those of docs/formats/lock-record.md.
#include "core/locks/lock_record.hpp"

#include <doctest/doctest.h>

namespace artcache::locks {
namespace {

constexpr std::string_view kRecord =
    R"({"v":1,"class":"manual_rebuild","owner":"0c7f2e7d5b1a4a0f","host":"node-1",)"
    R"("place":"3f0e2a9c-7c3b-4a5e-9d8f-0123456789ab/65024/131","operation":"full rebuild",)"
    R"("progress":"1200 of 50000","fence":42,"ttl_ms":1800000,)"
    R"("acquired_at":"2026-03-02T10:11:12.345678+00:00","acquired_us":7200000000,)"
    R"("renewed_us":7201000000,"expires_us":9001000000,"asked_to_yield":false})";
constexpr std::string_view kWaiter =
    R"({"v":1,"class":"background_cleanup","waiter":"se-01.cleanup","since_us":7200500000,)"
    R"("until_us":7205500000})";

std::string with(std::string_view text, std::string_view what, std::string_view instead) {
  std::string out(text);
  const auto at = out.find(what);
  REQUIRE(at != std::string::npos);
  return out.replace(at, what.size(), instead);
}

void check_corrupt(const std::string& text, std::string_view message) {
  const auto record = decode_record(text);
  REQUIRE(!record);
  CHECK(record.error().code == Errc::corrupt);
  CHECK(record.error().message == message);
}

}  // namespace

TEST_SUITE("lock record") {
  TEST_CASE("the published record reads and is written as published") {
    const LockRecord record = decode_record(kRecord).value();
    CHECK(record.lock_class == LockClass::manual_rebuild);
    CHECK(record.fence == 42);
    CHECK(record.ttl == std::chrono::minutes(30));
    CHECK(record.renewed - record.acquired == std::chrono::seconds(1));
    CHECK(record.expires - record.renewed == record.ttl);
    CHECK(encode(record) == kRecord);
  }

  TEST_CASE("the published waiter reads and is written as published") {
    const Waiter waiter = decode_waiter(kWaiter).value();
    CHECK(waiter.name == "se-01.cleanup");
    CHECK(waiter.until - waiter.since == std::chrono::seconds(5));
    CHECK(encode(waiter) == kWaiter);
  }

  TEST_CASE("members in another order, unknown ones and white space are read over") {
    CHECK(decode_record(with(kRecord, "{\"v\":1,", "{ \"new\" : [1, {}],\n\"v\" : 1 , ")).value() ==
          decode_record(kRecord).value());
  }

  TEST_CASE("whose a record is can be told without reading it, and no text of people deceives") {
    LockRecord record;
    record.owner = "0123456789abcdef";
    record.host = R"(","owner":"fedc",")";
    CHECK(is_of(encode(record), "0123456789abcdef"));
    CHECK_FALSE(is_of(encode(record), "fedc"));
    CHECK_FALSE(is_of(encode(record), "0123456789abcde"));
    CHECK_FALSE(is_of(encode(record), "0123456789abcdef0"));
    CHECK_FALSE(is_of(encode(record), ""));
    CHECK_FALSE(is_of(R"({"v":1,"operation":"owner"})", "0123456789abcdef"));
    CHECK_FALSE(is_of(R"({"owner":"0123)", "0123"));
  }

  TEST_CASE("texts of people are cut, and odd bytes in them made harmless") {
    LockRecord record = decode_record(kRecord).value();
    record.progress = std::string(10'000, 'x');
    record.operation = "a\n\xff\"";
    const LockRecord again = decode_record(encode(record)).value();
    CHECK(again.progress.size() <= kTextMost + 3);
    CHECK(again.operation == "a\\x0a\\xff\"");
  }

  TEST_CASE("what is no record is corrupt and says why") {
    for (const char* text : {"", "locked", "[]", "{", "{}", "{\"v\":1}", "null"})
      CHECK(decode_record(text).error().code == Errc::corrupt);
    check_corrupt(with(kRecord, "\"v\":1", "\"v\":2"),
                  "lock record: member 'v': made by a newer program");
    check_corrupt(with(kRecord, "manual_rebuild", "manual"),
                  "lock record: member 'class': no class of lock");
    check_corrupt(with(kRecord, ":42", ":0"), "lock record: member 'fence': not above 0");
    check_corrupt(with(kRecord, ":42", ":1e3"),
                  "lock record: member 'fence': not a whole number of 64 bits");
    check_corrupt(with(kRecord, ":42", ":\"42\""),
                  "lock record: member 'fence': not a whole number of 64 bits");
    check_corrupt(with(kRecord, ":1800000", ":99999999999999"),
                  "lock record: member 'ttl_ms': out of range");
    check_corrupt(with(kRecord, "\"owner\"", "\"other\""),
                  "lock record: member 'owner': is missing");
    check_corrupt(with(kRecord, "\"node-1\"", "7"), "lock record: member 'host': not a text");
    check_corrupt(with(kRecord, "false", "0"),
                  "lock record: member 'asked_to_yield': neither true nor false");
    check_corrupt(std::string(kRecord) + "x", "lock record: something follows it");
    check_corrupt(with(kRecord, "2026-03", "2026-13"),
                  "lock record: member 'acquired_at': no time");
  }

  TEST_CASE("every prefix of a record is corrupt") {
    for (std::size_t size = 0; size < kRecord.size(); ++size)
      CHECK(decode_record(kRecord.substr(0, size)).error().code == Errc::corrupt);
    for (std::size_t size = 0; size < kWaiter.size(); ++size)
      CHECK(decode_waiter(kWaiter.substr(0, size)).error().code == Errc::corrupt);
  }

  TEST_CASE("a request names an element, perhaps a waiter, and a TTL within bounds") {
    LockRequest request;
    request.element = "se-01";
    CHECK(check_request(request));
    request.waiter = "node-1.4711_x";
    request.ttl = std::chrono::milliseconds(100);
    CHECK(check_request(request));
    request.element = std::string(70, 'a');
    CHECK(check_request(request));
    request.waiter = std::string(65, 'a');
    CHECK(check_request(request).error().code == Errc::invalid_argument);
    request.waiter = std::string(64, 'a');
    CHECK(check_request(request));
    for (const std::string& element :
         {std::string(), std::string("a:b"), std::string("a b"), std::string(71, 'a'),
          std::string("a\0b", 3), std::string("\xd0\xb0")}) {
      LockRequest other = request;
      other.element = element;
      CHECK(check_request(other).error().code == Errc::invalid_argument);
      if (element.empty()) continue;
      other = request;
      other.waiter = element;
      CHECK(check_request(other).error().code == Errc::invalid_argument);
    }
    for (const std::int64_t ttl : {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, std::int64_t{99},
                                   std::int64_t{86'400'001}, INT64_MAX}) {
      request.ttl = std::chrono::milliseconds(ttl);
      CHECK(check_request(request).error().code == Errc::invalid_argument);
    }
  }

  TEST_CASE("a holder is shown with ages by the backend's clock, the highest class first") {
    LockRecord record = decode_record(kRecord).value();
    const LockHolder shown = to_holder("se-01", record, Time(7'203'000'000));
    CHECK(shown.age == std::chrono::seconds(3));
    CHECK(shown.expires_in == std::chrono::seconds(1798));
    CHECK(shown.progress == "1200 of 50000");
    record.lock_class = LockClass::lazy_rebuild;
    record.fence = 41;
    std::vector<LockHolder> all{to_holder("se-02", record, Time(0)),
                                to_holder("se-01", record, Time(0)), shown};
    sort_holders(all);
    CHECK(all[0].fence == 42);
    CHECK(all[1].element == "se-01");
    CHECK(all[2].element == "se-02");
  }
}

}  // namespace artcache::locks
