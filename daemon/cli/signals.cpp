// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.hpp"

#include <csignal>
#include <thread>

namespace artcache::cli {
namespace {

std::stop_source& source() {
  static std::stop_source stop;
  return stop;
}

}  // namespace

void take_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // Lives as long as the process: there is nothing to wait for at its end. It holds the state that
  // it sets, for what is static ends before it does.
  std::thread([signals, stop = source()]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    stop.request_stop();
    sigwait(&signals, &signal);
    std::_Exit(128 + signal);
  }).detach();
}

std::stop_token stop_requested() { return source().get_token(); }

}  // namespace artcache::cli
