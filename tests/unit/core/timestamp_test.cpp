// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <artcache/timestamp.hpp>

#include <chrono>
#include <cstdio>
#include <random>
#include <string>

#include "unit/core/attr/vectors.hpp"

namespace artcache {
namespace {

using std::chrono::microseconds;
using namespace std::chrono_literals;

constexpr std::int64_t kDay = 86'400'000'000;
constexpr std::int64_t kStart = 1'772'446'272'000'000;  // 2026-03-02T10:11:12Z

/// Microseconds since 1970, or a failed test.
std::int64_t micros(std::string_view text) {
  const auto time = Timestamp::parse(text);
  CHECK_MESSAGE(time.has_value(), std::string(text));
  return time ? time->micros() : 0;
}

/// The whole message, without the text that it quotes.
std::string refusal(std::string_view text) {
  const auto time = Timestamp::parse(text);
  if (time) return "accepted";
  CHECK(time.error().code == Errc::invalid_argument);
  const std::string& message = time.error().message;
  return message.starts_with("timestamp: '") ? message.substr(message.rfind("': ") + 3) : message;
}

std::string date_text(int year, int month, int day) {
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
  return text;
}

bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/// Checks one day in all directions; `days` since 1970 counted by the caller.
void check_day(int year, unsigned month, unsigned day, std::int64_t days) {
  const std::string date = date_text(year, static_cast<int>(month), static_cast<int>(day));
  const Timestamp first{microseconds(days * kDay)}, last{microseconds(days * kDay + kDay - 1)};
  const CalendarHour hour{year, month, day, 0}, last_hour{year, month, day, 23};
  const bool good = to_string(first) == date + "T00:00:00.000000+00:00" &&
                    to_string(last) == date + "T23:59:59.999999+00:00" &&
                    Timestamp::parse(date + "T00:00:00").value() == first &&
                    Timestamp::parse(date + " 23:59:59.999999999Z").value() == last &&
                    calendar_hour(first) == hour && calendar_hour(last) == last_hour;
  if (!good) FAIL_CHECK(date);
}

TEST_SUITE("timestamp") {
  TEST_CASE("every way of writing one moment is read as that moment") {
    for (const char* text :
         {"2026-03-02T10:11:12.345678+00:00", "2026-03-02T10:11:12.345678Z",
          "2026-03-02T10:11:12.345678", "2026-03-02 10:11:12.345678", "2026-03-02 10:11:12.345678Z",
          "2026-03-02t10:11:12.345678z", "2026-03-02T10:11:12,345678Z",
          "2026-03-02T10:11:12.345678-00:00", "2026-03-02T10:11:12.345678+0000",
          "2026-03-02T10:11:12.345678+00", "2026-03-02T13:11:12.345678+03:00",
          "2026-03-02T13:11:12.345678+0300", "2026-03-02T13:11:12.345678+03",
          "2026-03-02T04:41:12.345678-0530", "2026-03-02T04:41:12.345678-05:30",
          "2026-03-03T10:10:12.345678+23:59", "2026-03-01T10:12:12.345678-23:59"}) {
      CAPTURE(text);
      CHECK(micros(text) == kStart + 345'678);
    }
  }

  TEST_CASE("zero to nine fraction digits are read and cut to microseconds, never rounded") {
    const std::pair<const char*, std::int64_t> rows[] = {
        {"", 0},
        {".1", 100'000},
        {".12", 120'000},
        {".123", 123'000},
        {".1234", 123'400},
        {".12345", 123'450},
        {".123456", 123'456},
        {".1234567", 123'456},
        {".12345678", 123'456},
        {".123456789", 123'456},
        {".999999999", 999'999},
        {".000000999", 0},
        {".0", 0},
    };
    for (const auto& row : rows) {
      CAPTURE(row.first);
      for (const char* zone : {"", "Z", "+00:00"})
        CHECK(micros("2026-03-02T10:11:12" + std::string(row.first) + zone) == kStart + row.second);
    }
  }

  TEST_CASE("a fraction without digits, or with ten or more, is an error of the fraction") {
    for (const std::string& fraction :
         {std::string("."), std::string(","), std::string(".0123456789"),
          "." + std::string(100'000, '9')})
      for (const char* zone : {"", "Z", "+00:00"})
        CHECK(refusal("2026-03-02T10:11:12" + fraction + zone) == "bad fraction");
  }

  TEST_CASE("second 60 is the first of the next minute") {
    CHECK(micros("2016-12-31T23:59:60Z") == micros("2017-01-01T00:00:00Z"));
    CHECK(micros("2016-12-31T23:59:60.5Z") == micros("2017-01-01T00:00:00.5Z"));
    CHECK(micros("2017-01-01T02:59:60+03:00") == micros("2017-01-01T00:00:00Z"));
    CHECK(refusal("2016-12-31T23:59:61Z") == "bad time");
    CHECK(refusal("9999-12-31T23:59:60Z") == "bad year");
  }

  TEST_CASE("an offset may carry a moment into another year") {
    CHECK(micros("2026-01-01T00:30:00+01:00") == micros("2025-12-31T23:30:00Z"));
    CHECK(micros("2025-12-31T23:30:00-01:00") == micros("2026-01-01T00:30:00Z"));
    CHECK(micros("2024-03-01T00:00:00+00:01") == micros("2024-02-29T23:59:00Z"));
    CHECK(micros("0001-01-01T01:00:00+01:00") == Timestamp::min().micros());
    CHECK(micros("9999-12-31T22:59:59.999999-01:00") == Timestamp::max().micros());
  }

  TEST_CASE("an offset that leads out of the years 1 to 9999 is an error of the year") {
    CHECK(refusal("0001-01-01T00:00:00+00:01") == "bad year");
    CHECK(refusal("0001-01-01T23:58:59.999999+23:59") == "bad year");
    CHECK(refusal("9999-12-31T23:59:59.999999-00:01") == "bad year");
    CHECK(refusal("9999-12-31T23:59:00-23:59") == "bad year");
  }

  TEST_CASE("each part that is wrong is named") {
    const std::pair<const char*, const char*> rows[] = {
        {"", "bad date"},
        {"yesterday", "bad date"},
        {"2026", "bad date"},
        {"2026-3-02T10:11:12", "bad date"},
        {"2026/03/02T10:11:12", "bad date"},
        {"20260302T101112Z", "bad date"},
        {"12026-03-02T10:11:12", "bad date"},
        {"-026-03-02T10:11:12", "bad date"},
        {"+2026-03-02T10:11:12", "bad date"},
        {" 2026-03-02T10:11:12", "bad date"},
        {"0000-12-31T23:59:59", "bad date"},
        {"2026-00-01T00:00:00", "bad date"},
        {"2026-13-01T00:00:00", "bad date"},
        {"2026-01-00T00:00:00", "bad date"},
        {"2026-01-32T00:00:00", "bad date"},
        {"2026-04-31T00:00:00", "bad date"},
        {"2026-02-29T00:00:00", "bad date"},
        {"1900-02-29T00:00:00", "bad date"},
        {"2026-03-02", "bad mark between date and time"},
        {"2026-03-02_10:11:12", "bad mark between date and time"},
        {"2026-03-02 ", "bad time"},
        {"2026-03-02  10:11:12", "bad time"},
        {"2026-03-02T10:11", "bad time"},
        {"2026-03-02T10:1:12", "bad time"},
        {"2026-03-02T24:00:00", "bad time"},
        {"2026-03-02T10:60:00", "bad time"},
        {"2026-03-02T-1:00:00", "bad time"},
        {"2026-03-02T10:11:12z+1", "bad offset"},
        {"2026-03-02T10:11:12 Z", "bad offset"},
        {"2026-03-02T10:11:12Z ", "bad offset"},
        {"2026-03-02T10:11:12UTC", "bad offset"},
        {"2026-03-02T10:11:12+", "bad offset"},
        {"2026-03-02T10:11:12+1", "bad offset"},
        {"2026-03-02T10:11:12+1:00", "bad offset"},
        {"2026-03-02T10:11:12+01:", "bad offset"},
        {"2026-03-02T10:11:12+01:0", "bad offset"},
        {"2026-03-02T10:11:12+01:000", "bad offset"},
        {"2026-03-02T10:11:12+24:00", "bad offset"},
        {"2026-03-02T10:11:12+01:60", "bad offset"},
        {"2026-03-02T10:11:12+-1:00", "bad offset"},
    };
    for (const auto& row : rows) {
      CAPTURE(row.first);
      CHECK(refusal(row.first) == row.second);
    }
  }

  TEST_CASE("the message quotes what was given, cut and made printable") {
    CHECK(Timestamp::parse("noon").error().message == "timestamp: 'noon': bad date");
    using std::string_view_literals::operator""sv;
    CHECK(Timestamp::parse("2026-03-02T10:11:12Z\0"sv).error().message ==
          "timestamp: '2026-03-02T10:11:12Z\\x00': bad offset");
    CHECK(Timestamp::parse("\x1b[31m\xff\n"sv).error().message ==
          "timestamp: '\\x1b[31m\\xff\\x0a': bad date");
    const auto huge = Timestamp::parse(std::string(10'000'000, '7'));
    CHECK(huge.error().message == "timestamp: '" + std::string(40, '7') + "': bad date");
  }

  TEST_CASE("digits of other scripts and bytes that are not text are no digits") {
    CHECK(refusal("２０２６-03-02T10:11:12Z") == "bad date");
    CHECK(refusal("٢٠٢٦-03-02T10:11:12Z") == "bad date");
    CHECK(refusal("2026-03-02T1\xff:11:12Z") == "bad time");
    CHECK(refusal(std::string_view("2026\0-03-02T10:11:12Z", 22)) == "bad date");
  }

  TEST_CASE("the first, last, and leap days of every year from 1 to 9999 are read and written") {
    std::int64_t days = -719'162;  // 0001-01-01
    for (int year = 1; year <= 9999; ++year) {
      const bool leap = is_leap(year);
      check_day(year, 1, 1, days);
      check_day(year, 2, 28, days + 58);
      if (leap) check_day(year, 2, 29, days + 59);
      check_day(year, 3, 1, days + (leap ? 60 : 59));
      days += leap ? 366 : 365;
      check_day(year, 12, 31, days - 1);
      if (const std::string text = date_text(year, 2, 29) + "T00:00:00Z";
          Timestamp::parse(text).has_value() != leap)
        FAIL_CHECK(text);
    }
    CHECK(days * kDay == Timestamp::max().micros() + 1);
  }

  TEST_CASE("the ends of the range are what they are called") {
    CHECK(to_string(Timestamp::min()) == "0001-01-01T00:00:00.000000+00:00");
    CHECK(to_string(Timestamp::max()) == "9999-12-31T23:59:59.999999+00:00");
    CHECK(Timestamp::parse("0001-01-01T00:00:00").value() == Timestamp::min());
    CHECK(Timestamp::parse("9999-12-31T23:59:59.999999999").value() == Timestamp::max());
    CHECK(to_string(Timestamp()) == "1970-01-01T00:00:00.000000+00:00");
    CHECK(to_string(Timestamp(microseconds(-1))) == "1969-12-31T23:59:59.999999+00:00");
  }

  TEST_CASE("both styles carry six digits and differ in the offset alone") {
    const Timestamp time{microseconds(kStart + 5)};
    CHECK(to_string(time) == "2026-03-02T10:11:12.000005+00:00");
    CHECK(to_string(time, TimestampStyle::offset) == "2026-03-02T10:11:12.000005+00:00");
    CHECK(to_string(time, TimestampStyle::zulu) == "2026-03-02T10:11:12.000005Z");
  }

  TEST_CASE("a moment out of range is written as the end that is nearer") {
    for (const Timestamp late : {Timestamp::max() + 1us, Timestamp(microseconds::max())}) {
      CHECK(to_string(late) == to_string(Timestamp::max()));
      CHECK(calendar_hour(late) == CalendarHour{9999, 12, 31, 23});
    }
    for (const Timestamp early : {Timestamp::min() - 1us, Timestamp(microseconds::min())}) {
      CHECK(to_string(early, TimestampStyle::zulu) == "0001-01-01T00:00:00.000000Z");
      CHECK(calendar_hour(early) == CalendarHour{1, 1, 1, 0});
    }
  }

  TEST_CASE("whatever is written is read back as the same moment") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    std::uniform_int_distribution<std::int64_t> any(Timestamp::min().micros(),
                                                    Timestamp::max().micros());
    std::string before = to_string(Timestamp::min());
    for (int i = 0; i < 20'000; ++i) {
      const Timestamp time{microseconds(any(random))};
      const std::string text = to_string(time);
      if (text.size() != 32 || Timestamp::parse(text).value() != time ||
          Timestamp::parse(to_string(time, TimestampStyle::zulu)).value() != time)
        FAIL_CHECK(time.micros());
      if ((text < before) != (time < Timestamp::parse(before).value())) FAIL_CHECK(text);
      before = text;
    }
  }

  TEST_CASE("a random offset moves the moment by just as much") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 5'000; ++i) {
      const int minutes = static_cast<int>(random() % 2879) - 1439;
      const std::int64_t at = static_cast<std::int64_t>(random() % 4'000'000'000'000'000);
      char zone[16];
      const int size = minutes < 0 ? -minutes : minutes;
      std::snprintf(zone, sizeof zone, random() % 2 == 0 ? "%c%02d:%02d" : "%c%02d%02d",
                    minutes < 0 ? '-' : '+', size / 60, size % 60);
      const std::string text = to_string(Timestamp(microseconds(at)), TimestampStyle::zulu);
      const auto shifted = Timestamp::parse(text.substr(0, text.size() - 1) + zone);
      if (!shifted || shifted->micros() != at - minutes * 60'000'000LL) FAIL_CHECK(text << zone);
    }
  }

  TEST_CASE("random bytes and random changes to a good text are read or refused, never worse") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 20'000; ++i) {
      std::string text = "2024-02-29T23:59:59.999999+23:59";
      for (std::size_t change = random() % 4 + 1; change > 0; --change)
        text[random() % text.size()] = static_cast<char>(random());
      text.resize(random() % (text.size() + 1));
      if (const auto time = Timestamp::parse(text);
          time && Timestamp::parse(to_string(*time)).value() != *time)
        FAIL_CHECK(text);
    }
  }

  TEST_CASE("moments are compared, moved and subtracted as the numbers they are") {
    constexpr Timestamp time{microseconds(kStart)};
    static_assert(time + 1s > time && time - 1us < time && time - 1us + 1us == time);
    static_assert((time + 90min) - time == 90min);
    static_assert(Timestamp() == Timestamp(0us) && Timestamp::min() < Timestamp::max());
    CHECK(time.since_epoch() == microseconds(kStart));
    CHECK(time.micros() == kStart);
  }

  TEST_CASE("the hour that a folder is named after is that of UTC") {
    CHECK(calendar_hour(Timestamp{microseconds(kStart)}) == CalendarHour{2026, 3, 2, 10});
    CHECK(calendar_hour(Timestamp()) == CalendarHour{});
    CHECK(calendar_hour(Timestamp(microseconds(-1))) == CalendarHour{1969, 12, 31, 23});
    CHECK(calendar_hour(Timestamp::parse("2024-03-01T02:59:59+03:00").value()) ==
          CalendarHour{2024, 2, 29, 23});
    CHECK(calendar_hour(Timestamp::min()) == CalendarHour{1, 1, 1, 0});
    CHECK(calendar_hour(Timestamp::max()) == CalendarHour{9999, 12, 31, 23});
  }
}

}  // namespace
}  // namespace artcache
