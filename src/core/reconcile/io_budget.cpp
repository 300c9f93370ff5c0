// SPDX-License-Identifier: Apache-2.0
#include <artcache/io_budget.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>

namespace artcache {
namespace {

/// How often a wait looks at the clock and the rate again: both may change meanwhile.
constexpr std::chrono::milliseconds kLook{20};

}  // namespace

class IoBudget::Impl {
 public:
  explicit Impl(const Clock& clock) : clock_(clock) {}

  void set_files(std::uint64_t rate) { change(files_, rate); }
  void set_bytes(std::uint64_t rate) { change(bytes_, rate); }

  Result<void> take(std::uint64_t files, std::uint64_t bytes, const Call& call) {
    if (!limited_.load(std::memory_order_relaxed)) return {};
    std::unique_lock held(mutex_);
    while (true) {
      const Clock::SteadyTime now = clock_.steady();
      const Clock::SteadyTime free = std::max(files_.free_at(now), bytes_.free_at(now));
      if (free <= now) break;
      if (auto alive = call.check("budget", clock_); !alive) return alive;
      changed_.wait_for(held, call.stop, std::min<std::chrono::nanoseconds>(free - now, kLook),
                        [] { return false; });
    }
    const Clock::SteadyTime now = clock_.steady();
    files_.pay(files, now);
    bytes_.pay(bytes, now);
    return {};
  }

 private:
  struct Rate {
    std::uint64_t per_second = 0;
    Clock::SteadyTime paid_until{};

    [[nodiscard]] Clock::SteadyTime free_at(Clock::SteadyTime now) const {
      return per_second == 0 ? now : paid_until;
    }
    void pay(std::uint64_t amount, Clock::SteadyTime now) {
      if (per_second == 0) return;
      const double seconds = static_cast<double>(amount) / static_cast<double>(per_second);
      paid_until = std::max(paid_until, now) + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                                   std::chrono::duration<double>(seconds));
    }
  };

  void change(Rate& rate, std::uint64_t per_second) {
    {
      const std::scoped_lock held(mutex_);
      // A debt of the old rate is no debt of the new one.
      rate = {per_second, clock_.steady()};
      limited_ = files_.per_second != 0 || bytes_.per_second != 0;
    }
    changed_.notify_all();
  }

  const Clock& clock_;
  std::atomic<bool> limited_{false};
  std::mutex mutex_;
  std::condition_variable_any changed_;
  Rate files_, bytes_;  // guarded by mutex_
};

IoBudget::IoBudget(const Clock& clock) : impl_(std::make_unique<Impl>(clock)) {}
IoBudget::~IoBudget() = default;

void IoBudget::set_files_per_second(std::uint64_t files) { impl_->set_files(files); }
void IoBudget::set_bytes_per_second(std::uint64_t bytes) { impl_->set_bytes(bytes); }

Result<void> IoBudget::take(std::uint64_t files, std::uint64_t bytes, const Call& call) {
  return impl_->take(files, bytes, call);
}

}  // namespace artcache
