// SPDX-License-Identifier: Apache-2.0
// Paths below the root of a storage: names, with '/' between them.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace artcache::util {

/// Where the last '/' is, or npos. rfind() looks at one byte at a time, and this runs for every
/// file that is listed, read or written.
inline std::size_t last_slash(std::string_view path) {
  const void* const slash = ::memrchr(path.data(), '/', path.size());
  if (slash == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(slash) - path.data());
}

/// The folder that a path lies in; "" is the whole.
inline std::string_view folder_of(std::string_view path) {
  const std::size_t slash = last_slash(path);
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

/// True when `folder` is `top`, or lies below it.
inline bool is_within(std::string_view folder, std::string_view top) {
  return top.empty() ||
         (folder.starts_with(top) && (folder.size() == top.size() || folder[top.size()] == '/'));
}

}  // namespace artcache::util
