// SPDX-License-Identifier: Apache-2.0
#include "util/pause.hpp"

#include <condition_variable>
#include <mutex>

namespace artcache::util {

bool pause_for(std::chrono::nanoseconds most, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock held(mutex);
  never.wait_for(held, stop, most, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace artcache::util
