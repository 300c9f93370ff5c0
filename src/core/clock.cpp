// SPDX-License-Identifier: Apache-2.0
#include <artcache/clock.hpp>

namespace artcache {
namespace {

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override {
    return Timestamp(std::chrono::duration_cast<Timestamp::Duration>(
        std::chrono::system_clock::now().time_since_epoch()));
  }
  [[nodiscard]] SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace artcache
