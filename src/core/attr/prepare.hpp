// SPDX-License-Identifier: Apache-2.0
// prepare() in two steps: most sidecars that are opened say what the index knows already, and then
// the first one is enough.
#pragma once

#include <artcache/content.hpp>

namespace artcache::attr {

/// The content and its hash.
PreparedEntry begin_preparing(FileEntry entry);
/// The rest of what prepare() computes.
void finish_preparing(PreparedEntry& entry);

}  // namespace artcache::attr
