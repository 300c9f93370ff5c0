// SPDX-License-Identifier: Apache-2.0
#include <artcache/version.hpp>

#define ARTCACHE_TEXT_INNER(x) #x
#define ARTCACHE_TEXT(x) ARTCACHE_TEXT_INNER(x)

namespace artcache {

std::string_view version() {
  return ARTCACHE_TEXT(ARTCACHE_VERSION_MAJOR) "." ARTCACHE_TEXT(
      ARTCACHE_VERSION_MINOR) "." ARTCACHE_TEXT(ARTCACHE_VERSION_PATCH);
}

}  // namespace artcache
