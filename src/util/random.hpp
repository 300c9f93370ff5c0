// SPDX-License-Identifier: Apache-2.0
// Bytes that nobody can guess, from the kernel.
#pragma once

#include <cstdint>
#include <span>

namespace artcache::util {

/// Fills `out` with cryptographically strong bytes. Waits only on a machine so freshly booted
/// that the kernel has no entropy yet; does not fail on Linux.
void fill_random(std::span<std::uint8_t> out);

}  // namespace artcache::util
