// SPDX-License-Identifier: Apache-2.0
// Which artcache this is.
#pragma once

#include <artcache/export.hpp>
#include <string_view>

#define ARTCACHE_VERSION_MAJOR 0
#define ARTCACHE_VERSION_MINOR 1
#define ARTCACHE_VERSION_PATCH 0

namespace artcache {

/// The version of the library linked, "0.1.0"; compare with the macros to find a mixed build.
ARTCACHE_EXPORT std::string_view version();

}  // namespace artcache
