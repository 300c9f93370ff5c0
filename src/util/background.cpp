// SPDX-License-Identifier: Apache-2.0
#include "util/background.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <exception>
#include <system_error>
#include <thread>

namespace artcache::util {
namespace {

/// A policy that the host has chosen for its threads stays.
void interrupt_nobody() {
  const sched_param none{};
  if (::sched_getscheduler(0) == SCHED_OTHER) ::sched_setscheduler(0, SCHED_BATCH, &none);
}

}  // namespace

void in_background(const std::function<void()>& work) {
  std::exception_ptr thrown;
  std::jthread thread;
  try {
    thread = std::jthread([&] {
      interrupt_nobody();
      step_back();
      try {
        work();
      } catch (...) {
        thrown = std::current_exception();
      }
    });
  } catch (const std::system_error&) {  // no thread is to be had
    return work();
  }
  thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

void step_back() {
  constexpr int kNicer = 5;
  const auto self = static_cast<id_t>(::gettid());
  ::setpriority(PRIO_PROCESS, self, ::getpriority(PRIO_PROCESS, self) + kNicer);
}

}  // namespace artcache::util
