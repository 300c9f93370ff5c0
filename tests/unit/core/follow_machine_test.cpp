// SPDX-License-Identifier: Apache-2.0
#include "core/sync/follow_machine.hpp"

#include <doctest/doctest.h>

#include "core/sync/replica_note.hpp"

using namespace artcache;
using namespace artcache::sync;

namespace {

constexpr Timestamp kNow{std::chrono::seconds(1772446272)};

Position at(std::uint64_t seq, std::uint64_t digest, std::uint64_t epoch = 7) {
  return {.epoch = epoch, .seq = seq, .digest = Digest(0, digest)};
}

Standing holds(const Position& source, std::uint64_t digest) {
  return {.source = source, .digest = Digest(0, digest), .count = digest, .dead = {}};
}

IndexHead head_at(const Position& position) {
  IndexHead head;
  head.position = position;
  return head;
}

/// One that is in step at seq 5.
FollowMachine tailing() {
  FollowMachine machine{FollowSettings{}};
  machine.on_standing(holds(at(5, 50), 50), kNow);
  machine.on_rows(head_at(at(5, 50)), 0, false);
  return machine;
}

}  // namespace

TEST_SUITE("follow machine") {
  TEST_CASE("it looks first; an empty replica is copied into, a filled one is compared") {
    FollowMachine machine{FollowSettings{}};
    CHECK(machine.next() == Step::look);
    machine.on_standing(holds({}, 0), kNow);
    CHECK(machine.next() == Step::copy);
    machine.on_copied(at(9, 90));
    CHECK(machine.next() == Step::look);
    machine.on_standing(holds(at(9, 90), 90), kNow);
    CHECK(machine.next() == Step::read);
    CHECK(machine.status().proven);

    FollowMachine filled{FollowSettings{}};
    filled.on_standing(holds({}, 3), kNow);
    CHECK(filled.next() == Step::mend);
  }

  TEST_CASE("what a source says against itself is told until it says so no more") {
    FollowMachine machine = tailing();
    CHECK(machine.status().source_suspect.empty());
    IndexHead head = head_at(at(5, 50));
    head.suspect_reason = "truncated by hand";
    machine.on_rows(head, 0, false);
    CHECK(machine.status().source_suspect == "truncated by hand");
    CHECK(machine.in_step());
    machine.on_rows(head_at(at(5, 50)), 0, false);
    CHECK(machine.status().source_suspect.empty());
  }

  TEST_CASE("in step means proven at the position of the source") {
    FollowMachine machine = tailing();
    CHECK(machine.in_step());
    machine.on_rows(head_at(at(8, 80)), 2, false);
    CHECK_FALSE(machine.in_step());
    CHECK(machine.next() == Step::look);
    machine.on_standing(holds(at(7, 70), 70), kNow);
    CHECK(machine.status().lag == 1);
    CHECK(machine.status().proven);
    machine.on_rows(head_at(at(8, 80)), 1, false);
    machine.on_standing(holds(at(8, 80), 80), kNow);
    CHECK(machine.in_step());
    machine.on_rows(head_at(at(1, 10, 8)), 0, false);
    CHECK_FALSE(machine.in_step());  // another epoch
  }

  TEST_CASE("at its start a digest that differs may be a batch without its note") {
    FollowMachine machine{FollowSettings{}};
    machine.on_standing(holds(at(5, 50), 60), kNow);
    CHECK(machine.next() == Step::resume);
    SUBCASE("the log tells where it is") {
      machine.on_resumed(true);
      machine.on_standing(holds(at(6, 60), 60), kNow);
      CHECK(machine.next() == Step::read);
      CHECK(machine.status().proven);
    }
    SUBCASE("it does not") {
      machine.on_resumed(false);
      CHECK(machine.next() == Step::mend);
    }
  }

  TEST_CASE("later a digest that differs is mended at once, and nothing is proven meanwhile") {
    FollowMachine machine = tailing();
    machine.on_audit_due();
    CHECK(machine.next() == Step::look);
    machine.on_standing(holds(at(5, 50), 51), kNow);
    CHECK(machine.next() == Step::mend);
    CHECK_FALSE(machine.status().proven);
    CHECK(machine.status().state == FollowState::mending);
  }

  TEST_CASE("after mending the digests are compared from where they can agree") {
    FollowMachine machine = tailing();
    machine.on_gone("trimmed");
    CHECK(machine.next() == Step::mend);
    machine.on_mended(at(20, 200), 4);
    machine.on_standing(holds(at(15, 150), 199), kNow);
    CHECK(machine.next() == Step::read);
    CHECK(machine.status().state == FollowState::mending);
    CHECK_FALSE(machine.status().proven);
    machine.on_rows(head_at(at(21, 210)), 6, false);
    machine.on_standing(holds(at(21, 210), 210), kNow);
    CHECK(machine.status().proven);
    CHECK(machine.status().mended == 4);
  }

  TEST_CASE("a reset is compared, not skipped") {
    FollowMachine machine = tailing();
    machine.on_rows(head_at(at(9, 90)), 0, true);
    CHECK(machine.next() == Step::mend);
  }

  TEST_CASE("digests that differ again and again end in pauses, not in a loop") {
    FollowMachine machine = tailing();
    for (int i = 0; i < 3; ++i) {
      machine.on_standing(holds(at(5, 50), 51), kNow);
      REQUIRE(machine.next() == Step::mend);
      machine.on_mended(at(5, 50), 0);
    }
    machine.on_standing(holds(at(5, 50), 51), kNow);
    CHECK(machine.next() == Step::pause);
    CHECK(machine.status().state == FollowState::waiting);
  }

  TEST_CASE("pauses double up to their limit, and what works ends them") {
    FollowMachine machine{FollowSettings{}};
    using namespace std::chrono_literals;
    machine.on_error({Errc::unavailable, "gone"});
    CHECK(machine.next() == Step::pause);
    CHECK(machine.pause_for(0) == 100ms);
    CHECK(machine.pause_for(1) == 75ms);
    for (int i = 0; i < 4; ++i) machine.on_error({Errc::unavailable, "gone"});
    CHECK(machine.pause_for(0) == 1600ms);
    for (int i = 0; i < 90; ++i) machine.on_error({Errc::unavailable, "gone"});
    CHECK(machine.pause_for(0) == 30s);
    machine.on_paused();
    CHECK(machine.next() == Step::look);
    // Of the replica, which says nothing about the source.
    machine.on_standing(holds(at(5, 50), 50), kNow);
    machine.on_error({Errc::unavailable, "gone"});
    CHECK(machine.pause_for(0) == 30s);
    machine.on_paused();
    machine.on_standing(holds(at(5, 50), 50), kNow);
    machine.on_rows(head_at(at(5, 50)), 0, false);
    machine.on_error({Errc::unavailable, "gone"});
    CHECK(machine.pause_for(0) == 100ms);
  }

  TEST_CASE("while the source does not answer nobody is in step") {
    FollowMachine machine{FollowSettings{}};
    machine.on_standing(holds(at(5, 50), 50), kNow);
    CHECK(machine.status().proven);
    CHECK_FALSE(machine.in_step());
    CHECK(machine.status().state == FollowState::starting);
    machine.on_rows(head_at(at(5, 50)), 0, false);
    CHECK(machine.in_step());
    CHECK(machine.status().state == FollowState::tailing);
    machine.on_error({Errc::unavailable, "gone"});
    CHECK_FALSE(machine.in_step());
    machine.on_paused();
    machine.on_standing(holds(at(5, 50), 50), kNow);
    CHECK_FALSE(machine.in_step());
    CHECK(machine.status().state == FollowState::waiting);
    machine.on_rows(head_at(at(5, 50)), 0, false);
    CHECK(machine.in_step());
  }

  TEST_CASE("what somebody says of the source counts until the source has said otherwise") {
    FollowMachine machine = tailing();
    machine.on_asked();
    machine.on_heard(7, 9);
    CHECK(machine.status().lag == 4);
    CHECK_FALSE(machine.in_step());
    machine.on_rows(head_at(at(5, 50)), 0, false);  // to a question from before
    CHECK_FALSE(machine.in_step());
    machine.on_asked();
    machine.on_rows(head_at(at(5, 50)), 0, false);
    CHECK(machine.in_step());  // it was not true
    machine.on_heard(7, 5);
    CHECK(machine.in_step());
    machine.on_heard(8, 1);  // it was made anew
    CHECK_FALSE(machine.in_step());
    machine.on_asked();
    machine.on_rows(head_at(at(6, 60)), 1, false);
    machine.on_standing(holds(at(6, 60), 60), kNow);
    CHECK(machine.in_step());
  }

  TEST_CASE("what could not be applied is tried again once there is nothing else to do") {
    FollowMachine machine{FollowSettings{}};
    machine.on_retry_due();
    CHECK(machine.next() == Step::look);
    machine.on_standing(holds(at(5, 50), 50), kNow);
    machine.on_retry_due();
    CHECK(machine.next() == Step::read);  // nobody knows whether the source is there
    machine.on_rows(head_at(at(5, 50)), 0, false);
    machine.on_retry_due();
    REQUIRE(machine.next() == Step::retry);
    CHECK(machine.in_step());
    machine.on_retried();
    CHECK(machine.next() == Step::look);
    machine.on_gone("trimmed");
    machine.on_retry_due();
    CHECK(machine.next() == Step::mend);
  }

  TEST_CASE("dead letters that were dropped are not counted") {
    FollowMachine machine = tailing();
    Standing standing = holds(at(5, 50), 50);
    standing.dead = {{.seq = 4, .key = "a", .hash = {}, .kept = {}, .reason = {}},
                     {.seq = 5, .key = "b", .hash = {}, .kept = {}, .reason = {}, .dropped = true}};
    machine.on_standing(standing, kNow);
    CHECK(machine.status().dead_letters == 1);
    standing.dead[0].dropped = true;
    machine.on_dead(standing.dead);
    CHECK(machine.status().dead_letters == 0);
    CHECK(machine.in_step());
  }

  TEST_CASE("dead letters are made good in the digest that is expected") {
    ContentHash old{}, now{};
    old.bytes.fill(1);
    now.bytes.fill(2);
    Standing standing = holds(at(5, 50), 0);
    standing.digest = Digest::of("kept", old);
    standing.dead = {{.seq = 4, .key = "kept", .hash = now, .kept = old, .reason = "bad"},
                     {.seq = 5, .key = "new", .hash = now, .kept = {}, .reason = "worse"}};
    Digest expected = Digest::of("kept", now);
    expected += Digest::of("new", now);
    CHECK(expected_digest(standing) == expected);
  }

  TEST_CASE("the note of a replica comes back as it was written") {
    ReplicaNote note{.source = "http://a b/x", .position = at(12, 99), .dead = {}};
    ContentHash hash{};
    hash.bytes.fill(0xab);
    REQUIRE(note.bury(
        {.seq = 3, .key = "k 1", .hash = hash, .kept = {}, .reason = "two\nlines\tand a tab"}));
    REQUIRE(note.bury({.seq = 4, .key = "k2", .hash = {}, .kept = hash, .reason = ""}));
    const auto again = parse_note(to_text(note));
    REQUIRE(again);
    CHECK(again->source == note.source);
    CHECK(again->position == note.position);
    REQUIRE(again->dead.size() == 2);
    CHECK(again->dead[0].key == "k 1");
    CHECK(again->dead[0].reason == "two lines and a tab");
    CHECK(again->dead[1].kept == hash);
    CHECK_FALSE(again->dead[1].hash);
    for (const char* bad :
         {"x", "1/2/3 a\n", "0000000000000007/1/00000000000000000000000000000000 a\n1 zz - k\tr"})
      CHECK_FALSE(parse_note(bad));
    for (std::size_t i = 0; i < kDeadLettersMost - 2; ++i)
      REQUIRE(note.bury(
          {.seq = i, .key = "n" + std::to_string(i), .hash = {}, .kept = {}, .reason = {}}));
    CHECK(note.bury({.seq = 1, .key = "one more", .hash = {}, .kept = {}, .reason = {}})
              .error()
              .code == Errc::no_space);
  }
}
