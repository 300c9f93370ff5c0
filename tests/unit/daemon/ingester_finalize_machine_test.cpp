// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <vector>

#include "roles/ingester/finalize_machine.hpp"

namespace artcache::ingester {
namespace {

constexpr std::uint32_t kMost = 3;

FinalizeState at(FinalizeStatus status) { return {.status = status}; }
Error error(Errc code) { return {code, "why"}; }

TEST_SUITE_BEGIN("ingester");

TEST_CASE("A file is copied, compared, and only then the source is to be removed") {
  FinalizeState state;
  CHECK(next_step(state) == FinalizeStep::copy);
  FinalizeMove move = after_step(state, std::nullopt, kMost);
  CHECK(move.state.status == FinalizeStatus::copied);
  CHECK(move.effect == FinalizeEffect::none);
  CHECK(next_step(move.state) == FinalizeStep::verify);
  CHECK(begun(move.state).status == FinalizeStatus::verifying);
  move = after_step(begun(move.state), std::nullopt, kMost);
  CHECK(move.state.status == FinalizeStatus::completed);
  CHECK(move.state.checksum_verified);
  CHECK(move.effect == FinalizeEffect::remove_source);
  CHECK(next_step(move.state) == FinalizeStep::none);
}

TEST_CASE("After a crash at any step the same step is to be done again") {
  for (const auto status :
       {FinalizeStatus::copying, FinalizeStatus::copied, FinalizeStatus::verifying,
        FinalizeStatus::completed, FinalizeStatus::failed}) {
    CAPTURE(to_string(status));
    // Stored and read, as text, like a process that starts again does.
    const auto read = parse_finalize_status(to_string(status));
    REQUIRE(read);
    CHECK(*read == status);
    CHECK(next_step(at(*read)) == next_step(at(status)));
  }
  CHECK(next_step(at(FinalizeStatus::verifying)) == FinalizeStep::verify);
}

TEST_CASE("What may pass is tried again, up to a number of times, and then the copy is removed") {
  FinalizeState state = at(FinalizeStatus::copying);
  for (std::uint32_t i = 1; i < kMost; ++i) {
    const FinalizeMove move = after_step(state, error(Errc::unavailable), kMost);
    CHECK(move.again);
    CHECK(move.effect == FinalizeEffect::none);
    CHECK(move.state.attempts == i);
    CHECK(move.state.status == FinalizeStatus::copying);
    state = move.state;
  }
  const FinalizeMove last = after_step(state, error(Errc::unavailable), kMost);
  CHECK(last.state.status == FinalizeStatus::failed);
  CHECK(last.state.error == "why");
  CHECK(last.effect == FinalizeEffect::remove_target);
  CHECK_FALSE(last.again);
}

TEST_CASE("Bytes that differ end it at once, and the source stays") {
  const auto move = after_step(at(FinalizeStatus::verifying), error(Errc::corrupt), kMost);
  CHECK(move.state.status == FinalizeStatus::failed);
  CHECK_FALSE(move.state.checksum_verified);
  CHECK(move.effect == FinalizeEffect::remove_target);
}

TEST_CASE("To be stopped is no failure") {
  FinalizeState state = at(FinalizeStatus::copied);
  state.attempts = kMost - 1;
  const auto move = after_step(state, error(Errc::cancelled), kMost);
  CHECK(move.again);
  CHECK(move.state.status == FinalizeStatus::copied);
  CHECK(move.state.attempts == kMost - 1);
}

TEST_CASE("A step that succeeds forgets what went wrong before") {
  FinalizeState state = at(FinalizeStatus::copying);
  state.attempts = 2;
  state.error = "why";
  const auto move = after_step(state, std::nullopt, kMost);
  CHECK(move.state.attempts == 0);
  CHECK(move.state.error.empty());
}

TEST_CASE("An end stays an end: what comes late changes nothing") {
  for (const auto status : {FinalizeStatus::completed, FinalizeStatus::failed}) {
    CHECK(after_step(at(status), std::nullopt, kMost).effect == FinalizeEffect::none);
    const auto move = after_step(at(status), error(Errc::corrupt), kMost);
    CHECK(move.state.status == status);
    CHECK(move.effect == FinalizeEffect::none);
  }
}

TEST_CASE("Progress is told in quarters") {
  CHECK(progress_percent(FinalizeStatus::copying) == 25);
  CHECK(progress_percent(FinalizeStatus::copied) == 50);
  CHECK(progress_percent(FinalizeStatus::verifying) == 75);
  CHECK(progress_percent(FinalizeStatus::completed) == 100);
  CHECK(progress_percent(FinalizeStatus::failed) == 0);
  CHECK_FALSE(parse_finalize_status("moving"));
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::ingester
