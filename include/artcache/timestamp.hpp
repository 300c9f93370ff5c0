// SPDX-License-Identifier: Apache-2.0
// A moment in UTC, to the microsecond, and the texts it is read from and written as.
#pragma once

#include <artcache/export.hpp>
#include <artcache/result.hpp>
#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace artcache {

/// A value: microseconds since 1970-01-01T00:00:00 UTC, from year 1 to year 9999.
class ARTCACHE_EXPORT Timestamp {
 public:
  using Duration = std::chrono::microseconds;

  constexpr Timestamp() = default;  ///< 1970-01-01T00:00:00+00:00
  constexpr explicit Timestamp(Duration since_epoch) : since_epoch_(since_epoch) {}

  /// Reads `2026-03-02T10:11:12.345678+00:00` and its relatives: `T` or a space between date and
  /// time, 0 to 9 fraction digits (cut to microseconds), `Z`, `+HH:MM`, `+HHMM`, `+HH` or nothing,
  /// which means UTC. Second 60 counts as the next second.
  /// Errors: invalid_argument, naming the part that is wrong.
  static Result<Timestamp> parse(std::string_view text);

  /// 0001-01-01T00:00:00 and 9999-12-31T23:59:59.999999: what can be written and read back.
  static constexpr Timestamp min() { return Timestamp(Duration(-62135596800000000)); }
  static constexpr Timestamp max() { return Timestamp(Duration(253402300799999999)); }

  [[nodiscard]] constexpr Duration since_epoch() const { return since_epoch_; }
  [[nodiscard]] constexpr std::int64_t micros() const { return since_epoch_.count(); }

  friend constexpr auto operator<=>(Timestamp, Timestamp) = default;
  friend constexpr Timestamp operator+(Timestamp t, Duration d) {
    return Timestamp(t.since_epoch_ + d);
  }
  friend constexpr Timestamp operator-(Timestamp t, Duration d) {
    return Timestamp(t.since_epoch_ - d);
  }
  friend constexpr Duration operator-(Timestamp a, Timestamp b) {
    return a.since_epoch_ - b.since_epoch_;
  }

 private:
  Duration since_epoch_{0};
};

/// How a Timestamp is written. Both always carry six fraction digits.
enum class TimestampStyle : std::uint8_t {
  offset,  ///< 2026-03-02T10:11:12.345678+00:00: sidecars, element, admin, ingester
  zulu,    ///< 2026-03-02T10:11:12.345678Z: events, cache API, inventory
};
/// A moment outside min() and max() is written as the nearer of the two.
ARTCACHE_EXPORT std::string to_string(Timestamp time,
                                      TimestampStyle style = TimestampStyle::offset);

/// Year, month, day, hour in UTC, kept within min() and max(): what upload folders are named after.
struct CalendarHour {
  int year = 1970;
  unsigned month = 1, day = 1, hour = 0;
  friend bool operator==(const CalendarHour&, const CalendarHour&) = default;
};
ARTCACHE_EXPORT CalendarHour calendar_hour(Timestamp time);

}  // namespace artcache
