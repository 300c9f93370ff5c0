// SPDX-License-Identifier: Apache-2.0
// What every index promises: scan table, intents, bulk load, many writers, waiting, snapshots.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "conformance/index_suite.hpp"
#include "support/sample_entry.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

BulkLoad::Row row_of(std::uint64_t n) {
  PreparedEntry put = prepare(sample_entry(n));
  ScannedFile scanned = scanned_of(put);
  return {std::move(put), sample_freshness(), std::move(scanned)};
}

std::vector<BulkLoad::Row> rows_of(std::uint64_t from, std::uint64_t to) {
  std::vector<BulkLoad::Row> rows;
  for (std::uint64_t n = from; n < to; ++n) rows.push_back(row_of(n));
  return rows;
}

Digest digest_of_rows(MetadataStore& index) {
  Digest digest;
  good(index.scan(
      [&](std::span<const KeyAndHash> rows) -> Result<void> {
        for (const KeyAndHash& row : rows) digest += Digest::of(to_string(row.id), row.hash);
        return {};
      },
      {}));
  return digest;
}

std::optional<ScannedFile> scanned_at(MetadataStore& index, std::string_view path) {
  return good(index.find_scanned({{path}}, {})).front();
}

ScannedFile scanned_file(std::string path, std::uint64_t n) {
  ScannedFile file;
  file.path = std::move(path);
  file.id = sample_id(n);
  file.stamp.size = n;
  file.stamp.mark[3] = 9;
  file.updated_at = Timestamp(std::chrono::seconds(n));
  return file;
}

}  // namespace

