// SPDX-License-Identifier: Apache-2.0
#include "util/owner_lock.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <thread>
#include <vector>

#include "support/temp_dir.hpp"

namespace artcache::util {
namespace {

using artcache::test::TempDir;
using State = OwnerLocks::State;

/// A process that holds a number until it is killed.
class Child {
 public:
  Child(const std::string& path, std::uint64_t number) {
    int ready[2];
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      auto locks = OwnerLocks::open(path);
      if (!locks) ::_exit(1);
      auto lock = locks->hold(number);
      if (!lock) ::_exit(2);
      if (::write(ready[1], lock->place().data(), lock->place().size()) < 0) ::_exit(3);
      ::close(ready[1]);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char place[256];
    const ssize_t got = ::read(ready[0], place, sizeof place);
    ::close(ready[0]);
    REQUIRE(got > 0);
    place_.assign(place, static_cast<std::size_t>(got));
  }
  ~Child() { kill_and_reap(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void signal(int number) const { ::kill(pid_, number); }
  void wait_until_stopped() const {
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, WUNTRACED) == pid_);
    REQUIRE(WIFSTOPPED(status));
  }
  void kill_and_reap() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  [[nodiscard]] const std::string& place() const { return place_; }

 private:
  pid_t pid_ = 0;
  std::string place_;
};

void wait_until_free(const OwnerLocks& locks, const std::string& place, std::uint64_t number) {
  while (locks.probe(place, number).value() == State::held) std::this_thread::yield();
}

/// Whether it is so in a process of its own.
template <class F>
bool in_child(const F& is_so) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(is_so() ? 0 : 1);
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// From now on open() with O_CREAT is refused to this process, as it is in a folder with the sticky
/// bit for the files of others where fs.protected_regular is set.
bool makes_nothing() {
  constexpr unsigned kNumber = offsetof(seccomp_data, nr);
  constexpr unsigned kFlags = offsetof(seccomp_data, args) + 2 * sizeof(__u64);
  std::array<sock_filter, 6> steps{{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
                                    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 3),
                                    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kFlags),
                                    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT, 0, 1),
                                    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
                                    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog program{.len = steps.size(), .filter = steps.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

TEST_SUITE("owner lock") {
  TEST_CASE("a number is held from hold to release, alone, and others are free") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "index-owners").value();
    auto lock = locks.hold(7).value();
    CHECK(lock.number() == 7);
    CHECK(lock.holds());
    CHECK(locks.probe(lock.place(), 7).value() == State::held);
    CHECK(locks.probe(lock.place(), 6).value() == State::free);
    CHECK(locks.probe(lock.place(), 8).value() == State::free);
    CHECK(locks.hold(7).error().code == Errc::conflict);
    const std::string place = lock.place();
    lock.release();
    lock.release();
    CHECK(!lock.holds());
    CHECK(locks.probe(place, 7).value() == State::free);
    CHECK(locks.hold(7));
  }

