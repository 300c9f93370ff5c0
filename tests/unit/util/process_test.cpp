// SPDX-License-Identifier: Apache-2.0
#include "util/process.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

using artcache::util::process_number;

TEST_SUITE("process") {
  TEST_CASE("the number stays, but for a child and its child") {
    const auto own = process_number();
    CHECK(process_number() == own);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto its = process_number();
      const pid_t second = ::fork();
      if (second == 0) ::_exit(process_number() != its && process_number() != own ? 0 : 1);
      int status = 1;
      const bool waited = ::waitpid(second, &status, 0) == second;
      ::_exit(waited && status == 0 && its != own && process_number() == its ? 0 : 1);
    }
    int status = 1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(process_number() == own);
  }
}
