// SPDX-License-Identifier: Apache-2.0
// ARTCACHE_EXPORT marks what a host may link against; everything else stays hidden.
#pragma once

#if defined(__GNUC__) || defined(__clang__)
#define ARTCACHE_EXPORT __attribute__((visibility("default")))
#else
#define ARTCACHE_EXPORT
#endif
