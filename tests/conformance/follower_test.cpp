// SPDX-License-Identifier: Apache-2.0
// A replica ends with the digest of its source, whatever happens to either of them.
#include <algorithm>
#include <artcache/follower.hpp>
#include <artcache/http_log.hpp>
#include <artcache/log_frames.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "conformance/follower_suite.hpp"
#include "core/sync/mender.hpp"
#include "support/fake_clock.hpp"
#include "support/passing_log.hpp"
#include "support/sample_entry.hpp"
#include "support/scripted_http.hpp"
#include "support/temp_dir.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

using namespace std::chrono_literals;

/// Passes everything on, and something happens before records are told.
class BusySource final : public PassingLog {
 public:
  BusySource(LogSource& real, std::function<void()> act) : PassingLog(real), act_(std::move(act)) {}
  Result<std::vector<std::optional<Record>>> records(std::span<const std::string> keys,
                                                     const Call& call) override {
    if (const auto act = std::exchange(act_, {})) act();
    return PassingLog::records(keys, call);
  }

 private:
  std::function<void()> act_;
};

/// Passes everything on, but a snapshot breaks off behind so many records.
class BreakingSource final : public PassingLog {
 public:
  BreakingSource(LogSource& real, std::size_t after) : PassingLog(real), after_(after) {}
  Result<Position> snapshot(const RecordSink& sink, const Call& call) override {
    std::size_t left = after_;
    return PassingLog::snapshot(
        [&](std::span<const Record> records) -> Result<void> {
          const auto some = records.first(std::min(left, records.size()));
          left -= some.size();
          if (auto done = sink(some); !done || some.size() == records.size()) return done;
          return Error{Errc::unavailable, "cut off"};
        },
        call);
  }

 private:
  const std::size_t after_;
};

/// One whose long polls never end by themselves, and which may be away, or silent.
class DeafSource final : public SpoilingLog {
 public:
  explicit DeafSource(LogSource& real) : SpoilingLog(real, {}) {}
  Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                              std::chrono::nanoseconds patience, const Call& call) override {
    if (away) return Error{Errc::unavailable, "away"};
    while (mute && !call.stop.stop_requested()) std::this_thread::sleep_for(1ms);
    auto slice = SpoilingLog::read_after(position, limit, 0ns, call);
    if (patience == 0ns || !slice || !slice->rows.empty()) return slice;
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    waiting = true;
    never.wait(lock, call.stop, [] { return false; });
    waiting = false;
    return Error{Errc::cancelled, "cut short"};
  }
  std::atomic<bool> away = false, mute = false, waiting = false;
};

/// Counts what a comparison asks for.
class AskedSource final : public PassingLog {
 public:
  using PassingLog::PassingLog;
  Result<std::vector<BucketDigest>> some_digests(unsigned bits,
                                                 std::span<const std::uint32_t> wanted,
                                                 const Call& call) override {
    digests += wanted.size();
    return PassingLog::some_digests(bits, wanted, call);
  }
  Result<void> keys(unsigned bits, std::span<const std::uint32_t> buckets, const KeySink& sink,
                    const Call& call) override {
    parts += buckets.size();
    return PassingLog::keys(bits, buckets, sink, call);
  }
  Result<std::vector<std::optional<Record>>> records(std::span<const std::string> keys,
                                                     const Call& call) override {
    fetched += keys.size();
    return PassingLog::records(keys, call);
  }
  std::size_t digests = 0, parts = 0, fetched = 0;
};

}  // namespace

