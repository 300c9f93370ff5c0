// SPDX-License-Identifier: Apache-2.0
#include "util/workers.hpp"

#include <pthread.h>

#include <csignal>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace artcache::util {
namespace {

// Blocks what is sent to the process, not what a thread does to itself: a host's crash handler
// and profiler still see the workers. A new thread inherits the mask.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    ::sigfillset(&blocked);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF})
      ::sigdelset(&blocked, own);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

void run_workers(unsigned count, const std::function<void()>& work) {
  std::mutex mutex;
  std::exception_ptr thrown;
  const auto guarded = [&] {
    try {
      work();
    } catch (...) {
      const std::scoped_lock guard(mutex);
      if (!thrown) thrown = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    others.reserve(count);
    if (count > 1) {
      const SignalsBlocked blocked;
      try {
        while (others.size() + 1 < count) others.emplace_back(guarded);
      } catch (const std::system_error&) {
        // No more threads to be had: those that there are do all of it.
      }
    }
    guarded();
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace artcache::util
