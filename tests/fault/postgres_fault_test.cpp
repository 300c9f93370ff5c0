// SPDX-License-Identifier: Apache-2.0
// The server is killed, restarted and stopped in the middle of calls. Signals have their default
// dispositions, so a write to a dead server that raised SIGPIPE would end this test.
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "conformance/postgres_suite.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

/// `services VERB …` for the server under test, which this test alone uses.
void server(const std::string& verb) {
  const char* program = std::getenv("ARTCACHE_TEST_SERVICES");
  const char* state = std::getenv("ARTCACHE_TEST_SERVICES_STATE");
  REQUIRE_MESSAGE((program != nullptr && state != nullptr), "run by own_server.sh");
  const std::string command =
      std::string(program) + " " + verb.substr(0, verb.find(' ')) + " --state " + state +
      (verb.find(' ') == std::string::npos ? "" : verb.substr(verb.find(' '))) +
      " postgres >/dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
}

std::vector<BulkLoad::Row> rows_of(std::uint64_t from, std::uint64_t to) {
  std::vector<BulkLoad::Row> rows;
  for (std::uint64_t n = from; n < to; ++n) {
    PreparedEntry one = prepare(sample_entry(n));
    ScannedFile scanned = scanned_of(one);
    rows.push_back({std::move(one), sample_freshness(), std::move(scanned)});
  }
  return rows;
}

/// What must hold after any crash.
void check_whole(MetadataStore& index) {
  const IndexHead head = good(index.head(Call().within(5min)));
  CHECK(head.position.digest == digest_of_rows(index));
  Position at = start_of(index);
  while (at != head.position) {
    const auto rows = log_of(index, at);
    REQUIRE_FALSE(rows.empty());
    for (const LogRow& row : rows) {
      CHECK(row.position.seq == at.seq + 1);
      at = row.position;
    }
  }
}

}  // namespace

TEST_SUITE("postgres faults") {
  TEST_CASE(
      "[G5] killed in the middle of applies: what was acknowledged is there, then it goes on") {
    const PostgresSite site;
    const auto index = site.open();
    for (int round = 0; round < 3; ++round) {
      std::atomic<bool> over{false};
      std::atomic<int> wrong{0};
      std::vector<std::vector<std::uint64_t>> done(4);
      std::array<std::atomic<bool>, 4> begun{};
      std::vector<std::jthread> writers;
      for (std::uint64_t w = 0; w < 4; ++w)
        writers.emplace_back([&, w] {
          for (std::uint64_t n = 0; !over; ++n) {
            const std::uint64_t number =
                100'000 * (w + 1) + 10'000 * static_cast<unsigned>(round) + n;
            const EntryChange change = put_of(sample_entry(number));
            const auto applied = index->apply({.changes = {{change}}}, Call().within(3s));
            if (applied) {
              done[w].push_back(number);
              begun[w] = true;
            } else {
              const Errc code = applied.error().code;
              if (code != Errc::unavailable && code != Errc::timed_out) ++wrong;
            }
          }
        });
      for (const std::atomic<bool>& one : begun)
        while (!one) std::this_thread::sleep_for(1ms);
      server("kill");
      std::this_thread::sleep_for(100ms);
      over = true;
      writers.clear();
      CHECK(wrong == 0);
      const auto refused = index->head(Call().within(200ms));
      REQUIRE_FALSE(refused.has_value());
      CHECK(refused.error().message.find("secret") == std::string::npos);
      server("restart");
      for (const auto& numbers : done) {
        CHECK_FALSE(numbers.empty());
        for (const std::uint64_t number : numbers)
          CHECK(good(index->find(sample_id(number), Call().within(5min))).has_value());
      }
      check_whole(*index);
    }
  }

  TEST_CASE(
      "[G1][G5] killed in the middle of a bulk load: the index is as before, the next one "
      "succeeds") {
    const PostgresSite site;
    const auto index = site.open();
    put(*index, 90'000, 90'002);
    const Position before = good(index->head({})).position;
    const std::vector<BulkLoad::Row> rows = rows_of(0, 20'000);
    {
      const auto bulk = good(index->bulk_load(rows.size(), 0, {}));
      std::jthread killer([] {
        std::this_thread::sleep_for(100ms);
        server("kill");
      });
      Result<void> added;
      while (added) added = bulk->add(rows, Call().within(5min));
      CHECK(added.error().code == Errc::unavailable);
      CHECK_FALSE(bulk->finish({}).has_value());
    }
    server("restart");
    CHECK(good(index->head(Call().within(5min))).position == before);
    check_whole(*index);
    const auto bulk = good(index->bulk_load(rows.size(), 0, {}));
    // What was added is there whole or not at all, and does no harm when it is added again.
    CHECK(bulk->resumed_rows() % rows.size() == 0);
    good(bulk->add(rows, {}));
    good(bulk->finish({}));
    CHECK(good(index->head({})).count == rows.size());
    check_whole(*index);
  }

  TEST_CASE("an orderly restart is noticed by idle connections and costs no error") {
    const PostgresSite site;
    const auto index = site.open();
    put(*index, 0, 5);
    server("restart");
    CHECK(good(index->find(sample_id(1), Call().within(5min))).has_value());
    put(*index, 5, 10);
    check_whole(*index);
  }

  TEST_CASE("a server that hangs is timed_out at the deadline, and goes on afterwards") {
    const PostgresSite site;
    const auto index = site.open();
    put(*index, 0, 5);
    server("kill --signal STOP");
    const auto found = index->find(sample_id(1), Call().within(200ms));
    const EntryChange change = put_of(sample_entry(9));
    const auto applied = index->apply({.changes = {{change}}}, Call().within(200ms));
    server("kill --signal CONT");
    REQUIRE_FALSE(found.has_value());
    CHECK(found.error().code == Errc::timed_out);
    REQUIRE_FALSE(applied.has_value());
    CHECK(applied.error().code == Errc::timed_out);
    CHECK(good(index->find(sample_id(1), Call().within(5min))).has_value());
    check_whole(*index);
  }
}
