// SPDX-License-Identifier: Apache-2.0
// Long work that gets out of the way of short work.
#pragma once

namespace artcache::util {

/// While one is there, its thread, and the threads that this one starts meanwhile, interrupt nobody
/// when they wake up: who is at work goes on until its turn is over. Their share of the processors
/// stays the same. To be destroyed by the thread that made it. Where the system refuses, or the
/// host has chosen a policy of its own, nothing changes.
class Background {
 public:
  Background();
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

 private:
  bool changed_ = false;
};

}  // namespace artcache::util
