// SPDX-License-Identifier: Apache-2.0
#include "util/background.hpp"

#include <sched.h>

namespace artcache::util {
namespace {

bool follow_policy(int policy) {
  const sched_param none{};
  return ::sched_setscheduler(0, policy, &none) == 0;  // 0: this thread
}

}  // namespace

Background::Background()
    : changed_(::sched_getscheduler(0) == SCHED_OTHER && follow_policy(SCHED_BATCH)) {}

Background::~Background() {
  if (changed_) follow_policy(SCHED_OTHER);
}

}  // namespace artcache::util
