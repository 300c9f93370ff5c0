// SPDX-License-Identifier: Apache-2.0
#include "core/files/protocol.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>

using namespace artcache;
using namespace artcache::files;
using Operation = Intent::Operation;

namespace {

constexpr std::array kOperations{Operation::upload, Operation::remove, Operation::update};
constexpr std::array kStages{Stage::intent, Stage::data, Stage::sidecar, Stage::index,
                             Stage::after};

Timestamp at(int seconds) { return Timestamp(std::chrono::seconds(seconds)); }

}  // namespace

TEST_SUITE("files.protocol") {
  TEST_CASE("a whole sidecar makes a file, whatever was being done to it") {
    for (const Operation operation : kOperations)
      CHECK(settle(operation, SidecarSeen::whole) == Settle::follow);
  }

  TEST_CASE("without a sidecar an upload or removal leaves no data behind") {
    CHECK(settle(Operation::upload, SidecarSeen::absent) == Settle::drop_data);
    CHECK(settle(Operation::remove, SidecarSeen::absent) == Settle::drop_data);
  }

  TEST_CASE("an update never removes data, even where others took the sidecar away") {
    CHECK(settle(Operation::update, SidecarSeen::absent) == Settle::follow);
  }

  TEST_CASE("what cannot be read is left to people, and nothing of it is removed") {
    for (const Operation operation : kOperations)
      CHECK(settle(operation, SidecarSeen::unreadable) == Settle::give_up);
  }

  TEST_CASE("an intent stays while the storage does not answer") {
    for (const Operation operation : kOperations)
      CHECK(settle(operation, SidecarSeen::unknown) == Settle::later);
  }

  TEST_CASE("an announcement that failed for sure needs no clean-up") {
    for (const Operation operation : kOperations) {
      CHECK(after_error(operation, Stage::intent, Outcome::not_applied) == Undo::nothing);
      CHECK(after_error(operation, Stage::intent, Outcome::unknown) == Undo::as_it_is);
    }
  }

  TEST_CASE("a failure in the storage is settled by what stands there") {
    for (const Operation operation : kOperations)
      for (const Outcome outcome : {Outcome::not_applied, Outcome::unknown}) {
        CHECK(after_error(operation, Stage::data, outcome) == Undo::as_it_is);
        CHECK(after_error(operation, Stage::sidecar, outcome) == Undo::as_it_is);
      }
  }

  TEST_CASE("only an upload that did not reach the index for sure is taken back") {
    for (const Operation operation : kOperations)
      for (const Stage stage : kStages)
        for (const Outcome outcome : {Outcome::not_applied, Outcome::unknown}) {
          const bool taken_back = operation == Operation::upload && stage == Stage::index &&
                                  outcome == Outcome::not_applied;
          CHECK((after_error(operation, stage, outcome) == Undo::take_back) == taken_back);
        }
  }

  TEST_CASE("once a change can be seen nothing undoes it") {
    for (const Operation operation : kOperations)
      for (const Outcome outcome : {Outcome::not_applied, Outcome::unknown})
        CHECK(after_error(operation, Stage::after, outcome) == Undo::nothing);
  }

  TEST_CASE("an intent is left alone while a writer lives that may have noted it") {
    CHECK(may_be_under_way(Owner::somebody, at(10), at(5)));
    CHECK(may_be_under_way(Owner::somebody, at(5), at(5)));
  }

  TEST_CASE("an intent from before every living writer is that of a dead one") {
    CHECK_FALSE(may_be_under_way(Owner::somebody, at(4), at(5)));
    CHECK_FALSE(may_be_under_way(Owner::somebody, at(10), std::nullopt));
  }

  TEST_CASE("what this process works on is under way, and what it gave up is not") {
    for (const auto others : {std::optional<Timestamp>(), std::optional(at(5))}) {
      CHECK(may_be_under_way(Owner::me_now, at(1), others));
      CHECK_FALSE(may_be_under_way(Owner::me_before, at(10), others));
    }
  }
}
