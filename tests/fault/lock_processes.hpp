// SPDX-License-Identifier: Apache-2.0
// Processes that hold locks, and what they hold locks of.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <artcache/backends.hpp>
#include <artcache/lock_manager.hpp>
#include <artcache/metadata_store.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/temp_dir.hpp"
#include "util/fd.hpp"

extern char** environ;

namespace artcache::test {

using SteadyClock = std::chrono::steady_clock;

template <class R>
auto good(R result) {
  REQUIRE_MESSAGE(result.has_value(), (result ? "" : to_string(result.error())));
  if constexpr (!std::is_void_v<typename R::value_type>) return std::move(*result);
}

/// An index and a manager of its locks: where the environment says (ARTCACHE_TEST_INDEXES,
/// ARTCACHE_TEST_LOCKS), otherwise in SQLite.
struct LockSite {
  LockSite() {
    address = "sqlite://" + (folder / "index.db");
    if (const char* server = std::getenv("ARTCACHE_TEST_INDEXES"))
      address = server + ("?prefix=" + fresh_name() + "&owners=" + folder.path());
    if (const char* server = std::getenv("ARTCACHE_TEST_LOCKS")) {
      lock_address = server;  // this test's alone
      REQUIRE(std::system(("redis-cli -u " + lock_address + " flushall >/dev/null").c_str()) == 0);
    }
    const Backends backends = Backends::builtin();
    index = good(backends.open_index(good(Url::parse(address)), {}, {}));
    locks =
        lock_address.empty()
            ? good(make_lock_manager(*index->locks(), {}))
            : good(backends.open_locks(good(Url::parse(lock_address)), *index->locks(), {}, {}));
  }
  [[nodiscard]] bool is_local() const {
    return lock_address.empty() && address.starts_with("sqlite:");
  }
  static std::string fresh_name() {
    static int made = 0;
    return "lf" + std::to_string(::getpid()) + "_" + std::to_string(made++);
  }
  static LockRequest wanting(const std::string& element) {
    LockRequest request;
    request.element = element;
    request.operation = "successor";
    return request;
  }
  /// Asks until the lock is granted; the time of the last request is what counts for "at once".
  Lease wait_for(const std::string& element, SteadyClock::duration most) {
    const auto end = SteadyClock::now() + most;
    while (true) {
      auto lease = locks->try_acquire(wanting(element), {});
      if (lease) return *lease;
      REQUIRE_MESSAGE(lease.error().code == Errc::busy, to_string(lease.error()));
      REQUIRE_MESSAGE(SteadyClock::now() < end, to_string(lease.error()));
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
  }

  TempDir folder;
  std::string address, lock_address;
  std::unique_ptr<MetadataStore> index;
  std::unique_ptr<LockManager> locks;
};

/// lock_holder.cpp, run as a process of its own.
class Process {
 public:
  Process(const LockSite& site, const std::string& element, std::chrono::milliseconds ttl) {
    std::array<int, 2> in{}, out{};
    REQUIRE(::pipe2(in.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    REQUIRE(::posix_spawn_file_actions_init(&actions) == 0);
    ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    std::string program = ARTCACHE_LOCK_HOLDER, where = site.address, what = element,
                time = std::to_string(ttl.count()), locks = site.lock_address;
    std::array<char*, 6> arguments{program.data(), where.data(), what.data(),
                                   time.data(),    locks.data(), nullptr};
    const int failed =
        ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    to_ = util::Fd(in[1]);
    from_ = util::Fd(out[0]);
    REQUIRE(failed == 0);
  }
  ~Process() { kill(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void tell(const std::string& word) {
    const std::string line = word + "\n";
    REQUIRE(::write(to_.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size()));
  }
  std::string hear() {
    std::string line;
    for (char c = 0; ::read(from_.get(), &c, 1) == 1 && c != '\n';) line.push_back(c);
    return line;
  }
  std::string ask(const std::string& word) {
    tell(word);
    return hear();
  }
  void signal(int number) const { REQUIRE(::kill(pid_, number) == 0); }
  /// Returns once the process is stopped, not only about to be.
  void stop() const {
    signal(SIGSTOP);
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, WUNTRACED) == pid_);
    REQUIRE(WIFSTOPPED(status));
  }
  /// Does not wait for its end.
  void kill_now() const { signal(SIGKILL); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  util::Fd to_, from_;
};

}  // namespace artcache::test
