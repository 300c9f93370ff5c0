// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <artcache/content.hpp>

namespace artcache::attr {

/// Computes all of `out` anew that prepare() computes from its entry. Its buffers are used again.
void prepare_again(PreparedEntry& out);

}  // namespace artcache::attr
