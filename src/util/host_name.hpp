// SPDX-License-Identifier: Apache-2.0
// What this machine calls itself.
#pragma once

#include <string>

namespace artcache::util {

/// For people to read; "unknown" where the kernel does not tell. Nothing is decided by it.
std::string host_name();

}  // namespace artcache::util
