// SPDX-License-Identifier: Apache-2.0
#include <artcache/timestamp.hpp>

#include <algorithm>
#include <array>

#include "util/utf8.hpp"

namespace artcache {
namespace {

using std::chrono::days;
using std::chrono::sys_days;

constexpr std::size_t kShownMost = 40;  // of a text that is refused

/// Takes digits and marks off the front of a text; every take() fails softly.
class Reader {
 public:
  explicit Reader(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  template <int kDigits>
  bool take_number(int& number) {
    if (end_ - at_ < kDigits) return false;
    int n = 0;
    for (int i = 0; i < kDigits; ++i) {
      const int digit = at_[i] - '0';
      if (digit < 0 || digit > 9) return false;
      n = n * 10 + digit;
    }
    at_ += kDigits;
    number = n;
    return true;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] bool done() const { return at_ == end_; }

 private:
  const char* at_;
  const char* end_;
};

struct Fields {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  std::int64_t micros = 0;
  int offset_minutes = 0;
};

/// Up to nine digits behind a dot; the first six count.
bool take_fraction(Reader& in, std::int64_t& micros) {
  int digits = 0;
  for (int digit = 0; in.take_number<1>(digit); ++digits)
    if (digits < 6) micros = micros * 10 + digit;
  for (int i = digits; i < 6; ++i) micros *= 10;
  return digits >= 1 && digits <= 9;
}

bool take_offset(Reader& in, int& minutes) {
  if (in.done() || in.take('Z') || in.take('z')) return true;
  const bool west = in.take('-');
  if (!west && !in.take('+')) return false;
  int hour = 0, minute = 0;
  if (!in.take_number<2>(hour)) return false;
  if (!in.done() && (in.take(':'), !in.take_number<2>(minute))) return false;
  if (hour > 23 || minute > 59) return false;
  minutes = (hour * 60 + minute) * (west ? -1 : 1);
  return true;
}

/// The name of the part that is wrong, or nullptr.
const char* read_fields(std::string_view text, Fields& f) {
  Reader in(text);
  if (!in.take_number<4>(f.year) || !in.take('-') || !in.take_number<2>(f.month) || !in.take('-') ||
      !in.take_number<2>(f.day))
    return "date";
  if (!in.take('T') && !in.take(' ') && !in.take('t')) return "mark between date and time";
  if (!in.take_number<2>(f.hour) || !in.take(':') || !in.take_number<2>(f.minute) ||
      !in.take(':') || !in.take_number<2>(f.second))
    return "time";
  if ((in.take('.') || in.take(',')) && !take_fraction(in, f.micros)) return "fraction";
  if (!take_offset(in, f.offset_minutes) || !in.done()) return "offset";
  return nullptr;
}

Error bad(std::string_view text, const char* part) {
  return Error{Errc::invalid_argument,
               "timestamp: '" + util::printable(text, kShownMost) + "': bad " + part};
}

char* write_number(char* to, std::int64_t number, int width) {
  for (int i = width - 1; i >= 0; --i, number /= 10) to[i] = static_cast<char>('0' + number % 10);
  return to + width;
}

/// A moment taken apart.
struct Parts {
  std::chrono::year_month_day date;
  std::int64_t micros = 0;  // of the day

  explicit Parts(Timestamp time) {
    const Timestamp::Duration since =
        std::clamp(time, Timestamp::min(), Timestamp::max()).since_epoch();
    const auto day = std::chrono::floor<days>(since);
    date = sys_days(day);
    micros = (since - day).count();
  }
};

}  // namespace

Result<Timestamp> Timestamp::parse(std::string_view text) {
  Fields f;
  if (const char* part = read_fields(text, f)) return bad(text, part);
  const std::chrono::year_month_day date{std::chrono::year(f.year),
                                         std::chrono::month(static_cast<unsigned>(f.month)),
                                         std::chrono::day(static_cast<unsigned>(f.day))};
  if (!date.ok() || f.year < 1) return bad(text, "date");
  if (f.hour > 23 || f.minute > 59 || f.second > 60) return bad(text, "time");
  const std::int64_t seconds = std::int64_t{sys_days(date).time_since_epoch().count()} * 86400 +
                               f.hour * 3600 + f.minute * 60 + f.second -
                               std::int64_t{f.offset_minutes} * 60;
  const Timestamp time(Duration(seconds * 1'000'000 + f.micros));
  if (time < min() || time > max()) return bad(text, "year");
  return time;
}

std::string to_string(Timestamp time, TimestampStyle style) {
  const auto [date, micros] = Parts(time);
  std::array<char, 32> text;
  char* to = text.data();
  const auto add = [&to](std::int64_t number, int width, char mark) {
    to = write_number(to, number, width);
    *to++ = mark;
  };
  add(static_cast<int>(date.year()), 4, '-');
  add(static_cast<unsigned>(date.month()), 2, '-');
  add(static_cast<unsigned>(date.day()), 2, 'T');
  add(micros / 3'600'000'000, 2, ':');
  add(micros / 60'000'000 % 60, 2, ':');
  add(micros / 1'000'000 % 60, 2, '.');
  to = write_number(to, micros % 1'000'000, 6);
  const std::string_view zone = style == TimestampStyle::zulu ? "Z" : "+00:00";
  to += zone.copy(to, zone.size());
  return {text.data(), to};
}

CalendarHour calendar_hour(Timestamp time) {
  const auto [date, micros] = Parts(time);
  return {static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()), static_cast<unsigned>(micros / 3'600'000'000)};
}

}  // namespace artcache
