// SPDX-License-Identifier: Apache-2.0
// How fast a client has to send a body.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "http/site.hpp"

namespace artcache::http {

/// Counts the time in which the client is waited for, never that in which it waits for us. One that
/// is behind the least rate by body_timeout is cut, so that a pause that short is fine, and one
/// that was fast for long has no more to spare.
class BodyPace {
 public:
  using Time = std::chrono::nanoseconds;
  explicit BodyPace(const Limits& limits);

  /// So many bytes have come in all.
  void received(std::uint64_t bytes);
  void waited(Time time);
  /// How much longer the next one may take, nothing or less when it is over; no value: for ever.
  [[nodiscard]] std::optional<Time> patience() const;
  /// What the client is told when that is over.
  [[nodiscard]] std::string complaint() const;

 private:
  /// How far behind the rate one may be.
  [[nodiscard]] Time slack() const;

  Time first_byte_, silence_;
  std::uint64_t rate_;
  std::uint64_t received_ = 0;
  Time silent_{0};  ///< since something came
  Time behind_{0};
};

}  // namespace artcache::http
