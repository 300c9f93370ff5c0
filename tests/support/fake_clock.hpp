// SPDX-License-Identifier: Apache-2.0
// A clock that stands still until a test moves it.
#pragma once

#include <artcache/clock.hpp>
#include <atomic>
#include <chrono>

namespace artcache::test {

class FakeClock final : public Clock {
 public:
  /// 2026-03-02T10:11:12Z, a Monday.
  static constexpr Timestamp kStart{std::chrono::seconds(1772446272)};

  [[nodiscard]] Timestamp now() const override {
    return Timestamp(std::chrono::microseconds(wall_.load()));
  }
  [[nodiscard]] SteadyTime steady() const override {
    return SteadyTime(std::chrono::nanoseconds(steady_.load()));
  }

  /// Both clocks move on.
  void advance(std::chrono::nanoseconds by) {
    steady_ += by.count();
    wall_ += std::chrono::duration_cast<std::chrono::microseconds>(by).count();
  }
  /// Only the wall clock jumps, as when an operator or NTP sets it.
  void jump(std::chrono::microseconds by) { wall_ += by.count(); }

 private:
  std::atomic<std::int64_t> wall_{kStart.micros()};
  // Ten years: a deadline by the clock of the machine is over, and who mixes the two is found out.
  std::atomic<std::int64_t> steady_{315'360'000'000'000'000};
};

/// Moves on by so much whenever somebody looks at it, once it was told to.
class ImpatientClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override { return clock_.now(); }
  [[nodiscard]] SteadyTime steady() const override {
    clock_.advance(step_.load());
    return clock_.steady();
  }
  void advance(std::chrono::nanoseconds by) { clock_.advance(by); }
  void step(std::chrono::nanoseconds by) { step_ = by; }

 private:
  mutable FakeClock clock_;
  std::atomic<std::chrono::nanoseconds> step_{std::chrono::nanoseconds(0)};
};

}  // namespace artcache::test