TEST_SUITE("index") {
  TEST_CASE("the scan table gives back each path, folder by folder, also of a huge flat folder") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      std::map<std::string, std::uint64_t> expected;
      std::vector<ScannedFile> files;
      for (std::uint64_t n = 0; n < 3000; ++n)
        files.push_back(scanned_file("flat/" + to_string(sample_id(n)) + ".attr.json", n));
      for (std::uint64_t n = 3000; n < 3200; ++n)
        files.push_back(scanned_file("a/" + std::to_string(n % 10) + "/" + std::to_string(n), n));
      files.push_back(scanned_file("at the root", 4000));
      for (const ScannedFile& file : files) expected[file.path] = file.stamp.size;
      good(index.apply({.changes = {}, .scanned = files}, {}));

      std::map<std::string, std::uint64_t> seen;
      const auto gather = [&](std::span<const ScannedFile> some) -> Result<void> {
        for (const ScannedFile& file : some) CHECK(seen.emplace(file.path, file.stamp.size).second);
        return {};
      };
      good(index.scan_table({}, gather, {}));
      CHECK(seen == expected);
      seen.clear();
      good(index.scan_table({.folder = "a"}, gather, {}));
      CHECK(seen.size() == 200);

      const std::vector<std::string_view> gone{files[5].path, files[2999].path, "at the root"};
      good(index.apply({.changes = {}, .unscanned = gone}, {}));
      for (const std::string_view path : gone) CHECK_FALSE(scanned_at(index, path).has_value());
      const auto kept = scanned_at(index, files[6].path);
      REQUIRE(kept.has_value());
      CHECK(kept->path == files[6].path);
      CHECK(kept->stamp == files[6].stamp);
      CHECK(kept->id == files[6].id);
      CHECK(kept->updated_at == files[6].updated_at);
    });
  }

  TEST_CASE("a look at the scan table goes on where another one ended, however often") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      // By path, and folder by folder, these come in different orders.
      std::vector<ScannedFile> files;
      std::set<std::string> expected;
      for (std::uint64_t n = 0; n < 900; ++n) {
        static constexpr const char* kFolders[] = {"a/z", "a/b/", "a/b/c/", "a/z/", "a", "b/", ""};
        files.push_back(scanned_file(kFolders[n % 7] + std::to_string(n), n));
        if (files.back().path.starts_with("a/")) expected.insert(files.back().path);
      }
      good(index.apply({.changes = {}, .scanned = files}, {}));

      std::set<std::string> seen;
      std::string last;
      bool more = true;
      while (more) {
        const std::size_t before = seen.size();
        const auto some = [&](std::span<const ScannedFile> batch) -> Result<void> {
          for (const ScannedFile& file : batch.first(std::min(batch.size(), std::size_t{40}))) {
            CHECK(seen.insert(file.path).second);
            last = file.path;
          }
          return Error{Errc::conflict, "enough"};
        };
        more = !index.scan_table({.folder = "a", .after = last}, some, {});
        REQUIRE(more == (seen.size() > before));
        // Who goes on may have taken out what it has come to.
        const std::string_view gone = last;
        good(index.apply({.changes = {}, .unscanned = {&gone, 1}}, {}));
      }
      CHECK(seen == expected);
    });
  }

  TEST_CASE("all paths of an id are known, and a loser is there when the winner goes") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const EntryChange change = put_of(sample_entry(1));
      const ScannedFile first = scanned_of(change.put);
      ScannedFile second = first;
      second.path = "copies/one.attr.json";
      good(index.apply({.changes = {{change}}, .scanned = {{first}}}, {}));
      CHECK(good(index.scanned_paths_of(sample_id(1), {})).size() == 1);
      good(index.apply({.changes = {}, .scanned = {{second}}}, {}));
      CHECK(good(index.scanned_paths_of(sample_id(1), {})).size() == 2);
      const std::vector<std::string_view> gone{first.path};
      good(index.apply({.changes = {}, .unscanned = gone}, {}));
      const auto left = good(index.scanned_paths_of(sample_id(1), {}));
      REQUIRE(left.size() == 1);
      CHECK(left.front().path == second.path);
    });
  }

  TEST_CASE("a scanned file whose change has moved must be read again") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      EntryChange change = put_of(sample_entry(1));
      const ScannedFile file = scanned_of(change.put);
      change.base = 99;
      good(index.apply({.changes = {{change}}, .scanned = {{file}}}, {}));
      CHECK_FALSE(scanned_at(index, file.path).has_value());
    });
  }

  TEST_CASE("an intent stays until the change that ends it") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const Intent intent{sample_id(1), "2026/03/x", Intent::Operation::upload,
                          Timestamp(std::chrono::seconds(5))};
      good(index.add_intent(intent, {}));
      const auto open = good(index.intents({}));
      REQUIRE(open.size() == 1);
      CHECK(open.front().path == intent.path);
      CHECK(open.front().id == intent.id);
      CHECK(open.front().operation == intent.operation);
      const EntryChange change = put_of(sample_entry(1));
      good(index.apply({.changes = {{change}}, .finished_intents = {{sample_id(1)}}}, {}));
      CHECK(good(index.intents({})).empty());
    });
  }

  TEST_CASE("[G1] a bulk load shows nothing until it is finished, then everything, as one reset") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const auto bulk = good(index.bulk_load(3000, 0, {}));
      good(bulk->add(rows_of(0, 2500), {}));
      good(bulk->add(rows_of(2500, 3000), {}));
      CHECK(good(index.head({})).count == 0);
      CHECK_FALSE(good(index.find(sample_id(1), {})).has_value());
      const Position at = good(bulk->finish({}));
      const IndexHead head = good(index.head({}));
      CHECK(head.position == at);
      CHECK(head.count == 3000);
      CHECK(head.position.digest == digest_of_rows(index));
      CHECK(good(index.find(sample_id(2999), {}))->entry == sample_entry(2999));
      CHECK(good(index.search({.query = "plan"}, {})).total == 600);
      CHECK(scanned_at(index, scanned_of(prepare(sample_entry(17))).path).has_value());
      const LogSlice log = good(index.read_after({head.position.epoch, 0, Digest()}, 10, {}));
      REQUIRE(log.rows.size() == 1);
      CHECK(log.rows.front().kind == LogRow::Kind::reset);
      CHECK(good(index.read_after(at, 10, {})).rows.empty());

      FileEntry changed = sample_entry(3);
      changed.description = "after";
      EntryChange change = put_of(changed);
      change.base = good(index.find(sample_id(3), {}))->revision;
      CHECK(good(index.apply({.changes = {{change}}}, {})).outcomes.front() ==
            ChangeOutcome::updated);
      CHECK(good(index.head({})).position.digest == digest_of_rows(index));
    });
  }

  TEST_CASE("[G2] an entry that was removed before a reset does not rise again after it") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const std::vector<EntryChange> changes{put_of(sample_entry(1)), put_of(sample_entry(2))};
      good(index.apply({.changes = changes}, {}));
      EntryChange late = put_of(sample_entry(1));
      late.as_of = good(index.head({})).position.seq;  // read before it was removed
      good(index.apply({.changes = {{remove_of(sample_id(1))}}}, {}));
      const auto bulk = good(index.bulk_load(500, 0, {}));
      good(bulk->add(rows_of(10, 300), {}));
      EntryChange early = put_of(sample_entry(2));
      early.as_of = good(bulk->finish({})).seq;
      CHECK(good(index.apply({.changes = {{late}}}, {})).outcomes.front() == ChangeOutcome::moved);
      CHECK_FALSE(good(index.find(sample_id(1), {})).has_value());
      // What was read since is not that old.
      CHECK(good(index.apply({.changes = {{early}}}, {})).outcomes.front() ==
            ChangeOutcome::inserted);
    });
  }

  TEST_CASE("[G2] a change during a bulk load that makes what it loads keeps its revision") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const auto bulk = good(index.bulk_load(500, 0, {}));
      good(bulk->add(rows_of(0, 300), {}));
      FileEntry old = sample_entry(10);
      old.description = "before";
      std::vector<EntryChange> changes{put_of(old), put_of(sample_entry(11))};
      good(index.apply({.changes = changes}, {}));
      EntryChange late = put_of(old);
      late.as_of = good(index.head({})).position.seq;  // read while it was the old one
      changes = {put_of(sample_entry(10))};
      std::vector<ScannedFile> scanned{scanned_of(changes.front().put)};
      good(index.apply({.changes = changes, .scanned = scanned}, {}));
      const std::uint64_t revision = good(index.find(sample_id(10), {}))->revision;
      good(bulk->finish({}));
      CHECK(good(index.find(sample_id(10), {}))->revision >= revision);
      CHECK(good(index.apply({.changes = {{late}}}, {})).outcomes.front() == ChangeOutcome::moved);
      CHECK(good(index.find(sample_id(10), {}))->entry == sample_entry(10));
      CHECK(good(index.head({})).position.digest == digest_of_rows(index));
    });
  }

  TEST_CASE("[G2] what writers do during a bulk load wins over what was loaded") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const EntryChange early = put_of(sample_entry(900));
      good(index.apply({.changes = {{early}}}, {}));
      const auto bulk = good(index.bulk_load(500, 0, {}));
      good(bulk->add(rows_of(0, 300), {}));
      FileEntry newer = sample_entry(10);
      newer.description = "written meanwhile";
      const std::vector<EntryChange> changes{put_of(newer), put_of(sample_entry(901)),
                                             remove_of(sample_id(900))};
      good(index.apply({.changes = changes}, {}));
      good(bulk->finish({}));
      CHECK(good(index.find(sample_id(10), {}))->entry == newer);
      CHECK(good(index.find(sample_id(901), {})).has_value());
      CHECK_FALSE(good(index.find(sample_id(900), {})).has_value());
      CHECK(good(index.search({.query = "meanwhile"}, {})).total == 1);
      const IndexHead head = good(index.head({}));
      CHECK(head.count == 301);
      CHECK(head.position.digest == digest_of_rows(index));
    });
  }

  TEST_CASE("a bulk load takes over thousands of changes, also after it was cut short") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const auto write = [&](std::uint64_t from, std::uint64_t to) {
        std::vector<EntryChange> changes;
        std::vector<ScannedFile> scanned;
        for (std::uint64_t n = from; n < to; ++n) {
          changes.push_back(put_of(sample_entry(n)));
          scanned.push_back(scanned_of(changes.back().put));
        }
        good(index.apply({.changes = changes, .scanned = scanned}, {}));
      };
      {
        const auto bulk = good(index.bulk_load(100'000, 0, {}));
        good(bulk->add(rows_of(0, 100), {}));
        write(50, 1050);
      }
      write(1050, 2050);  // nobody loads, but somebody will
      const auto bulk = good(index.bulk_load(100'000, 0, {}));
      CHECK(bulk->resumed_rows() == 100);
      good(bulk->add(rows_of(5000, 5100), {}));
      for (std::uint64_t n = 2050; n < 4050; n += 1000) write(n, n + 1000);
      good(bulk->finish({}));
      CHECK(good(index.head({})).count == 4150);
      CHECK(good(index.head({})).position.digest == digest_of_rows(index));
      for (const std::uint64_t n : {0U, 49U, 50U, 99U, 100U, 1999U, 4049U, 5000U, 5099U}) {
        CHECK(good(index.find(sample_id(n), {}))->entry == sample_entry(n));
        CHECK(scanned_at(index, row_of(n).scanned.path).has_value());
      }
      CHECK(good(index.search({.query = "plan"}, {})).total == 830);
    });
  }

  TEST_CASE("of two loaded rows with one id the newer wins, and both paths are known") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const auto bulk = good(index.bulk_load(100, 0, {}));
      auto rows = rows_of(0, 50);
      FileEntry copy = sample_entry(7);
      copy.description = "the newer one";
      copy.updated_at = copy.updated_at + std::chrono::hours(1);
      PreparedEntry put = prepare(copy);
      ScannedFile scanned = scanned_of(put);
      scanned.path = "copies/seven.attr.json";
      rows.push_back({std::move(put), sample_freshness(), std::move(scanned)});
      good(bulk->add(rows, {}));
      good(bulk->finish({}));
      CHECK(good(index.find(sample_id(7), {}))->entry == copy);
      CHECK(good(index.scanned_paths_of(sample_id(7), {})).size() == 2);
      CHECK(good(index.head({})).count == 50);
      CHECK(good(index.head({})).position.digest == digest_of_rows(index));
      CHECK(good(index.search({.query = "newer one"}, {})).total == 1);
    });
  }

  TEST_CASE("of thousands of ids that are loaded more than once each has one row") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const auto bulk = good(index.bulk_load(100'000, 0, {}));
      good(bulk->add(rows_of(0, 3000), {}));
      const auto copies = [&](std::uint64_t from, std::uint64_t to, const std::string& folder) {
        auto rows = rows_of(from, to);
        for (BulkLoad::Row& row : rows) {
          FileEntry copy = row.put.entry;
          copy.description = "copied to " + folder;
          copy.updated_at = copy.updated_at + std::chrono::hours(1);
          row.put = prepare(copy);
          row.scanned.hash = row.put.hash;
          row.scanned.updated_at = copy.updated_at;
          row.scanned.path = folder + "/" + to_string(copy.id) + std::string(kSidecarSuffix);
        }
        good(bulk->add(rows, {}));
      };
      copies(0, 2500, "zebra");
      copies(100, 2600, "apple");
      good(bulk->finish({}));
      CHECK(good(index.head({})).count == 3000);
      CHECK(good(index.head({})).position.digest == digest_of_rows(index));
      for (const std::uint64_t n : {0U, 99U, 100U, 999U, 1000U, 2499U, 2500U, 2599U, 2600U}) {
        const FileEntry entry = good(index.find(sample_id(n), {}))->entry;
        const std::size_t paths = good(index.scanned_paths_of(sample_id(n), {})).size();
        CHECK(paths == 1U + (n < 2500 ? 1 : 0) + (n >= 100 && n < 2600 ? 1 : 0));
        if (n < 100) CHECK(entry.description == "copied to zebra");
        if (n >= 100 && n < 2600) CHECK(entry.description == "copied to apple");
        if (n >= 2600) CHECK(entry == sample_entry(n));
      }
      CHECK(good(index.search({.query = "copied zebra"}, {})).total == 100);
      CHECK(good(index.search({.query = "copied apple"}, {})).total == 2500);
    });
  }

  TEST_CASE("a bulk load that is given up changes nothing, and the next one goes on with it") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const std::vector<BulkLoad::Row> rows = rows_of(0, 100);
      {
        const auto bulk = good(index.bulk_load(100, 0, {}));
        CHECK(bulk->resumed_rows() == 0);
        good(bulk->add(std::span(rows).first(50), {}));
      }
      CHECK(good(index.head({})).count == 0);
      const auto bulk = good(index.bulk_load(100, 0, {}));
      CHECK(bulk->resumed_rows() == 50);
      const std::vector<std::string_view> paths{rows[3].scanned.path, rows[60].scanned.path};
      const auto scanned = good(bulk->find_scanned(paths, {}));
      REQUIRE(scanned[0].has_value());
      CHECK(scanned[0]->id == rows[3].put.entry.id);
      CHECK_FALSE(scanned[1].has_value());
      // A file that has changed since is added again, and counts as it was read last.
      FileEntry changed = rows[3].put.entry;
      changed.description = "changed since";
      std::vector<BulkLoad::Row> again{rows[3]};
      again[0].put = prepare(changed);
      good(bulk->add(again, {}));
      good(bulk->add(std::span(rows).subspan(50), {}));
      good(bulk->finish({}));
      CHECK(good(index.head({})).count == 100);
      CHECK(good(index.head({})).position.digest == digest_of_rows(index));
      CHECK(good(index.find(changed.id, {}))->entry == changed);
      // The words of all rows are there, once each.
      CHECK(good(index.search({.query = "plan"}, {})).total == 20);
      CHECK(good(index.search({.query = "changed since"}, {})).total == 1);
      CHECK(index.bulk_load(100, 0, {}).error().code == Errc::conflict);
    });
  }

  TEST_CASE("a bulk load that is discarded leaves nothing for the next one") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const auto first = good(index.bulk_load(100, 0, {}));
      good(first->add(rows_of(0, 50), {}));
      good(first->discard({}));
      CHECK(first->add(rows_of(50, 60), {}).error().code == Errc::lease_lost);
      const auto second = good(index.bulk_load(100, 0, {}));
      CHECK(second->resumed_rows() == 0);
      good(second->add(rows_of(200, 210), {}));
      good(second->finish({}));
      CHECK(good(index.head({})).count == 10);
    });
  }

  TEST_CASE("a bulk load that another one overtakes stops, and the other goes on with its rows") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const auto first = good(index.bulk_load(1000, 0, {}));
      good(first->add(rows_of(0, 50), {}));
      const auto second = good(index.bulk_load(1000, 0, {}));
      CHECK(first->add(rows_of(50, 100), {}).error().code == Errc::lease_lost);
      CHECK(first->finish({}).error().code == Errc::lease_lost);
      good(second->add(rows_of(200, 300), {}));
      good(second->finish({}));
      const IndexHead head = good(index.head({}));
      CHECK(head.count == 150);
      CHECK(head.position.digest == digest_of_rows(index));
      CHECK(second->add(rows_of(300, 301), {}).error().code == Errc::lease_lost);
    });
  }

  TEST_CASE("[G5] eight writers at once leave a log without holes and the right digest") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      std::vector<std::jthread> writers;
      std::atomic<int> failed{0};
      for (std::uint64_t w = 0; w < 8; ++w)
        writers.emplace_back([&, w] {
          for (std::uint64_t n = 0; n < 25; ++n) {
            const EntryChange change = put_of(sample_entry(w * 1000 + n));
            if (!index.apply({.changes = {{change}}}, {})) ++failed;
          }
        });
      writers.clear();
      CHECK(failed == 0);
      const IndexHead head = good(index.head({}));
      CHECK(head.position.seq == 200);
      CHECK(head.count == 200);
      CHECK(head.position.digest == digest_of_rows(index));
      const LogSlice log = good(index.read_after({head.position.epoch, 0, Digest()}, 1000, {}));
      CHECK(log.rows.size() == 200);
    });
  }

  TEST_CASE("a waiter is woken by a commit, and at its deadline without one") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const auto late = index.wait_for(0, Call().within(std::chrono::milliseconds(20)));
      CHECK(late.error().code == Errc::timed_out);
      std::jthread writer([&] {
        const EntryChange change = put_of(sample_entry(1));
        (void)index.apply({.changes = {{change}}}, {});
      });
      CHECK(good(index.wait_for(0, Call().within(std::chrono::minutes(10)))).position.seq == 1);
    });
  }

  TEST_CASE("a snapshot is of one position while writers go on") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const auto bulk = good(index.bulk_load(2000, 0, {}));
      good(bulk->add(rows_of(0, 2000), {}));
      good(bulk->finish({}));
      Digest digest;
      std::uint64_t written = 5000;
      const Position at = good(index.snapshot(
          [&](std::span<const Record> records) -> Result<void> {
            for (const Record& record : records) {
              digest += Digest::of(record.key, record.hash);
              CHECK(content_hash(good(parse_content(record.payload))) == record.hash);
            }
            const EntryChange change = put_of(sample_entry(++written));
            good(index.apply({.changes = {{change}}}, {}));
            return {};
          },
          {}));
      CHECK(digest == at.digest);
      CHECK(good(index.head({})).position.seq > at.seq);
    });
  }

  TEST_CASE("the digests of all buckets add up, and differ only where indexes differ") {
    for_each_index([](IndexPlace& place, MetadataStore& index) {
      const auto other = open_index(place.fresh_address(""));
      for (MetadataStore* one : {&index, other.get()}) {
        const auto bulk = good(one->bulk_load(500, 0, {}));
        good(bulk->add(rows_of(0, 500), {}));
        good(bulk->finish({}));
      }
      const EntryChange change = remove_of(sample_id(123));
      good(other->apply({.changes = {{change}}}, {}));
      Position at;
      const auto ours = good(index.bucket_digests(10, &at, {}));
      const auto theirs = good(other->bucket_digests(10, nullptr, {}));
      Digest sum;
      std::size_t different = 0;
      for (std::size_t i = 0; i < ours.size(); ++i) {
        sum += ours[i].digest;
        if (ours[i].digest != theirs[i].digest) ++different;
      }
      CHECK(sum == at.digest);
      CHECK(different == 1);
      CHECK(index.bucket_digests(17, nullptr, {}).error().code == Errc::invalid_argument);
    });
  }

  TEST_CASE("what is committed is there when the index is opened again") {
    for (const auto& place : index_places()) {
      if (!place->shared()) continue;
      const std::string address = place->fresh_address("");
      Position at;
      {
        const auto index = open_index(address);
        const EntryChange change = put_of(sample_entry(1));
        at = good(index->apply({.changes = {{change}}}, {})).position;
        good(index->set_suspect("", 0, {}));
      }
      const auto again = open_index(address);
      CHECK(good(again->head({})).position == at);
      CHECK(good(again->head({})).suspect_reason.empty());
      CHECK(good(again->find(sample_id(1), {})).has_value());
    }
  }

  TEST_CASE("two openings of one index see each other's commits, across a bulk load too") {
    for (const auto& place : index_places()) {
      if (!place->shared()) continue;
      const std::string address = place->fresh_address("");
      const auto one = open_index(address), two = open_index(address);
      CHECK_FALSE(good(two->find(sample_id(1), {})).has_value());
      std::jthread writer([&] {
        const EntryChange change = put_of(sample_entry(1));
        (void)one->apply({.changes = {{change}}}, {});
      });
      CHECK(good(two->wait_for(0, Call().within(std::chrono::minutes(10)))).count == 1);
      CHECK(good(two->find(sample_id(1), {})).has_value());
      const auto bulk = good(one->bulk_load(100, 0, {}));
      good(bulk->add(rows_of(0, 100), {}));
      good(bulk->finish({}));
      CHECK(good(two->find(sample_id(99), {})).has_value());
      CHECK(good(two->search({.query = "plan"}, {})).total == 20);
      const EntryChange change = put_of(sample_entry(200));
      good(two->apply({.changes = {{change}}}, {}));
      CHECK(good(one->find(sample_id(200), {})).has_value());
    }
  }

  TEST_CASE("[G4] a change under a fence that was never minted is lease_lost and changes nothing") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const EntryChange change = put_of(sample_entry(1));
      const auto refused = index.apply({.changes = {{change}}, .fence = 42}, {});
      REQUIRE_FALSE(refused.has_value());
      CHECK(refused.error().code == Errc::lease_lost);
      CHECK(good(index.head({})).count == 0);
    });
  }

  TEST_CASE("more changes than one apply takes are refused") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      std::vector<EntryChange> changes(kApplyMost + 1, remove_of(sample_id(1)));
      CHECK(index.apply({.changes = changes}, {}).error().code == Errc::invalid_argument);
    });
  }

  TEST_CASE("what writers note in the scan table during a bulk load is there after it") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const BulkLoad::Row early = row_of(900);
      const EntryChange put_early = put_of(sample_entry(900));
      good(index.apply({.changes = {{put_early}}, .scanned = {{early.scanned}}}, {}));
      const auto bulk = good(index.bulk_load(500, 0, {}));
      const auto rows = rows_of(0, 300);
      good(bulk->add(rows, {}));
      // A second sidecar of one entry; one that is gone; one that says what it said; one that is
      // read again; and one of which nobody has told what is in it.
      ScannedFile twin = rows[10].scanned, newer = rows[30].scanned;
      twin.path = "copies/ten.attr.json";
      newer.stamp.size = 12345;
      const ScannedFile orphan = scanned_file("nowhere/orphan.attr.json", 950);
      const std::vector<ScannedFile> scanned{early.scanned, twin, newer, orphan};
      const std::vector<EntryChange> changes{put_early, remove_of(sample_id(20))};
      const std::vector<std::string_view> gone{rows[20].scanned.path};
      good(index.apply({.changes = changes, .scanned = scanned, .unscanned = gone}, {}));
      good(bulk->finish({}));

      CHECK(good(index.scanned_paths_of(sample_id(10), {})).size() == 2);
      CHECK(scanned_at(index, twin.path).has_value());
      CHECK(scanned_at(index, rows[10].scanned.path).has_value());
      CHECK_FALSE(good(index.find(sample_id(20), {})).has_value());
      CHECK_FALSE(scanned_at(index, rows[20].scanned.path).has_value());
      CHECK(good(index.find(sample_id(900), {})).has_value());
      CHECK(scanned_at(index, early.scanned.path).has_value());
      REQUIRE(scanned_at(index, newer.path).has_value());
      CHECK(scanned_at(index, newer.path)->stamp == newer.stamp);
      CHECK_FALSE(scanned_at(index, orphan.path).has_value());
      CHECK(good(index.head({})).count == 300);
      CHECK(good(index.head({})).position.digest == digest_of_rows(index));
    });
  }
}
