// SPDX-License-Identifier: Apache-2.0
// Any bytes as a moment: refused with an error that quotes little, or written in both styles and
// read again as the same moment.
#include <artcache/timestamp.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using artcache::Timestamp;
using artcache::TimestampStyle;

constexpr std::size_t kMessageMost = 250;

void require(bool good) {
  if (!good) std::abort();
}

void check(std::string_view text) {
  const auto time = Timestamp::parse(text);
  if (!time) {
    require(time.error().code == artcache::Errc::invalid_argument);
    require(time.error().message.starts_with("timestamp: '"));
    require(time.error().message.size() < kMessageMost);
    return;
  }
  require(*time >= Timestamp::min() && *time <= Timestamp::max());
  for (const auto style : {TimestampStyle::offset, TimestampStyle::zulu}) {
    const std::string written = to_string(*time, style);
    const auto again = Timestamp::parse(written);
    require(again.has_value() && *again == *time);
    require(to_string(*again, style) == written);
  }
  const auto hour = calendar_hour(*time);
  require(hour.year >= 1 && hour.year <= 9999 && hour.month >= 1 && hour.month <= 12);
  require(hour.day >= 1 && hour.day <= 31 && hour.hour <= 23);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const char*>(data), size});
  return 0;
}
