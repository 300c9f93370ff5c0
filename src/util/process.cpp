// SPDX-License-Identifier: Apache-2.0
#include "util/process.hpp"

#include <pthread.h>
#include <unistd.h>

#include <atomic>

namespace artcache::util {
namespace {

std::atomic<std::uint64_t> forks{0};

}  // namespace

std::uint64_t process_number() {
  static const bool counted = ::pthread_atfork(nullptr, nullptr, [] {
                                forks.fetch_add(1, std::memory_order_relaxed);
                              }) == 0;
  if (!counted) return static_cast<std::uint64_t>(::getpid());
  return forks.load(std::memory_order_relaxed);
}

}  // namespace artcache::util
