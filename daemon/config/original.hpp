// SPDX-License-Identifier: Apache-2.0
// What the original reads from the environment and nothing here does.
#pragma once

#include <string_view>

namespace artcache::config {

/// Why such a variable has no effect, and what does instead; empty for every other name.
std::string_view original_only(std::string_view variable);

}  // namespace artcache::config
