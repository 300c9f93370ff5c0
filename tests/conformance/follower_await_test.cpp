// SPDX-License-Identifier: Apache-2.0
// Reads of a replica that wait for it, while its source becomes another one.
#include <doctest/doctest.h>

#include <atomic>
#include <stop_token>
#include <thread>

#include "conformance/follower_suite.hpp"
#include "support/passing_log.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

/// Answers once as the log did that was there before this one.
class MadeAnewLog final : public PassingLog {
 public:
  using PassingLog::PassingLog;
  Result<IndexHead> head(const Call& call) override {
    auto head = PassingLog::head(call);
    if (head && before.exchange(false)) ++head->position.epoch;
    return head;
  }
  std::atomic<bool> before{false};
};

}  // namespace

TEST_SUITE("follower") {
  TEST_CASE(
      "a read that waits goes on where the log was made anew behind the answer of its source") {
    Pair pair;
    put(*pair.source, 0, 5);
    MadeAnewLog log(*pair.log);
    const auto sink = make_replica(*pair.copy, "source", {});
    Follower follower(log, *sink, {.patience = 100ms}, {});
    std::stop_source stop;
    Call call;
    call.stop = stop.get_token();
    std::jthread runner([&] { CHECK(follower.run(call).error().code == Errc::cancelled); });
    const auto read = [&] { return follower.await({.max_staleness = 0s}, Call{}.within(1min)); };
    good(read());
    log.before = true;
    // One that finds the replica fresh asks nobody.
    while (log.before) CHECK(read().has_value());
    stop.request_stop();
  }
}
