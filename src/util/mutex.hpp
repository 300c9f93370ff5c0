// SPDX-License-Identifier: Apache-2.0
// A mutex that clang's -Wthread-safety understands: which members it guards is in their
// declaration.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define ARTCACHE_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define ARTCACHE_THREAD_ATTRIBUTE(x)
#endif

#define ARTCACHE_CAPABILITY(name) ARTCACHE_THREAD_ATTRIBUTE(capability(name))
#define ARTCACHE_SCOPED_CAPABILITY ARTCACHE_THREAD_ATTRIBUTE(scoped_lockable)
#define ARTCACHE_GUARDED_BY(mutex) ARTCACHE_THREAD_ATTRIBUTE(guarded_by(mutex))
#define ARTCACHE_REQUIRES(...) ARTCACHE_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define ARTCACHE_EXCLUDES(...) ARTCACHE_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define ARTCACHE_ACQUIRE(...) ARTCACHE_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define ARTCACHE_RELEASE(...) ARTCACHE_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))

namespace artcache::util {

class ARTCACHE_CAPABILITY("mutex") Mutex {
 public:
  void lock() ARTCACHE_ACQUIRE() { mutex_.lock(); }
  void unlock() ARTCACHE_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

/// Holds a mutex for its scope.
class ARTCACHE_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ARTCACHE_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() ARTCACHE_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// Wakes threads that wait for something a mutex guards. May wake for no reason.
class CondVar {
 public:
  void wait(Mutex& mutex) ARTCACHE_REQUIRES(mutex) {
    std::unique_lock held(mutex.mutex_, std::adopt_lock);
    changed_.wait(held);
    held.release();
  }
  void wait_for(Mutex& mutex, std::chrono::nanoseconds most) ARTCACHE_REQUIRES(mutex) {
    std::unique_lock held(mutex.mutex_, std::adopt_lock);
    changed_.wait_for(held, most);
    held.release();
  }
  void notify_one() { changed_.notify_one(); }
  void notify_all() { changed_.notify_all(); }

 private:
  std::condition_variable changed_;
};

}  // namespace artcache::util
