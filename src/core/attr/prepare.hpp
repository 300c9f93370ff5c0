// SPDX-License-Identifier: Apache-2.0
// What an index stores beside an entry, computed into buffers that are used again.
#pragma once

#include <artcache/content.hpp>

namespace artcache::attr {

/// Computes all of `out` anew that prepare() computes from its entry. Its buffers are used again.
void prepare_again(PreparedEntry& out);

}  // namespace artcache::attr
