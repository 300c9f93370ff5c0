// SPDX-License-Identifier: Apache-2.0
// What the locks beside an element's own are called.
#pragma once

#include <artcache/file_id.hpp>
#include <string>
#include <string_view>

namespace artcache::locks {

inline constexpr std::string_view kFilesPrefix = "files.", kFilePrefix = "file.";
inline constexpr std::size_t kElementMost = 64;  ///< bytes of the name of an element

/// What those who change files of an element hold, to be known of: kFilesPrefix.size() longer.
inline std::string lock_of_writers(std::string_view element) {
  return std::string(kFilesPrefix) += element;
}
/// What keeps a file to one writer.
inline std::string lock_of_file(const FileId& id) {
  return std::string(kFilePrefix) += to_string(id);
}
/// True for names that no element may have: its locks would be these.
inline bool is_lock_beside(std::string_view name) {
  return name.starts_with(kFilesPrefix) || name.starts_with(kFilePrefix);
}

}  // namespace artcache::locks
