// SPDX-License-Identifier: Apache-2.0
#include "http/body_pace.hpp"

#include <doctest/doctest.h>

namespace artcache::http {
namespace {

using namespace std::chrono_literals;

Limits limits() {
  Limits limits;
  limits.first_byte_timeout = 15s;
  limits.body_timeout = 60s;
  limits.body_rate = 500;
  return limits;
}

TEST_SUITE("http body pace") {
  TEST_CASE("a body has to begin in time, and then to go on") {
    BodyPace pace(limits());
    CHECK(pace.patience() == 15s);
    pace.waited(10s);
    pace.received(0);  // what was read had nothing of the body in it
    CHECK(pace.patience() == 5s);
    pace.waited(5s);
    CHECK(pace.patience() == 0s);
    CHECK(pace.complaint() == "body: it did not begin in time");
    pace.received(20'000);
    CHECK(pace.patience() == 60s);
    pace.waited(60s);
    CHECK(pace.patience() == 0s);
    CHECK(pace.complaint() == "body: nothing came for too long");
  }

  TEST_CASE("a pause is fine, and who goes on below the rate is cut") {
    BodyPace pace(limits());
    std::uint64_t bytes = 500;
    pace.received(bytes);
    pace.waited(50s);
    pace.received(bytes += 1);
    CHECK(*pace.patience() > 10s);
    int seconds = 0;
    for (; *pace.patience() > 0s; ++seconds) {
      pace.waited(1s);
      pace.received(bytes += 250);  // half of what has to come
    }
    CHECK(seconds >= 20);
    CHECK(seconds <= 22);
    CHECK(pace.complaint() == "body: it comes slower than 500 bytes a second");
  }

  TEST_CASE("who keeps to the rate is never cut, and nothing that came earlier is saved up") {
    BodyPace pace(limits());
    std::uint64_t bytes = 1'000'000'000;
    pace.received(bytes);
    for (int i = 0; i < 10'000; ++i) {
      pace.waited(10s);
      pace.received(bytes += 5'000);
      REQUIRE(*pace.patience() > 0s);
    }
    for (int i = 0; i < 60; ++i) {
      pace.waited(1s);
      pace.received(++bytes);
    }
    CHECK(*pace.patience() < 1s);
  }

  TEST_CASE("a limit of 0 is none") {
    Limits none = limits();
    none.body_rate = 0;
    none.first_byte_timeout = 0s;
    BodyPace patient(none);
    patient.waited(59s);
    CHECK(patient.patience() == 1s);
    none.body_timeout = 0s;
    CHECK_FALSE(BodyPace(none).patience());
    none.body_rate = 500;
    CHECK(BodyPace(none).patience());  // the rate is that of some time, still
  }
}

}  // namespace
}  // namespace artcache::http
