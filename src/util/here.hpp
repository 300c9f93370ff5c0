// SPDX-License-Identifier: Apache-2.0
// Where in the sources something stands, for log lines that tell of a fault.
#pragma once

#include <string>
#include <string_view>

namespace artcache::util {

/// "daemon/daemon.cpp:142" of whoever calls it, for the field `source` of an ERROR line. The folder
/// in which it was built is left out.
inline std::string here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  std::string_view path(file);
  for (const std::string_view top : {"/src/", "/daemon/"})
    if (const auto at = path.rfind(top); at != std::string_view::npos) {
      path.remove_prefix(at + 1);
      break;
    }
  return std::string(path) + ":" + std::to_string(line);
}

}  // namespace artcache::util
