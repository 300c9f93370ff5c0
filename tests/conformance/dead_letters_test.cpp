// SPDX-License-Identifier: Apache-2.0
// Records that a replica cannot apply are named, hold up no other and are taken once they are
// whole.
#include <artcache/follower.hpp>
#include <chrono>
#include <thread>

#include "conformance/follower_suite.hpp"
#include "core/sync/mender.hpp"
#include "support/kept_log.hpp"
#include "support/passing_log.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

TEST_SUITE("dead letters") {
  TEST_CASE(
      "[G7] a record that does not have its hash is kept out, named, and taken when it is whole") {
    Pair pair;
    put(*pair.source, 0, 50);
    (void)pair.catch_up();
    const ContentHash before = good(pair.copy->find(sample_id(3), {}))->hash;
    put(*pair.source, 0, 10, "second");
    SpoilingLog spoiling(*pair.log, to_string(sample_id(3)));
    const auto status = pair.catch_up_from(spoiling);
    CHECK(status.proven);  // in step except one
    CHECK(status.dead_letters == 1);
    CHECK(status.applied == 10);
    const auto dead = good(pair.sink->standing({})).dead;
    REQUIRE(dead.size() == 1);
    CHECK(dead[0].key == to_string(sample_id(3)));
    CHECK(dead[0].kept == before);
    CHECK(dead[0].hash == good(pair.source->find(sample_id(3), {}))->hash);
    CHECK(good(pair.copy->find(sample_id(3), {}))->hash == before);
    CHECK(good(pair.copy->find(sample_id(4), {}))->entry.description == "second");

    put(*pair.source, 3, 4, "third");
    CHECK(pair.catch_up().dead_letters == 0);
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("a record that is damaged in the log alone is fetched by its key") {
    Pair pair;
    const std::string key = to_string(sample_id(3));
    SpoilingLog spoiling(*pair.log, key, SpoilingLog::Where::not_by_key);
    put(*pair.source, 0, 1500);
    SUBCASE("by a snapshot") {}
    SUBCASE("by rows, where there was another one") {
      (void)pair.catch_up();
      put(*pair.source, 0, 10, "second");
    }
    SUBCASE("by rows, where there was none") {
      (void)pair.catch_up();
      remove(*pair.source, 3, 4);
      (void)pair.catch_up();
      put(*pair.source, 3, 4);
    }
    const auto status = pair.catch_up_from(spoiling);
    CHECK(status.proven);
    CHECK(status.dead_letters == 0);
    CHECK(status.mendings == 0);
    CHECK(good(pair.sink->standing({})).dead.empty());
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("a dead letter is tried again until its record is whole, and told of meanwhile") {
    Pair pair;
    put(*pair.source, 0, 20);
    (void)pair.catch_up();
    SpoilingLog spoiling(*pair.log, to_string(sample_id(3)));
    KeptLog kept;
    Deps deps;
    deps.logger = &kept;
    const auto sink = make_replica(*pair.copy, "source", deps);
    Follower follower(spoiling, *sink, {.batch = 1, .patience = 5ms, .pause_least = 1ms}, deps);
    std::stop_source stop;
    Call call;
    call.stop = stop.get_token();
    std::jthread runner([&] { CHECK(follower.run(call).error().code == Errc::cancelled); });
    put(*pair.source, 0, 10, "second");
    const Position end = good(pair.source->head({})).position;
    REQUIRE(eventually([&] { return follower.status().position == end; }));
    CHECK(eventually([&] { return follower.status().in_step; }));
    CHECK(follower.status().dead_letters == 1);
    CHECK(follower.dead_letters().at(0).seq == 24);
    CHECK_FALSE(same(*pair.source, *pair.copy));
    CHECK(kept.count("ERROR: A record could not be applied") == 1);
    spoiling.by_key = false;
    CHECK(eventually([&] { return follower.status().dead_letters == 0; }));
    CHECK(same(*pair.source, *pair.copy));
    CHECK(follower.status().mendings == 0);
    stop.request_stop();
    runner.join();
  }

  TEST_CASE("a dead letter whose record has changed since is left to the log") {
    Pair pair;
    put(*pair.source, 0, 10);
    (void)pair.catch_up();
    put(*pair.source, 3, 4, "second");
    SpoilingLog spoiling(*pair.log, to_string(sample_id(3)));
    REQUIRE(pair.catch_up_from(spoiling).dead_letters == 1);
    const auto dead = good(pair.sink->standing({})).dead;
    const ContentHash before = good(pair.copy->find(sample_id(3), {}))->hash;
    std::size_t revived = 0;
    SUBCASE("to another content") {
      put(*pair.source, 3, 4, "third");
      revived = good(sync::revive(*pair.log, *pair.sink, dead, {}));
    }
    SUBCASE("to none") {
      remove(*pair.source, 3, 4);
      revived = good(sync::revive(*pair.log, *pair.sink, dead, {}));
    }
    CHECK(revived == 0);
    CHECK(good(pair.copy->find(sample_id(3), {}))->hash == before);
    const auto status = pair.catch_up();
    CHECK(status.dead_letters == 0);
    CHECK(status.mendings == 0);
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("who was killed between a dead letter's record and the note of it is in step again") {
    Pair pair;
    put(*pair.source, 0, 50);
    (void)pair.catch_up();
    put(*pair.source, 3, 4, "second");
    SpoilingLog spoiling(*pair.log, to_string(sample_id(3)));
    REQUIRE(pair.catch_up_from(spoiling).dead_letters == 1);
    const std::string note = good(pair.copy->note("follow", {}));
    SUBCASE("when the same record came whole") {}
    SUBCASE("when the next one came") { put(*pair.source, 3, 4, "third"); }
    SUBCASE("when it was removed") { remove(*pair.source, 3, 4); }
    REQUIRE(pair.catch_up().dead_letters == 0);
    good(pair.copy->set_note("follow", note, 0, {}));
    const auto status = pair.catch_up();
    CHECK(status.proven);
    CHECK(status.dead_letters == 0);
    CHECK(same(*pair.source, *pair.copy));
  }

  TEST_CASE("many dead letters are compared as any others") {
    Pair pair;
    put(*pair.source, 0, 1200);
    (void)pair.catch_up();
    put(*pair.source, 0, 900, "second");
    /// Nothing that it tells of these can be believed.
    class Poisonous final : public PassingLog {
     public:
      using PassingLog::PassingLog;
      Result<LogSlice> read_after(const Position& position, std::uint32_t limit,
                                  std::chrono::nanoseconds patience, const Call& call) override {
        auto slice = PassingLog::read_after(position, limit, patience, call);
        if (slice)
          for (LogRow& row : slice->rows) row.record.payload.clear();
        return slice;
      }
      Result<std::vector<std::optional<Record>>> records(std::span<const std::string> keys,
                                                         const Call& call) override {
        auto found = PassingLog::records(keys, call);
        if (found)
          for (auto& record : *found)
            if (record) record->payload.clear();
        return found;
      }
    } poisonous(*pair.log);
    CHECK(pair.catch_up_from(poisonous).dead_letters == 900);
    put(*pair.copy, 1000, 1002, "by hand");
    CHECK(pair.catch_up_from(poisonous).dead_letters == 902);
    const auto status = pair.catch_up();
    CHECK(status.dead_letters == 0);
    CHECK(same(*pair.source, *pair.copy));
  }
}