TEST_SUITE("follower") {
  TEST_CASE("a new replica takes a snapshot and then follows the log") {
    Pair pair;
    put(*pair.source, 0, 2500);
    const auto first = pair.catch_up();
    CHECK(first.snapshots == 1);
    CHECK(first.proven);
    CHECK(same(*pair.source, *pair.copy));

    put(*pair.source, 2500, 2700);
    put(*pair.source, 0, 50, "changed");
    remove(*pair.source, 100, 140);
    const auto second = pair.catch_up();
    CHECK(second.snapshots == 0);
    CHECK(second.mendings == 0);
    CHECK(second.applied == 290);
    CHECK(second.position == good(pair.source->head({})).position);
    CHECK(same(*pair.source, *pair.copy));
    CHECK(good(pair.copy->find(sample_id(7), {}))->entry.description == "changed");
  }

  TEST_CASE("a source that sends more than was asked for is refused, however much it sends") {
    std::string rows, records;
    LogRow row;
    row.position.seq = 1;
    for (int n = 0; n < 3; ++n) {
      frames::append_row(rows, row);
      frames::append_absent(records);
    }
    frames::append_end(rows);
    frames::append_end(records);
    const ScriptedHttp server([&](const HttpRequest& request) {
      const bool wants_rows = request.target.find("/rows") != std::string::npos;
      return http_answer(200, wants_rows ? rows : records,
                         "content-type: " + std::string(frames::kContentType) + "\r\n");
    });
    const auto log = good(open_http_log({.url = server.origin()}, {}));
    CHECK(good(log->read_after({}, 3, 0ms, {})).rows.size() == 3);
    CHECK(log->read_after({}, 2, 0ms, {}).error().code == Errc::corrupt);
    const std::vector<std::string> keys{"a", "b", "c"};
    CHECK(good(log->records(keys, {})).size() == 3);
    CHECK(log->records(std::span(keys).first(2), {}).error().code == Errc::corrupt);
  }

  TEST_CASE("an empty source has an empty replica") {
    Pair pair;
    CHECK(pair.catch_up().proven);
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("a replica that was cut off before it noted its position goes on where it was") {
    Pair pair;
    put(*pair.source, 0, 300);
    (void)pair.catch_up();
    const Position before = good(pair.sink->standing({})).source;
    put(*pair.source, 300, 350);
    (void)pair.catch_up();
    good(pair.sink->stand_at(before, {}));  // what it held stays
    put(*pair.source, 350, 360);
    const auto after = pair.catch_up();
    CHECK(after.mendings == 0);
    CHECK(after.applied == 10);
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("a first copy that was cut off is known to be one of its source") {
    Pair pair;
    std::uint64_t count = 0, breaks = 0;
    SUBCASE("of few records, which are there one by one") { count = 600, breaks = 300; }
    SUBCASE("of many, which are there together") { count = 4000, breaks = 3000; }
    put(*pair.source, 0, count);
    BreakingSource breaking(*pair.log, breaks);
    pair.sink = make_replica(*pair.copy, "source", {});
    Follower follower(breaking, *pair.sink, {}, {});
    CHECK(follower.catch_up({}).error().code == Errc::unavailable);
    const auto state = good(replica_state(*pair.copy, {}));
    REQUIRE(state);
    CHECK(state->source == "source");
    CHECK(state->standing.source.epoch == 0);
  }

  TEST_CASE("a snapshot that was cut off is made good by comparing") {
    Pair pair;
    put(*pair.source, 0, 600);
    put(*pair.copy, 0, 200);  // as the first part of a snapshot leaves it
    const auto status = pair.catch_up();
    CHECK(status.snapshots == 0);
    CHECK(status.mended == 400);
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("of a snapshot that broke off late only the rest is fetched") {
    Pair pair;
    put(*pair.source, 0, 4000);
    BreakingSource breaking(*pair.log, 3000);
    pair.sink = make_replica(*pair.copy, "source", {});
    Follower follower(breaking, *pair.sink, {}, {});
    CHECK(follower.catch_up({}).error().code == Errc::unavailable);
    CHECK(good(pair.copy->head({})).count == 0);
    SUBCASE("in this process") {}
    SUBCASE("in another one, which finds what was kept") {
      pair.copy.reset();
      pair.copy = open_index(pair.copy_address);
    }
    remove(*pair.source, 0, 10);
    const auto status = pair.catch_up();
    CHECK(status.snapshots == 0);
    CHECK(status.mended == 1010);
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("a snapshot that broke off early begins anew, but not again and again") {
    Pair pair;
    put(*pair.source, 0, 4000);
    BreakingSource breaking(*pair.log, 500);
    pair.sink = make_replica(*pair.copy, "source", {});
    Follower follower(breaking, *pair.sink, {}, {});
    CHECK(follower.catch_up({}).error().code == Errc::unavailable);
    SUBCASE("the whole of it comes the second time") {
      CHECK(pair.catch_up().snapshots == 1);
      CHECK(good(pair.copy->find(sample_id(7), {})));
    }
    SUBCASE("it is never whole") {
      CHECK(follower.catch_up({}).error().code == Errc::unavailable);
      const auto status = good(follower.catch_up({}));
      CHECK(status.snapshots == 0);
      CHECK(status.mended == 3500);
    }
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("a snapshot with a record that does not have its hash leaves that one out") {
    Pair pair;
    put(*pair.source, 0, 1500);
    SpoilingLog spoiling(*pair.log, to_string(sample_id(3)));
    const auto status = pair.catch_up_from(spoiling);
    CHECK(status.proven);
    CHECK(status.snapshots == 1);
    CHECK(status.dead_letters == 1);
    CHECK(good(pair.copy->head({})).count == 1499);
    put(*pair.source, 3, 4, "whole");
    CHECK(pair.catch_up().dead_letters == 0);
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("[G6] a log that was trimmed below the replica costs only what differs") {
    Pair pair("log_rows=20");
    put(*pair.source, 0, 3000);
    (void)pair.catch_up();
    for (std::uint64_t n = 0; n < 60; ++n) put(*pair.source, n, n + 1, "behind");
    remove(*pair.source, 2990, 3000);
    good(pair.source->set_suspect("", 0, {}));
    const auto status = pair.catch_up();
    CHECK(status.mendings == 1);
    CHECK(status.mended == 70);
    CHECK(good(pair.source->head({})).suspect_reason.empty());
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("[G6] a reset of the source is met by comparing") {
    Pair pair;
    put(*pair.source, 0, 10);
    (void)pair.catch_up();
    const auto bulk = good(pair.source->bulk_load(500, 0, {}));
    std::vector<BulkLoad::Row> rows;
    for (std::uint64_t n = 5; n < 505; ++n) {
      PreparedEntry prepared = prepare(sample_entry(n));
      ScannedFile scanned = scanned_of(prepared);
      rows.push_back({std::move(prepared), sample_freshness(), std::move(scanned)});
    }
    good(bulk->add(rows, {}));
    good(bulk->finish({}));
    const auto status = pair.catch_up();
    CHECK(status.mendings == 1);
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("[G6] a source that was restored from an older copy, and goes on, is followed again") {
    Pair pair;
    const std::string path = pair.dir.path() + "/source.db", kept = pair.dir.path() + "/kept.db";
    put(*pair.source, 0, 200);
    pair.log.reset();
    pair.source.reset();
    std::filesystem::copy_file(path, kept);
    pair.reopen_source();
    put(*pair.source, 200, 260);
    (void)pair.catch_up();
    pair.log.reset();
    pair.source.reset();
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path + suffix);
    std::filesystem::copy_file(kept, path, std::filesystem::copy_options::overwrite_existing);
    pair.reopen_source();
    SUBCASE("and is behind the replica") {}
    SUBCASE("and has gone on to the same seq with other changes") {
      for (std::uint64_t n = 300; n < 360; ++n) put(*pair.source, n, n + 1);
    }
    SUBCASE("and is ahead by now") { put(*pair.source, 300, 500); }
    good(pair.source->set_suspect("", 0, {}));
    const auto status = pair.catch_up();
    CHECK(status.mendings == 1);
    CHECK(same(*pair.source, *pair.copy));
    // Nothing tells whether the files of the forgotten changes are still there.
    CHECK_FALSE(good(pair.source->head({})).suspect_reason.empty());
  }

  TEST_CASE("[G7] a replica that somebody else wrote to is found out and mended") {
    Pair pair;
    put(*pair.source, 0, 100);
    (void)pair.catch_up();
    put(*pair.copy, 50, 60, "by hand");
    remove(*pair.copy, 0, 5);
    put(*pair.copy, 900, 903);
    const auto status = pair.catch_up();
    CHECK(status.mended == 18);
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("a comparison asks only for what differs, closer with each step") {
    Pair pair;
    put(*pair.source, 0, 3000);
    CHECK(pair.catch_up().proven);
    put(*pair.copy, 10, 13, "by hand");
    remove(*pair.copy, 500, 502);
    AskedSource asked(*pair.log);
    const FollowStatus status = pair.catch_up_from(asked);
    CHECK(status.mended == 5);
    CHECK(same(*pair.source, *pair.copy));
    CHECK(asked.fetched == 5);
    CHECK(asked.parts == 5);
    CHECK(asked.digests == std::size_t{2} * 5 * 8);  // two steps of eight parts
  }

  TEST_CASE("beside a source that goes on a comparison ends where it began") {
    Pair pair;
    put(*pair.source, 0, 100);
    (void)pair.catch_up();
    put(*pair.source, 0, 1, "what differs");
    const Position begun = good(pair.source->head({})).position;
    BusySource busy(*pair.log, [&] { put(*pair.source, 200, 201); });
    const auto mended = good(sync::mend(busy, *pair.sink, system_clock(), {}));
    CHECK(mended.upto.seq == begun.seq + 1);
    CHECK(good(pair.sink->standing({})).source == begun);
  }

  TEST_CASE("a source that was put back is known by its head, too, where its log tells no more") {
    IndexHead head;
    head.position = {.epoch = 7, .seq = 10, .digest = {}};
    head.oldest_seq = 11;
    CHECK(was_rewound(head, {.epoch = 7, .seq = 10, .digest = {}}));
    CHECK_FALSE(was_rewound(head, {.epoch = 7, .seq = 9, .digest = {}}));
    CHECK_FALSE(was_rewound(head, {.epoch = 8, .seq = 10, .digest = {}}));
  }

  TEST_CASE("a replica of one source becomes the replica of another only by comparing") {
    Pair pair;
    put(*pair.source, 0, 100);
    (void)pair.catch_up();
    const auto other = open_index("sqlite://" + pair.dir.path() + "/other.db");
    put(*other, 90, 120);
    const auto log = make_log_source(*other);
    const auto sink = make_replica(*pair.copy, "other", {});
    CHECK(good(pair.sink->standing({})).source == good(pair.source->head({})).position);
    CHECK(good(sink->standing({})).source == Position());
    Follower follower(*log, *sink, {}, {});
    CHECK(good(follower.catch_up({})).mended == 110);
    CHECK(same(*other, *pair.copy));
  }

  TEST_CASE("[G7] a follower that runs keeps up with writers, and says when it is in step") {
    Pair pair;
    const auto sink = make_replica(*pair.copy, "source", {});
    Follower follower(*pair.log, *sink, {.batch = 200}, {});
    std::stop_source stop;
    Call call;
    call.stop = stop.get_token();
    std::jthread runner([&] { CHECK(follower.run(call).error().code == Errc::cancelled); });
    std::vector<std::jthread> writers;
    for (std::uint64_t t = 0; t < 3; ++t)
      writers.emplace_back([&pair, t] {
        std::mt19937_64 random(t);
        for (int i = 0; i < 300; ++i) {
          const std::uint64_t n = random() % 400;
          if (random() % 4 == 0)
            remove(*pair.source, n, n + 1);
          else
            put(*pair.source, n, n + 1, "by " + std::to_string(random() % 1000));
        }
      });
    writers.clear();
    const Position end = good(pair.source->head({})).position;
    CHECK(eventually([&] { return follower.status().position == end; }));
    CHECK(eventually([&] { return follower.status().proven; }));
    CHECK(follower.status().running);
    CHECK(follower.run({}).error().code == Errc::busy);
    stop.request_stop();
    runner.join();
    CHECK(same(*pair.source, *pair.copy));
    CHECK_FALSE(follower.status().running);
  }
  TEST_CASE("who is woken asks again, in the middle of a long poll and of a pause") {
    Pair pair;
    DeafSource deaf(*pair.log);
    const auto sink = make_replica(*pair.copy, "source", {});
    Follower follower(deaf, *sink, {.pause_least = 10min, .pause_most = 10min}, {});
    std::stop_source stop;
    Call call;
    call.stop = stop.get_token();
    std::jthread runner([&] { CHECK(follower.run(call).error().code == Errc::cancelled); });
    const auto reaches_the_end = [&] {
      const Position end = good(pair.source->head({})).position;
      return eventually(
          [&] { return follower.status().in_step && follower.status().position == end; });
    };
    for (std::uint64_t n = 0; n < 3; ++n) {
      REQUIRE(eventually([&] { return deaf.waiting.load(); }));
      put(*pair.source, n, n + 1);
      follower.wake();
      CHECK(reaches_the_end());
    }
    CHECK(follower.status().failures == 0);

    REQUIRE(eventually([&] { return deaf.waiting.load(); }));
    deaf.away = true;
    follower.wake();
    REQUIRE(eventually([&] { return follower.status().state == FollowState::waiting; }));
    CHECK_FALSE(follower.status().in_step);
    put(*pair.source, 3, 4);
    deaf.away = false;
    follower.wake();
    CHECK(reaches_the_end());
    CHECK(follower.status().failures == 1);
    stop.request_stop();
    runner.join();
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("a long poll and a comparison go by the clock that they were given") {
    FakeClock clock;
    const Deps deps{.clock = &clock};
    const auto source = good(Backends::builtin().open_index(good(Url::parse("mem:")), deps, {}));
    const auto log = make_log_source(*source, deps);
    put(*source, 0, 1);
    const Position before = good(source->head({})).position;
    std::optional<Result<LogSlice>> slice;
    std::thread reader([&] { slice = log->read_after(before, 10, 1h, Call().within(2h, clock)); });
    std::this_thread::sleep_for(100ms);  // only so that it is already waiting
    put(*source, 1, 2);
    reader.join();
    CHECK(good(std::move(*slice)).rows.size() == 1);

    // Long over by the clock of the machine.
    clock.advance(FakeClock::SteadyTime(1ns) - clock.steady());
    const auto copy = good(Backends::builtin().open_index(good(Url::parse("mem:")), deps, {}));
    put(*copy, 5, 6);
    const auto sink = make_replica(*copy, "source", deps);
    Follower follower(*log, *sink, {}, deps);
    CHECK(good(follower.catch_up(Call().within(1ms, clock))).mended > 0);
    CHECK(same(*source, *copy));
  }

  TEST_CASE("a source that is silent vouches for nothing, and what is heard of it counts") {
    Pair pair;
    put(*pair.source, 0, 3);
    DeafSource deaf(*pair.log);
    FakeClock clock;
    Deps deps;
    deps.clock = &clock;
    const auto sink = make_replica(*pair.copy, "source", {});
    const FollowSettings settings;
    Follower follower(deaf, *sink, settings, deps);
    std::stop_source stop;
    Call call;
    call.stop = stop.get_token();
    std::jthread runner([&] { CHECK(follower.run(call).error().code == Errc::cancelled); });
    REQUIRE(eventually([&] { return follower.status().in_step && deaf.waiting; }));
    clock.advance(settings.patience + kAnswerMost);
    CHECK(follower.status().in_step);
    clock.advance(1ms);
    CHECK_FALSE(follower.status().in_step);
    CHECK(follower.status().age == settings.patience + kAnswerMost + 1ms);
    follower.wake();
    REQUIRE(eventually([&] { return follower.status().in_step && deaf.waiting; }));

    deaf.mute = true;
    put(*pair.source, 3, 5);
    const Position end = good(pair.source->head({})).position;
    follower.hear(end.epoch, end.seq);
    CHECK_FALSE(follower.status().in_step);
    CHECK(follower.status().lag == 2);
    deaf.mute = false;
    CHECK(eventually([&] { return follower.status().in_step; }));
    CHECK(follower.status().position == end);
    stop.request_stop();
    runner.join();
  }

  TEST_CASE("an index keeps the bounds of reads that its log can vouch for, and refuses others") {
    Pair pair;
    put(*pair.source, 0, 3);
    MetadataStore& index = *pair.source;
    good(index.set_suspect("", 0, {}));
    const Position early = good(index.head({})).position;
    put(index, 3, 6);
    const Position late = good(index.head({})).position;
    const auto code_of = [&](const ReadBound& bound) {
      const auto kept = check_bound(index, bound, {});
      return kept ? std::optional<Errc>() : kept.error().code;
    };
    CHECK_FALSE(code_of({}));
    CHECK_FALSE(code_of({.min_position = early}));
    CHECK_FALSE(code_of({.min_position = late, .max_staleness = 0s}));
    Position other = early;
    SUBCASE("ahead of the head") { other.seq = late.seq + 1; }
    SUBCASE("with another digest") { other.digest = late.digest; }
    SUBCASE("of another log") { other.epoch += 1; }
    CHECK(code_of({.min_position = other}) == Errc::gone);
    good(index.set_suspect("emptied by hand", 0, {}));
    CHECK(code_of({.min_position = early}) == Errc::unavailable);
    CHECK(code_of({.max_staleness = 1h}) == Errc::unavailable);
    CHECK_FALSE(code_of({}));
  }

  TEST_CASE("a replica tells by itself up to which position of its source it sees everything") {
    Pair pair;
    put(*pair.source, 0, 20);
    (void)pair.catch_up();
    const Position seen = good(pair.source->head({})).position;
    put(*pair.source, 20, 30);
    const Position ahead = good(pair.source->head({})).position;
    Position other = seen;
    other.epoch += 1;
    const auto code_of = [&](const ReadBound& bound) {
      return check_bound(*pair.copy, bound, {}).error().code;
    };
    good(check_bound(*pair.copy, {.min_position = seen}, {}));
    CHECK(code_of({.min_position = ahead}) == Errc::unavailable);
    CHECK(code_of({.min_position = other}) == Errc::gone);
    CHECK(code_of({.max_staleness = 1h}) == Errc::unavailable);
    put(*pair.copy, 5, 6, "by hand");
    CHECK(code_of({.min_position = seen}) == Errc::unavailable);
    (void)pair.catch_up();
    good(check_bound(*pair.copy, {.min_position = ahead}, {}));
  }

  TEST_CASE("a read that waits for its own write sees it in the replica") {
    Pair pair;
    const auto sink = make_replica(*pair.copy, "source", {});
    Follower follower(*pair.log, *sink, {.patience = 100ms}, {});
    std::stop_source stop;
    Call call;
    call.stop = stop.get_token();
    std::jthread runner([&] { CHECK(follower.run(call).error().code == Errc::cancelled); });
    for (std::uint64_t n = 0; n < 50; ++n) {
      put(*pair.source, n, n + 1);
      ReadBound bound{.max_staleness = 0s};
      if (n % 2 == 0) bound = {.min_position = good(pair.source->head({})).position};
      good(follower.await(bound, Call{}.within(10min)));
      CHECK(good(pair.copy->find(sample_id(n), {})));
    }
    stop.request_stop();
  }

  TEST_CASE("a replica that nobody keeps in step refuses bounded reads by what it knows") {
    Pair pair;
    put(*pair.source, 0, 20);
    pair.sink = make_replica(*pair.copy, "source", {});
    Follower follower(*pair.log, *pair.sink, {}, {});
    const Call at_once = Call{}.within(0s), soon = Call{}.within(50ms);
    CHECK(follower.await({.max_staleness = 1h}, at_once).error().code == Errc::unavailable);
    good(follower.catch_up({}));
    const Position seen = good(pair.source->head({})).position;
    good(follower.await({.min_position = seen, .max_staleness = 1h}, at_once));
    // It asks its source, and has everything still.
    good(follower.await({.max_staleness = 0s}, Call{}.within(10min)));
    put(*pair.source, 20, 21);
    const Position ahead = good(pair.source->head({})).position;
    CHECK(follower.await({.min_position = ahead}, soon).error().code == Errc::unavailable);
    CHECK(follower.await({.max_staleness = 0s}, soon).error().code == Errc::unavailable);
    Position other = seen;
    SUBCASE("of another log") { other.epoch += 1; }
    SUBCASE("of another past of this log") { other.digest += Digest(0, 1); }
    CHECK(follower.await({.min_position = other}, soon).error().code == Errc::gone);
  }
}
