// SPDX-License-Identifier: Apache-2.0
// prepare() in two steps: most sidecars that are opened say what the index knows already, and then
// the first one is enough.
#pragma once

#include <artcache/content.hpp>

namespace artcache::attr {

/// The content of `out.entry` and its hash. The buffers of `out` are used again, here and below.
void begin_preparing(PreparedEntry& out);
/// The rest of what prepare() computes.
void finish_preparing(PreparedEntry& out);

}  // namespace artcache::attr
