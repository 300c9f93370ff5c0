// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/peers.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <optional>
#include <thread>
#include <vector>

#include "support/temp_dir.hpp"

namespace artcache::sqlite {
namespace {

using test::TempDir;

/// A database file, as far as peers care.
std::string make_database(const TempDir& folder) {
  std::string path = folder / "x.db";
  std::ofstream(path) << "x";
  return path;
}

Peers beside(const std::string& database) { return Peers::beside(database, null_logger()); }

Peers::Turn turn_of(const Peers& peers, const Call& call = {}) {
  return peers.take_turn(call, system_clock());
}

/// Locks a byte of the file as a process would that is stopped afterwards.
util::Fd lock_byte(const std::string& database, off_t byte) {
  util::Fd file(::open((database + "-peers").c_str(), O_RDWR | O_CLOEXEC));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  REQUIRE(::fcntl(file.get(), F_OFD_SETLK, &lock) == 0);
  return file;
}

TEST_SUITE("sqlite peers") {
  TEST_CASE("who has just written waits behind whoever waits") {
    const TempDir folder;
    const std::string database = make_database(folder);
    const Peers busy = beside(database), other = beside(database);
    // Nearly always: nobody waits for long for one who gets no processor.
    int in_order = 0;
    for (int round = 0; round < 20; ++round) {
      std::atomic<bool> other_was_first{false};
      std::optional<Peers::Turn> first(turn_of(busy));
      CHECK_FALSE(busy.somebody_waits());
      std::jthread waiting([&] {
        const auto turn = turn_of(other);
        other_was_first = true;
      });
      while (!busy.somebody_waits()) std::this_thread::yield();
      first.reset();
      const auto again = turn_of(busy);
      in_order += other_was_first ? 1 : 0;
    }
    CHECK(in_order >= 15);
  }

  TEST_CASE("only who waits is seen to wait") {
    const TempDir folder;
    const std::string database = make_database(folder);
    const Peers one = beside(database), two = beside(database);
    const auto turn = turn_of(one);
    CHECK_FALSE(one.somebody_waits());
    CHECK_FALSE(two.somebody_waits());
  }

  TEST_CASE("nobody waits for somebody who was stopped while he was next") {
    const TempDir folder;
    const std::string database = make_database(folder);
    const Peers peers = beside(database);
    const util::Fd stopped = lock_byte(database, 1);
    const auto turn = turn_of(peers);
    CHECK(peers.somebody_waits());
  }

  TEST_CASE("a call that is over waits for nobody") {
    const TempDir folder;
    const std::string database = make_database(folder);
    const Peers one = beside(database), two = beside(database);
    const auto held = turn_of(one);
    const auto late = turn_of(two, Call().within(std::chrono::nanoseconds(0)));
    std::stop_source stopped;
    stopped.request_stop();
    Call call;
    call.stop = stopped.get_token();
    const auto given_up = turn_of(two, call);
    CHECK_FALSE(one.somebody_waits());
  }

  TEST_CASE("only the last one to leave an index is told so") {
    const TempDir folder;
    const std::string database = make_database(folder);
    Peers one = beside(database), two = beside(database), other_index = beside(database);
    const auto was_last = [](Peers& peers) {
      bool last = false;
      peers.leave([&] { last = true; });
      return last;
    };
    one.enter(1000);
    two.enter(1000);
    other_index.enter(2000);
    CHECK_FALSE(was_last(one));
    one.enter(1000);
    CHECK_FALSE(was_last(two));
    CHECK(was_last(one));
    CHECK(was_last(other_index));
    CHECK_FALSE(was_last(other_index));
    Peers alone;
    alone.enter(1000);
    CHECK(was_last(alone));
  }

  TEST_CASE("of many who leave at once exactly one is the last") {
    const TempDir folder;
    const std::string database = make_database(folder);
    for (int round = 0; round < 20; ++round) {
      std::vector<Peers> peers;
      for (int i = 0; i < 4; ++i) {
        peers.push_back(beside(database));
        peers.back().enter(1000);
      }
      std::atomic<int> last{0};
      std::vector<std::jthread> leaving;
      for (Peers& one : peers) leaving.emplace_back([&] { one.leave([&] { ++last; }); });
      leaving.clear();
      CHECK(last == 1);
    }
  }

  TEST_CASE("the file has the mode of the database, and is no link") {
    const TempDir folder;
    const std::string database = make_database(folder);
    REQUIRE(::chmod(database.c_str(), 0660) == 0);
    const Peers peers = beside(database);
    struct stat info {};
    REQUIRE(::stat((database + "-peers").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0660);
    CHECK(info.st_size == 0);

    const std::string linked = folder / "y.db";
    std::ofstream(linked) << "y";
    REQUIRE(::symlink(database.c_str(), (linked + "-peers").c_str()) == 0);
    const Peers none = beside(linked);
    const auto turn = turn_of(none);
    CHECK_FALSE(none.somebody_waits());
  }

  TEST_CASE("without a file there is no order, and nobody is kept waiting") {
    const Peers none;
    const auto one = turn_of(none), two = turn_of(none);
    CHECK_FALSE(none.somebody_waits());
  }
}

}  // namespace
}  // namespace artcache::sqlite
