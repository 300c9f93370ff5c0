// SPDX-License-Identifier: Apache-2.0
// Preloaded into a server, sets its clock off by as many seconds as the file that
// ARTCACHE_CLOCK_FILE names says, at any moment. Time that only passes is left alone. (libfaketime
// does not start a Redis: its memory allocator asks for the time before libraries are there.)
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>

namespace {

/// Asks the file each time, and nothing that needs memory or may ask for the time itself.
long seconds_off() {
  const char* const path = ::getenv("ARTCACHE_CLOCK_FILE");
  if (path == nullptr) return 0;
  const int before = errno;
  char text[16] = {};
  if (const int file = ::open(path, O_RDONLY | O_CLOEXEC); file >= 0) {
    (void)!::read(file, text, sizeof text - 1);
    ::close(file);
  }
  errno = before;
  return std::strtol(text, nullptr, 10);
}

}  // namespace

#define ARTCACHE_PRELOADED extern "C" __attribute__((visibility("default")))

ARTCACHE_PRELOADED int clock_gettime(clockid_t clock, timespec* out) noexcept {
  const long failed = ::syscall(SYS_clock_gettime, clock, out);
  const bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (failed == 0 && wall) out->tv_sec += seconds_off();
  return static_cast<int>(failed);
}

ARTCACHE_PRELOADED int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

ARTCACHE_PRELOADED time_t time(time_t* out) noexcept {
  timespec now{};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
