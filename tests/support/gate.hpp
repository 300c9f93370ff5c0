// SPDX-License-Identifier: Apache-2.0
// Holds a thread where a test wants it, until the test has done something beside it.
#pragma once

#include <atomic>

namespace artcache::test {

/// Once armed, keeps the first who comes until it is opened.
class Gate {
 public:
  ~Gate() { open(); }
  void arm() { armed_ = true; }
  void pass() {
    if (!armed_.exchange(false)) return;
    met_ = true;
    met_.notify_all();
    open_.wait(false);
  }
  void wait_until_met() const { met_.wait(false); }
  void open() {
    open_ = true;
    open_.notify_all();
  }

 private:
  std::atomic<bool> armed_{false}, met_{false}, open_{false};
};

}  // namespace artcache::test
