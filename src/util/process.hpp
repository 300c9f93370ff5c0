// SPDX-License-Identifier: Apache-2.0
// Whether this is still the process that it was.
#pragma once

#include <cstdint>

namespace artcache::util {

/// A number that a child made with fork() does not share with its parent, nor with any process
/// before that. Unlike the process id it costs no system call.
std::uint64_t process_number();

}  // namespace artcache::util
