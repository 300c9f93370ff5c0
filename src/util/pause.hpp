// SPDX-License-Identifier: Apache-2.0
// Waiting that ends when it is to.
#pragma once

#include <chrono>
#include <stop_token>

namespace artcache::util {

/// Waits so long; false when it was stopped before.
bool pause_for(std::chrono::nanoseconds most, const std::stop_token& stop);

}  // namespace artcache::util
