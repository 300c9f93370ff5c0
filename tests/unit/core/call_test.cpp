// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <artcache/call.hpp>

#include <chrono>
#include <string>

#include "support/fake_clock.hpp"

namespace artcache {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;
using test::FakeClock;

TEST_SUITE("call") {
  TEST_CASE("a default call has no deadline and is never over") {
    FakeClock clock;
    const Call call;
    CHECK_FALSE(call.has_deadline());
    CHECK(call.remaining(clock) == nanoseconds::max());
    CHECK(call.check("list", clock).has_value());
    clock.advance(24h * 365 * 100);
    CHECK(call.remaining(clock) == nanoseconds::max());
    CHECK(call.check("list", clock).has_value());
  }

  TEST_CASE("within() ends a call the given time from now") {
    FakeClock clock;
    const Call call = Call{}.within(5s, clock);
    REQUIRE(call.has_deadline());
    CHECK(call.deadline == clock.steady() + 5s);
    CHECK(call.remaining(clock) == 5s);
    clock.advance(4'999'999'999ns);
    CHECK(call.remaining(clock) == 1ns);
    CHECK(call.check("list", clock).has_value());
    clock.advance(1ns);
    CHECK(call.remaining(clock) == 0ns);
    REQUIRE_FALSE(call.check("list", clock).has_value());
    CHECK(call.check("list", clock).error().code == Errc::timed_out);
    CHECK(call.check("list", clock).error().message == "list: the deadline passed");
    CHECK(call.check("list", clock).error().outcome == Outcome::not_applied);
  }

  TEST_CASE("what is left is never negative") {
    FakeClock clock;
    const Call call = Call{}.within(1ms, clock);
    clock.advance(1h);
    CHECK(call.remaining(clock) == 0ns);
  }

  TEST_CASE("within() never makes a call longer") {
    FakeClock clock;
    const Call outer = Call{}.within(10s, clock);
    CHECK(outer.within(3s, clock).remaining(clock) == 3s);
    CHECK(outer.within(1h, clock).remaining(clock) == 10s);
    CHECK(outer.within(nanoseconds::max(), clock).remaining(clock) == 10s);
    CHECK(outer.remaining(clock) == 10s);
  }

  TEST_CASE("a timeout beyond the end of time is no deadline, and none in the past") {
    FakeClock clock;
    for (const nanoseconds timeout : {nanoseconds::max(), nanoseconds::max() - 1ns,
                                      nanoseconds(Clock::SteadyTime::max() - clock.steady())}) {
      const Call call = Call{}.within(timeout, clock);
      CHECK_FALSE(call.has_deadline());
      CHECK(call.check("list", clock).has_value());
    }
    const Call last =
        Call{}.within(nanoseconds(Clock::SteadyTime::max() - clock.steady()) - 1ns, clock);
    CHECK(last.has_deadline());
    CHECK(last.check("list", clock).has_value());
  }

  TEST_CASE("a timeout of nothing or less is over at once, however much less") {
    for (const nanoseconds timeout : {0ns, -1ns, nanoseconds(-1h), nanoseconds::min()}) {
      FakeClock clock;
      const Call call = Call{}.within(timeout, clock);
      CHECK(call.remaining(clock) == 0ns);
      clock.advance(1h);
      CHECK(call.remaining(clock) == 0ns);
      REQUIRE_FALSE(call.check("list", clock).has_value());
      CHECK(call.check("list", clock).error().code == Errc::timed_out);
    }
    Call earliest;
    earliest.deadline = Clock::SteadyTime::min();
    CHECK(earliest.remaining(FakeClock()) == 0ns);
  }

  TEST_CASE("a jump of the wall clock moves no deadline") {
    FakeClock clock;
    const Call call = Call{}.within(5s, clock);
    clock.jump(24h);
    CHECK(call.remaining(clock) == 5s);
    clock.jump(-48h);
    CHECK(call.remaining(clock) == 5s);
    CHECK(call.check("list", clock).has_value());
  }

  TEST_CASE("a stop that was asked for is cancelled, named after the operation") {
    FakeClock clock;
    std::stop_source source;
    Call call;
    call.stop = source.get_token();
    CHECK(call.check("rebuild", clock).has_value());
    source.request_stop();
    REQUIRE_FALSE(call.check("rebuild", clock).has_value());
    CHECK(call.check("rebuild", clock).error().code == Errc::cancelled);
    CHECK(call.check("rebuild", clock).error().message == "rebuild: stopped");
  }

  TEST_CASE("a call both stopped and late says that it was stopped") {
    FakeClock clock;
    std::stop_source source;
    Call call = Call{}.within(0ns, clock);
    call.stop = source.get_token();
    CHECK(call.check("rebuild", clock).error().code == Errc::timed_out);
    source.request_stop();
    CHECK(call.check("rebuild", clock).error().code == Errc::cancelled);
  }

  TEST_CASE("the shorter call keeps stop token and request id") {
    FakeClock clock;
    std::stop_source source;
    Call call;
    call.stop = source.get_token();
    call.request_id = "req-1";
    const Call shorter = call.within(1s, clock);
    CHECK(shorter.request_id == "req-1");
    source.request_stop();
    CHECK(shorter.check("get", clock).error().code == Errc::cancelled);
  }
}

TEST_SUITE("clock") {
  TEST_CASE("the machine's steady clock does not go back, and its wall clock knows this century") {
    const Clock& clock = system_clock();
    const auto before = clock.steady();
    CHECK(clock.steady() >= before);
    CHECK(clock.now() > Timestamp(std::chrono::seconds(1'700'000'000)));
    CHECK(clock.now() < Timestamp(std::chrono::seconds(4'102'444'800)));
    CHECK(&system_clock() == &clock);
  }

  TEST_CASE("without a clock a call reads the machine's") {
    CHECK(Call{}.within(1h).remaining() > 30min);
    CHECK(Call{}.within(1h).check("get").has_value());
    CHECK(Call{}.within(-1h).check("get").error().code == Errc::timed_out);
  }
}

}  // namespace
}  // namespace artcache
