// SPDX-License-Identifier: Apache-2.0
// Many writers, long and short, and somebody who holds a row and says nothing.
#include <atomic>
#include <thread>

#include "conformance/postgres_suite.hpp"

using namespace artcache;
using namespace artcache::test;
using namespace std::chrono_literals;

namespace {

std::string id_text(std::uint64_t n) { return "'" + to_string(sample_id(n)) + "'"; }

}  // namespace

TEST_SUITE("postgres") {
  TEST_CASE("eight writers, long and short, and an idle psql: seq has no hole, in commit order") {
    const PostgresSite site;
    const auto index = site.open();
    put(*index, 0, 1);
    Psql idle(site.address);
    idle("BEGIN; UPDATE " + site.files() +
         " SET description = 'held' WHERE file_id = " + id_text(0));

    // The order in which a watcher sees commits is that of the numbers, without a gap.
    std::atomic<bool> over{false};
    std::atomic<int> failed{0};
    std::jthread watcher([&] {
      Position at = start_of(*index);
      while (true) {
        const bool last = over;
        const auto slice = index->read_after(at, 10'000, {});
        if (!slice) ++failed;
        if (!slice) return;
        for (const LogRow& row : slice->rows) {
          if (row.position.seq != at.seq + 1) ++failed;
          at = row.position;
        }
        if (at != slice->head.position) ++failed;
        if (last) return;
      }
    });
    std::vector<std::jthread> writers;
    for (std::uint64_t w = 0; w < 4; ++w)
      writers.emplace_back([&, w] {
        const auto own = open_index(site.address);
        for (std::uint64_t n = 0; n < 25; ++n) {
          const EntryChange change = put_of(sample_entry(1000 * (w + 1) + n));
          if (!own->apply({.changes = {{change}}}, Call().within(5min))) ++failed;
        }
      });
    for (std::uint64_t w = 0; w < 4; ++w)
      writers.emplace_back([&, w] {
        Psql psql(site.address);
        for (std::uint64_t n = 0; n < 5; ++n) {
          const std::string id = "'" + to_string(sample_id(90'000 + 10 * w + n)) + "'";
          psql("BEGIN; INSERT INTO " + site.files() +
               "(file_id, original_filename, storage_filename, file_size, content_type, "
               "created_by_id, created_by_username, storage_path, checksum) VALUES(" +
               id + ", 'n', 'n', 5, 't', 'u', 'u', 'a/', '')");
          psql("SELECT pg_sleep(0.02)");
          psql("UPDATE " + site.files() + " SET file_size = 6 WHERE file_id = " + id);
          psql(n == 4 ? "ROLLBACK" : "COMMIT");
        }
      });
    writers.clear();
    over = true;
    watcher.join();
    CHECK(failed == 0);
    const IndexHead head = good(index->head({}));
    CHECK(head.position.seq == 1 + 4 * 25 + 4 * 4 * 2);
    CHECK(head.count == 1 + 4 * 25 + 4 * 4);
    CHECK(head.position.digest == digest_of_rows(*index));

    idle("COMMIT");
    CHECK(good(index->head({})).position.seq == head.position.seq + 1);
    CHECK(good(index->head({})).position.digest == digest_of_rows(*index));
  }

  TEST_CASE("who wants a held row waits to the deadline, and others of the process do not") {
    const PostgresSite site;
    const auto index = site.open();
    put(*index, 0, 2);
    Psql idle(site.address);
    idle("BEGIN; SELECT 1 FROM " + site.files() + " WHERE file_id = " + id_text(0) + " FOR UPDATE");
    std::atomic<bool> waiting{true};
    Errc refused = Errc::internal;
    std::jthread blocked([&] {
      const EntryChange change = remove_of(sample_id(0));
      const auto done = index->apply({.changes = {{change}}}, Call().within(8s));
      if (!done) refused = done.error().code;
      waiting = false;
    });
    std::uint64_t written = 0;
    while (waiting) {
      put(*index, 100 + written, 101 + written);
      ++written;
    }
    blocked.join();
    CHECK(refused == Errc::timed_out);
    CHECK(written > 1);
    idle("ROLLBACK");
    const EntryChange change = remove_of(sample_id(0));
    CHECK(good(index->apply({.changes = {{change}}}, {})).outcomes.front() ==
          ChangeOutcome::removed);
  }

  TEST_CASE("an id that somebody is about to insert is met as an update after their commit") {
    const PostgresSite site;
    const auto index = site.open();
    Psql psql(site.address);
    psql("BEGIN; INSERT INTO " + site.files() +
         "(file_id, original_filename, storage_filename, file_size, content_type, created_by_id, "
         "created_by_username, storage_path, checksum) VALUES(" +
         id_text(1) + ", 'n', 'n', 5, 't', 'u', 'u', 'a/', '')");
    std::jthread commit([&] {
      std::this_thread::sleep_for(150ms);
      psql("COMMIT");
    });
    const EntryChange change = put_of(sample_entry(1));
    CHECK(good(index->apply({.changes = {{change}}}, Call().within(5min))).outcomes.front() ==
          ChangeOutcome::updated);
    CHECK(good(index->find(sample_id(1), {}))->entry == sample_entry(1));
    CHECK(good(index->head({})).position.digest == digest_of_rows(*index));
  }

  TEST_CASE("a plain sequence would not do: it numbers in the order of statements, not commits") {
    const PostgresSite site;
    Psql first(site.address), second(site.address), reader(site.address);
    const std::string table = site.prefix + "plain";
    first("CREATE TABLE " + table + "(seq bigserial, who text)");
    first("BEGIN; INSERT INTO " + table + "(who) VALUES('first')");
    second("INSERT INTO " + table + "(who) VALUES('second')");
    // A follower that has seen 2 believes to have seen all before it.
    CHECK(reader.number("SELECT max(seq) FROM " + table) == 2);
    CHECK(reader.number("SELECT count(*) FROM " + table) == 1);
    first("COMMIT");
    CHECK(reader.number("SELECT count(*) FROM " + table) == 2);
  }
}
