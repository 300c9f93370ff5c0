// SPDX-License-Identifier: Apache-2.0
#include "util/host_name.hpp"

#include <sys/utsname.h>

namespace artcache::util {

std::string host_name() {
  struct utsname names {};
  if (::uname(&names) != 0 || names.nodename[0] == '\0') return "unknown";
  return names.nodename;
}

}  // namespace artcache::util
