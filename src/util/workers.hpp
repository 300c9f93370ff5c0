// SPDX-License-Identifier: Apache-2.0
// Threads for the length of one call.
#pragma once

#include <functional>

namespace artcache::util {

/// Runs `work` on `count` threads, of which this one is the first; all have ended when it returns.
/// Fewer run where the system refuses more: `work` must not count on the others. The new threads
/// take no signals of the process, so that the host's handlers run on the host's threads. What
/// `work` throws is thrown here, once all have ended.
void run_workers(unsigned count, const std::function<void()>& work);

}  // namespace artcache::util
