// SPDX-License-Identifier: Apache-2.0
// What stat() says, as a stamp.
#pragma once

#include <sys/stat.h>

#include <artcache/storage_backend.hpp>
#include <cstdint>

namespace artcache::file {

/// The mark is mtime in ns, ctime in ns and inode, eight bytes each, big-endian: every change
/// moves ctime, which nobody can set. `modified` is the later of the two times.
FileInfo info_of(const struct stat& found);

/// Changed within the last Stamp::kSettledAfter, or later than now: times move in steps, and a
/// change that comes in the same step leaves the same mark. By the clock that ctime is read off.
bool is_young(const struct stat& found);

}  // namespace artcache::file
