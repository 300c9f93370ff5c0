// SPDX-License-Identifier: Apache-2.0
#include "http/body_pace.hpp"

#include <algorithm>

namespace artcache::http {
namespace {

// Where no pause is too long, the rate is still that of some time.
constexpr std::chrono::seconds kSlack{60};

}  // namespace

BodyPace::BodyPace(const Limits& limits)
    : first_byte_(limits.first_byte_timeout),
      silence_(limits.body_timeout),
      rate_(limits.body_rate) {}

void BodyPace::received(std::uint64_t bytes) {
  if (bytes <= received_) return;
  if (rate_ > 0) {
    using Seconds = std::chrono::duration<double>;
    const Seconds earned(static_cast<double>(bytes - received_) / static_cast<double>(rate_));
    behind_ = earned >= behind_ ? Time(0) : behind_ - std::chrono::duration_cast<Time>(earned);
  }
  received_ = bytes;
  silent_ = Time(0);
}

void BodyPace::waited(Time time) {
  silent_ += time;
  behind_ += time;
}

BodyPace::Time BodyPace::slack() const { return silence_ > Time(0) ? silence_ : Time(kSlack); }

std::optional<BodyPace::Time> BodyPace::patience() const {
  std::optional<Time> least;
  const auto limit = [&](Time left) { least = std::min(least.value_or(left), left); };
  if (received_ == 0 && first_byte_ > Time(0)) limit(first_byte_ - silent_);
  if (silence_ > Time(0)) limit(silence_ - silent_);
  if (rate_ > 0) limit(slack() - behind_);
  return least;
}

std::string BodyPace::complaint() const {
  if (received_ == 0) return "body: it did not begin in time";
  if (silence_ > Time(0) && silent_ >= silence_) return "body: nothing came for too long";
  return "body: it comes slower than " + std::to_string(rate_) + " bytes a second";
}

}  // namespace artcache::http
