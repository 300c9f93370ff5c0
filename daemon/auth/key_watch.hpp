// SPDX-License-Identifier: Apache-2.0
// Has keys read again and again on a thread that nobody else waits for.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

namespace artcache::auth {

/// Safe to use from any thread.
class KeyWatch {
 public:
  using Time = std::chrono::milliseconds;
  /// Makes use of what was read. Never called while the KeyWatch ends, nor behind its end.
  using Take = std::function<void()>;
  /// May hang, with the file system that the keys are on, and goes on then when the KeyWatch has
  /// ended: it needs nothing that could be gone by then.
  using Read = std::function<Take()>;
  /// Says what there is to say of that which was just taken. May block, as a log does: nobody waits
  /// for it but the next read and the end of the KeyWatch.
  using Tell = std::function<void()>;

  /// None of the three may throw or call this.
  KeyWatch(Read read, Tell tell, Time every = Time(10'000));
  /// Waits for a read that is under way, but a second at most, and for none that hangs. What was
  /// taken is told first, however long that takes: who is told may be gone behind this.
  ~KeyWatch();
  KeyWatch(const KeyWatch&) = delete;
  KeyWatch& operator=(const KeyWatch&) = delete;

  /// Begins to read every so often. Once; before that nothing is read.
  void start();
  /// Has them read and waits until that is taken, for `patience` at most; not at all while a read
  /// goes on that somebody has waited for in vain. Whether it was.
  [[nodiscard]] bool read_now(Time patience);

 private:
  class State;
  const std::shared_ptr<State> state_;  // of the thread, too
  std::thread thread_;
};

}  // namespace artcache::auth
