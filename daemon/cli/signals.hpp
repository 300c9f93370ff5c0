// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM as a stop token.
#pragma once

#include <stop_token>

namespace artcache::cli {

/// To be called first in main(), before any thread begins: both signals are taken by one thread
/// from then on. The first one asks to stop, the second one ends the process at once.
void take_signals();

/// Set by the first signal.
std::stop_token stop_requested();

}  // namespace artcache::cli
