// SPDX-License-Identifier: Apache-2.0
// Long work that gets out of the way of short work.
#pragma once

#include <functional>

namespace artcache::util {

/// Runs `work` on a thread of its own and waits for it. That thread, and those that it starts,
/// interrupt nobody when they wake up (who is at work goes on until its turn is over), and have
/// stepped back. What `work` throws is thrown here. Where the system refuses any of it, the work is
/// done all the same: in the end on this thread.
void in_background(const std::function<void()>& work);

/// From now on this thread, and those that it starts, weigh about a third of what they did, where
/// others want the processor, too. There is no way back.
void step_back();

}  // namespace artcache::util
