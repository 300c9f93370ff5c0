// SPDX-License-Identifier: Apache-2.0
#include "util/fd.hpp"

#include <unistd.h>

namespace artcache::util {

void Fd::reset() {
  // Not called again after EINTR: Linux has given the number back by then, perhaps to another
  // thread.
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace artcache::util