  TEST_CASE("numbers held one after another, more at once than before, are each held alone") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "o").value();
    const auto other = OwnerLocks::open(dir / "o").value();
    std::uint64_t number = 1;
    for (std::uint64_t count = 1; count < 12; ++count) {
      std::vector<OwnerLock> held;
      for (std::uint64_t i = 0; i < count; ++i) held.push_back(locks.hold(number++).value());
      for (const OwnerLock& lock : held) {
        CHECK(other.probe(lock.place(), lock.number()).value() == State::held);
        CHECK(locks.hold(lock.number()).error().code == Errc::conflict);
      }
      const std::string place = held.front().place();
      held.clear();
      for (std::uint64_t n = 1; n < number; ++n)
        REQUIRE(other.probe(place, n).value() == State::free);
    }
  }

  TEST_CASE("what a child holds that was forked after a release is its own") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "o").value();
    const std::string place = locks.hold(1).value().place();
    const pid_t child = ::fork();
    if (child == 0) {
      const auto lock = locks.hold(2);
      ::_exit(lock && locks.hold(2).error().code == Errc::conflict ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(locks.probe(place, 2).value() == State::free);  // it has not released it, only died
  }

  TEST_CASE("two objects of one process exclude and see each other") {
    const TempDir dir;
    const auto one = OwnerLocks::open(dir / "o").value();
    const auto other = OwnerLocks::open(dir / "o").value();
    const auto lock = one.hold(1).value();
    CHECK(other.probe(lock.place(), 1).value() == State::held);
    CHECK(other.hold(1).error().code == Errc::conflict);
    { const auto gone = OwnerLocks::open(dir / "o").value(); }  // closing one drops nothing
    CHECK(other.probe(lock.place(), 1).value() == State::held);
  }

  TEST_CASE("a lock that moves is held by the one it moved to") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "o").value();
    OwnerLock keeper;
    {
      auto lock = locks.hold(3).value();
      keeper = std::move(lock);
    }
    CHECK(locks.probe(keeper.place(), 3).value() == State::held);
    keeper = locks.hold(4).value();
    CHECK(locks.probe(keeper.place(), 3).value() == State::free);
    CHECK(locks.probe(keeper.place(), 4).value() == State::held);
  }

  TEST_CASE("the greatest fences can be held, and 0 cannot") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "o").value();
    const auto lock = locks.hold(OwnerLocks::kNumberMost).value();
    CHECK(locks.probe(lock.place(), OwnerLocks::kNumberMost).value() == State::held);
    CHECK(locks.probe(lock.place(), 1).value() == State::free);
    const std::uint64_t bad[] = {0, OwnerLocks::kNumberMost + 1, ~std::uint64_t{0}};
    for (const std::uint64_t number : bad) {
      CHECK(locks.hold(number).error().code == Errc::invalid_argument);
      CHECK(locks.probe(lock.place(), number).error().code == Errc::invalid_argument);
    }
  }

  TEST_CASE("the number of a killed process is free as soon as the system has ended it") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "o").value();
    for (int i = 0; i < 20; ++i) {
      Child child(dir / "o", 5);
      REQUIRE(locks.probe(child.place(), 5).value() == State::held);
      CHECK(locks.hold(5).error().code == Errc::conflict);
      child.signal(SIGKILL);
      // No lease is waited for; how quick that is the bench of locks tells.
      wait_until_free(locks, child.place(), 5);
      CHECK(locks.hold(5));
    }
  }

  TEST_CASE("the number of a stopped process stays held") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "o").value();
    const Child child(dir / "o", 5);
    child.signal(SIGSTOP);
    child.wait_until_stopped();
    CHECK(locks.probe(child.place(), 5).value() == State::held);
    CHECK(locks.hold(5).error().code == Errc::conflict);
    child.signal(SIGCONT);
    CHECK(locks.probe(child.place(), 5).value() == State::held);
  }

  TEST_CASE("a child that destroys its copies leaves the parent's lock alone") {
    const TempDir dir;
    auto locks = OwnerLocks::open(dir / "o");
    auto lock = locks->hold(9);
    const pid_t child = ::fork();
    if (child == 0) {
      lock->release();
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    CHECK(locks->probe(lock->place(), 9).value() == State::held);
  }

  TEST_CASE("a release counts though a child still has its copy") {
    const TempDir dir;
    auto locks = OwnerLocks::open(dir / "o");
    auto lock = locks->hold(9);
    const pid_t child = ::fork();
    if (child == 0)
      for (;;) ::pause();
    const std::string place = lock->place();
    lock->release();
    CHECK(locks->probe(place, 9).value() == State::free);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }

  TEST_CASE("a place of an earlier boot is free, another file or none is not judged") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "o").value();
    const auto elsewhere = OwnerLocks::open(dir / "copy").value();
    const auto lock = elsewhere.hold(1).value();
    REQUIRE(!boot_id().empty());
    CHECK(lock.place().starts_with(boot_id() + "/"));
    CHECK(locks.probe(lock.place(), 1).value() == State::unknown);
    CHECK(locks.probe("", 1).value() == State::unknown);
    CHECK(locks.probe("/1/2", 1).value() == State::unknown);
    CHECK(locks.probe("00000000-0000-0000-0000-000000000000/1/2", 1).value() == State::free);
  }

  TEST_CASE("a file removed under its holders: the old ones are seen, and so are the new") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "o").value();
    const auto before = locks.hold(1).value();
    (void)locks.hold(3).value();
    REQUIRE(::unlink((dir / "o").c_str()) == 0);
    CHECK(locks.probe(before.place(), 1).value() == State::held);
    CHECK(locks.probe(before.place() + "0", 1).value() == State::unknown);
    CHECK(::access((dir / "o").c_str(), F_OK) != 0);
    const auto after = locks.hold(2).value();
    CHECK(after.place() != before.place());
    CHECK(locks.probe(before.place(), 1).value() == State::held);
    CHECK(locks.probe(after.place(), 2).value() == State::held);
    const auto late = OwnerLocks::open(dir / "o").value();
    CHECK(late.probe(before.place(), 1).value() == State::unknown);
  }

  TEST_CASE("a file moved aside is left after a while, also for one that was used before") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "o").value();
    const std::string before = locks.hold(1).value().place();
    REQUIRE(locks.hold(2).value().place() == before);
    REQUIRE(::rename((dir / "o").c_str(), (dir / "aside").c_str()) == 0);
    std::uint64_t number = 3;
    while (locks.hold(number).value().place() == before) ++number;
    const auto after = locks.hold(number).value();
    CHECK(OwnerLocks::open(dir / "o").value().probe(after.place(), number).value() == State::held);
  }

  TEST_CASE("the file is private, and nothing but a regular file will do") {
    const TempDir dir;
    const mode_t mask = ::umask(0);
    CHECK(OwnerLocks::open(dir / "o"));
    ::umask(mask);
    struct stat info {};
    REQUIRE(::stat((dir / "o").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    CHECK(info.st_size == 0);

    REQUIRE(::symlink((dir / "o").c_str(), (dir / "link").c_str()) == 0);
    const auto link = OwnerLocks::open(dir / "link");
    REQUIRE(!link);
    CHECK(link.error().code == Errc::invalid_argument);
    CHECK(link.error().message == "owner lock: open '" + (dir / "link") + "': is a symbolic link");
    REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
    CHECK(OwnerLocks::open(dir / "fifo").error().code == Errc::invalid_argument);
    CHECK(OwnerLocks::open(dir.path()).error().code == Errc::invalid_argument);
    CHECK(OwnerLocks::open(dir / "absent/o").error().code == Errc::unavailable);
  }

  TEST_CASE("a file that is there is opened where the kernel lets nobody make one") {
    const TempDir dir;
    REQUIRE(OwnerLocks::open(dir / "o"));
    CHECK(in_child([&] { return makes_nothing() && OwnerLocks::open(dir / "o"); }));
    CHECK(in_child([&] { return makes_nothing() && !OwnerLocks::open(dir / "another"); }));
  }

  TEST_CASE("who may not open the file of another user is told whose it is") {
    const TempDir dir;
    std::string path = "/etc/passwd";  // root's, and nobody else's to write
    const bool root = ::geteuid() == 0;
    if (root) {
      path = dir / "o";
      REQUIRE(OwnerLocks::open(path));
      REQUIRE(::chmod(dir.path().c_str(), 01777) == 0);
    }
    CHECK(in_child([&] {
      if (root && ::setuid(65534) != 0) return false;
      const auto locks = OwnerLocks::open(path);
      return !locks && locks.error().code == Errc::unavailable &&
             locks.error().message.ends_with(
                 "Permission denied; it belongs to the user with the id 0: all who use one index "
                 "have to run as one user");
    }));
  }

  TEST_CASE("a program that a holder started does not keep the number when the holder dies") {
    const TempDir dir;
    const auto locks = OwnerLocks::open(dir / "o").value();
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const pid_t holder = ::fork();
    if (holder == 0) {
      auto own = OwnerLocks::open(dir / "o");
      auto lock = own->hold(9);
      const pid_t program = ::fork();
      if (program == 0) {
        ::execl("/bin/sleep", "sleep", "60", static_cast<char*>(nullptr));
        ::_exit(1);
      }
      (void)!::write(ends[1], &program, sizeof program);
      ::close(ends[1]);
      for (;;) ::pause();
    }
    ::close(ends[1]);
    pid_t program = 0;
    REQUIRE(::read(ends[0], &program, sizeof program) == sizeof program);
    char nothing = 0;
    CHECK(::read(ends[0], &nothing, 1) == 0);  // the program runs: its copy of the end is closed
    ::close(ends[0]);
    CHECK(locks.hold(9).error().code == Errc::conflict);
    ::kill(holder, SIGKILL);
    ::waitpid(holder, nullptr, 0);
    CHECK(::kill(program, 0) == 0);
    CHECK(locks.hold(9));
    ::kill(program, SIGKILL);
  }
}

}  // namespace artcache::util
