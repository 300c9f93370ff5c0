// SPDX-License-Identifier: Apache-2.0
#include <random>

#include "query_bench.hpp"
#include "support/counted_metrics.hpp"
#include "support/kept_log.hpp"
#include "support/passing_log.hpp"

using namespace artcache;
using namespace artcache::query;
using test::sample_entry;
using test::sample_id;

namespace {

std::vector<LogRow> rows_of(Source& source) {
  return must(source.index().read_after({.epoch = source.head().position.epoch, .digest = {}}, 1000,
                                        {}))
      .rows;
}

/// The tables of the role, with something else going on amid a scan.
class BusyTables final : public replica::Tables {
 public:
  explicit BusyTables(const replica::Tables& tables) : tables_(tables) {}

  [[nodiscard]] const replica::Standings& standings() const override { return tables_.standings(); }
  Result<std::vector<replica::Held>> find_held(db::Session& session, std::string_view element,
                                               std::span<const std::string> keys) const override {
    return tables_.find_held(session, element, keys);
  }
  Result<void> put_files(db::Session& session, const Owner& owner,
                         std::span<const PreparedEntry> files, std::span<const replica::Held> held,
                         Timestamp now) const override {
    return tables_.put_files(session, owner, files, held, now);
  }
  Result<void> remove_files(db::Session& session, std::string_view element,
                            std::span<const std::string> keys,
                            std::span<const replica::Held> held) const override {
    return tables_.remove_files(session, element, keys, held);
  }
  Result<std::vector<std::string>> first_keys(db::Session& session, std::string_view element,
                                              std::size_t most) const override {
    return tables_.first_keys(session, element, most);
  }
  Result<void> scan_files(
      db::Session& session, std::string_view element,
      const std::function<void(std::string_view, const ContentHash&)>& visit) const override {
    if (const auto first = std::exchange(amid, {})) first();
    return tables_.scan_files(session, element, visit);
  }

  mutable std::function<void()> amid = {};

 private:
  const replica::Tables& tables_;
};

}  // namespace

TEST_SUITE("query sink") {
  TEST_CASE("after any sequence of changes the replica has the digest of its element") {
    Bench bench;
    const auto source = bench.source("se-01");
    const auto sink = bench.sink("se-01");
    std::mt19937 random(7);
    for (int round = 0; round < 12; ++round) {
      for (int i = 0; i < 25; ++i) {
        const std::uint64_t n = random() % 60;
        if (random() % 4 == 0) {
          source->remove(sample_id(n));
        } else {
          FileEntry entry = sample_entry(n);
          entry.description = "round " + std::to_string(round);
          source->put(std::move(entry));
        }
      }
      const FollowStatus status = Bench::catch_up(source->log(), *sink);
      CHECK(status.mended == 0);
      const Standing standing = must(sink->standing({}));
      CHECK(standing.digest == source->head().position.digest);
      CHECK(standing.count == source->head().count);
      sink->recount_next();
      CHECK(must(sink->standing({})).digest == standing.digest);
    }
    CHECK(bench.count("file_metadata_cache") == static_cast<std::int64_t>(source->head().count));
    CHECK(sink->counts().deleted > 0);
    CHECK(sink->counts().updated > 0);
  }

  TEST_CASE("what is read is what the element had") {
    Bench bench;
    const auto source = bench.source("se-01");
    for (std::uint64_t n = 0; n < 130; ++n) source->put(sample_entry(n));
    const auto sink = bench.sink("se-01");
    Bench::catch_up(source->log(), *sink);
    for (std::uint64_t n = 0; n < 130; ++n) {
      const auto found = bench.find(sample_id(n));
      REQUIRE(found.size() == 1);
      CHECK(found[0].entry == sample_entry(n));
      CHECK(found[0].element == "se-01");
    }
  }

  TEST_CASE("two elements with one id have a file each, and a delete takes away only its own") {
    Bench bench;
    const auto first = bench.source("se-01"), third = bench.source("se-03");
    FileEntry temporary = sample_entry(1);
    temporary.retention_policy = "temporary";
    temporary.updated_at = temporary.updated_at + std::chrono::hours(5);
    FileEntry permanent = sample_entry(1);
    permanent.retention_policy = "permanent";
    first->put(temporary);
    third->put(permanent);
    const auto one = bench.sink("se-01"), three = bench.sink("se-03");
    Bench::catch_up(first->log(), *one);
    Bench::catch_up(third->log(), *three);
    auto found = bench.find(sample_id(1));
    REQUIRE(found.size() == 2);
    CHECK(found[0].element == "se-03");
    CHECK(found[1].element == "se-01");

    first->remove(sample_id(1));
    Bench::catch_up(first->log(), *one);
    found = bench.find(sample_id(1));
    REQUIRE(found.size() == 1);
    CHECK(found[0].element == "se-03");
    CHECK(must(three->standing({})).digest == third->head().position.digest);
  }

  TEST_CASE("of two files with one id and one retention the newest comes first") {
    Bench bench;
    const auto first = bench.source("se-01"), second = bench.source("se-02");
    FileEntry newer = sample_entry(1);
    newer.updated_at = newer.updated_at + std::chrono::seconds(1);
    first->put(sample_entry(1));
    second->put(newer);
    const auto one = bench.sink("se-01"), two = bench.sink("se-02");
    Bench::catch_up(first->log(), *one);
    Bench::catch_up(second->log(), *two);
    CHECK(bench.find(sample_id(1)).at(0).element == "se-02");
  }

  TEST_CASE("a record that cannot be applied is buried, and the others go on") {
    Bench bench;
    const auto source = bench.source("se-01");
    for (std::uint64_t n = 0; n < 5; ++n) source->put(sample_entry(n));
    const auto sink = bench.sink("se-01");
    const std::string poison = to_string(sample_id(3));
    test::SpoilingLog garbler(source->log(), poison);
    const FollowStatus status = Bench::catch_up(garbler, *sink);
    CHECK(status.proven);
    CHECK(status.dead_letters == 1);
    CHECK(bench.count("file_metadata_cache") == 4);
    const Standing standing = must(sink->standing({}));
    REQUIRE(standing.dead.size() == 1);
    CHECK(standing.dead[0].key == poison);
    CHECK(standing.dead[0].hash == content_hash(sample_entry(3)));
    CHECK(!standing.dead[0].kept);

    SUBCASE("until a later change of it can be applied") {
      FileEntry later = sample_entry(3);
      later.description = "mended";
      source->put(later);
      CHECK(Bench::catch_up(source->log(), *sink).dead_letters == 0);
      CHECK(bench.find(sample_id(3)).at(0).entry == later);
    }
    SUBCASE("or until it is removed") {
      source->remove(sample_id(3));
      CHECK(Bench::catch_up(source->log(), *sink).dead_letters == 0);
      CHECK(must(sink->standing({})).digest == source->head().position.digest);
    }
    SUBCASE("or dropped, which nobody but the digest remembers") {
      const auto drop = [&] {
        return must(bench.database->write({}, [&](Session& s) {
          return standings().drop_dead(s, "se-01", poison, Timestamp());
        }));
      };
      CHECK(drop());
      CHECK(!drop());
      const FollowStatus after = Bench::catch_up(garbler, *sink);
      CHECK(after.proven);
      CHECK(after.dead_letters == 0);
      CHECK(must(sink->standing({})).dead.size() == 1);
      SUBCASE("also when it is found in its way by a comparison") {
        bench.run("DELETE FROM file_metadata_cache WHERE id = '" + to_string(sample_id(1)) + "'");
        sink->recount_next();
        CHECK(Bench::catch_up(garbler, *sink).dead_letters == 0);
        CHECK(must(sink->standing({})).dead.at(0).dropped);
        CHECK(must(sink->standing({})).dead.at(0).seq == standing.dead[0].seq);
        CHECK(sink->counts().failed == 1);
      }
      SUBCASE("and is told of again when the file changes and cannot be applied") {
        FileEntry later = sample_entry(3);
        later.description = "worse";
        source->put(later);
        CHECK(Bench::catch_up(garbler, *sink).dead_letters == 1);
      }
      SUBCASE("and is applied when its record comes whole") {
        CHECK(Bench::catch_up(source->log(), *sink).proven);
        CHECK(must(sink->standing({})).dead.empty());
        CHECK(bench.find(sample_id(3)).at(0).entry == sample_entry(3));
      }
    }
    SUBCASE("or it was damaged in the log alone") {
      garbler.by_key = false;
      CHECK(Bench::catch_up(garbler, *sink).dead_letters == 0);
      CHECK(bench.count("file_metadata_cache") == 5);
      CHECK(must(sink->standing({})).digest == source->head().position.digest);
    }
  }

  TEST_CASE("of more dead letters than are fetched at once each is counted once") {
    Bench bench;
    const auto source = bench.source("se-01");
    const auto sink = bench.sink("se-01");
    std::vector<Record> poison(600);
    for (std::uint64_t n = 0; n < poison.size(); ++n) {
      const FileEntry entry = sample_entry(n);
      source->put(entry);
      poison[n] = {.key = to_string(entry.id), .hash = content_hash(entry), .payload = {}};
    }
    must(sink->stand_at(source->head().position, {}));
    for (int i = 0; i < 2; ++i) must(sink->mend(poison, {}, {}));
    CHECK(must(sink->standing({})).dead.size() == poison.size());
    CHECK(sink->counts().failed == poison.size());
    const FollowStatus status = Bench::catch_up(source->log(), *sink);
    CHECK(status.dead_letters == 0);
    CHECK(must(sink->standing({})).digest == source->head().position.digest);
  }

  TEST_CASE("a poisoned update keeps what was there before") {
    Bench bench;
    const auto source = bench.source("se-01");
    source->put(sample_entry(3));
    const auto sink = bench.sink("se-01");
    Bench::catch_up(source->log(), *sink);
    FileEntry later = sample_entry(3);
    later.description = "newer";
    source->put(later);
    test::SpoilingLog garbler(source->log(), to_string(sample_id(3)));
    CHECK(Bench::catch_up(garbler, *sink).dead_letters == 1);
    CHECK(bench.find(sample_id(3)).at(0).entry == sample_entry(3));
    CHECK(must(sink->standing({})).dead.at(0).kept == content_hash(sample_entry(3)));
  }

  TEST_CASE("a change that cannot be applied counts as what it was: a new file or an update") {
    Bench bench;
    test::CountedMetrics metrics;
    const auto source = bench.source("se-01");
    source->put(sample_entry(1));
    const auto sink = bench.sink("se-01", {.metrics = &metrics});
    Bench::catch_up(source->log(), *sink);
    const std::string failures = "artstore_query_events_processing_failures_total ",
                      created = failures + "file:created se-01",
                      updated = failures + "file:updated se-01";
    FileEntry later = sample_entry(1);
    later.description = "newer";
    source->put(later);
    test::SpoilingLog old_spoilt(source->log(), to_string(sample_id(1)));
    Bench::catch_up(old_spoilt, *sink);
    CHECK(metrics.of(created) == 0);
    CHECK(metrics.of(updated) == 1);

    source->put(sample_entry(2));
    later.id = sample_id(2);
    source->put(later);
    test::SpoilingLog new_spoilt(source->log(), to_string(sample_id(2)));
    Bench::catch_up(new_spoilt, *sink);
    CHECK(metrics.of(created) == 1);
    CHECK(metrics.of(updated) == 1);
    CHECK(metrics.of("artstore_query_stream_events_failed_total se-01") == 2);
  }

  TEST_CASE("an update of a file that is not here adds it, with a warning") {
    Bench bench;
    test::KeptLog log;
    const auto source = bench.source("se-01");
    for (std::uint64_t n = 0; n < 3; ++n) source->put(sample_entry(n));
    const auto sink = bench.sink("se-01", {.logger = &log});
    Bench::catch_up(source->log(), *sink);
    source->put(sample_entry(3));
    source->remove(sample_id(3));
    source->put(sample_entry(3));
    Bench::catch_up(source->log(), *sink);
    const std::string warning = "WARNING: A file that was not here was updated";
    CHECK(log.count(warning) == 0);

    bench.run("DELETE FROM file_metadata_cache WHERE id = '" + to_string(sample_id(1)) + "'");
    for (std::uint64_t n = 0; n < 2; ++n) {
      FileEntry later = sample_entry(n);
      later.description = "newer";
      source->put(later);
    }
    Bench::catch_up(source->log(), *sink);
    CHECK(log.count(warning) == 1);
    CHECK(log.count(warning + ", and is here now | storage_element_id=se-01 file_id=" +
                    to_string(sample_id(1))) == 1);
    CHECK(bench.find(sample_id(1)).at(0).entry.description == "newer");
    CHECK(must(sink->standing({})).digest == source->head().position.digest);
  }

  TEST_CASE("a dead letter whose file is updated later is no surprise") {
    Bench bench;
    test::KeptLog log;
    const auto source = bench.source("se-01");
    const auto sink = bench.sink("se-01", {.logger = &log});
    Bench::catch_up(source->log(), *sink);
    source->put(sample_entry(1));
    test::SpoilingLog spoilt(source->log(), to_string(sample_id(1)));
    CHECK(Bench::catch_up(spoilt, *sink).dead_letters == 1);
    FileEntry later = sample_entry(1);
    later.description = "newer";
    source->put(later);
    CHECK(Bench::catch_up(source->log(), *sink).dead_letters == 0);
    CHECK(log.count("WARNING") == 0);
  }

  TEST_CASE("rows taken away by hand come back when the rows are counted again") {
    Bench bench;
    const auto source = bench.source("se-01");
    for (std::uint64_t n = 0; n < 20; ++n) source->put(sample_entry(n));
    const auto sink = bench.sink("se-01");
    Bench::catch_up(source->log(), *sink);
    bench.run("DELETE FROM file_metadata_cache WHERE id < '8'");
    CHECK(bench.count("file_metadata_cache") < 20);
    sink->recount_next();
    const FollowStatus status = Bench::catch_up(source->log(), *sink);
    CHECK(status.mended > 0);
    CHECK(bench.count("file_metadata_cache") == 20);
  }

  TEST_CASE("while rows are counted again others write, and their changes count too") {
    Bench bench;
    const auto source = bench.source("se-01");
    for (std::uint64_t n = 0; n < 20; ++n) source->put(sample_entry(n));
    Bench::catch_up(source->log(), *bench.sink("se-01"));
    bench.run("DELETE FROM file_metadata_cache WHERE id < '8'");
    const auto rows = [&] {
      return static_cast<std::uint64_t>(bench.count("file_metadata_cache"));
    };

    const BusyTables tables(replica_tables());
    replica::Replica replica = bench.replica();
    replica.tables = &tables;
    Sink sink(replica, Owner{"se-01", "http://se-01"}, std::chrono::hours(1), Deps{});
    tables.amid = [&] {
      const FileEntry entry = sample_entry(100);
      const Record record{.key = to_string(entry.id),
                          .hash = content_hash(entry),
                          .payload = prepare(FileEntry(entry)).content};
      const auto other = bench.sink("se-01");
      must(other->mend({&record, 1}, {}, Call{}.within(std::chrono::seconds(5))));
    };
    // What was counted is of another time than what is held by now.
    CHECK(must(sink.standing({})).count == 21);
    CHECK(must(sink.standing({})).count == rows());
    CHECK(rows() < 21);
  }

  TEST_CASE("rows that were applied already count once, and a gap between rows is refused") {
    Bench bench;
    const auto source = bench.source("se-01");
    for (std::uint64_t n = 0; n < 4; ++n) source->put(sample_entry(n));
    const auto sink = bench.sink("se-01");
    const auto rows = rows_of(*source);
    must(sink->stand_at({.epoch = rows[0].position.epoch, .digest = {}}, {}));
    const std::span all(rows);
    must(sink->apply(all.first(2), {}));
    must(sink->apply(all.first(2), {}));
    CHECK(sink->counts().added == 2);
    CHECK(must(sink->standing({})).digest == rows[1].position.digest);
    CHECK(sink->apply(all.subspan(3), {}).error().code == Errc::conflict);
    must(sink->apply(all.subspan(2), {}));
    CHECK(must(sink->standing({})).source == rows[3].position);
  }

  TEST_CASE("where a follower of one element stops, another process goes on") {
    Bench bench;
    const auto source = bench.source("se-01");
    for (std::uint64_t n = 0; n < 4; ++n) source->put(sample_entry(n));
    Bench::catch_up(source->log(), *bench.sink("se-01"));
    source->put(sample_entry(9));
    const FollowStatus status = Bench::catch_up(source->log(), *bench.sink("se-01"));
    CHECK(status.applied == 1);
    CHECK(status.snapshots == 0);
  }

  TEST_CASE("a dead letter is not revived over what another process has applied since") {
    Bench bench;
    const auto source = bench.source("se-01");
    source->put(sample_entry(1));
    source->put(sample_entry(2));
    const auto one = bench.sink("se-01"), two = bench.sink("se-01");
    Bench::catch_up(source->log(), *one);
    const auto dead_since = [&](std::uint64_t n, std::string_view version) {
      FileEntry entry = sample_entry(n);
      entry.version = version;
      source->put(entry);
      test::SpoilingLog spoilt(source->log(), to_string(sample_id(n)));
      CHECK(Bench::catch_up(spoilt, *one).dead_letters > 0);
    };
    dead_since(1, "older");
    const std::vector<std::string> key{to_string(sample_id(1))};
    const auto older = must(source->log().records(key, {}));
    CHECK(must(one->standing({})).dead.size() == 1);
    // Nobody was quicker: it is revived.
    must(one->mend({&*older[0], 1}, {}, {}));
    CHECK(bench.find(sample_id(1)).at(0).entry.version == "older");

    dead_since(2, "dead");
    const std::vector<std::string> other{to_string(sample_id(2))};
    const auto dead = must(source->log().records(other, {}));
    CHECK(must(one->standing({})).dead.size() == 1);
    FileEntry newer = sample_entry(2);
    newer.version = "newer";
    source->put(newer);
    Bench::catch_up(source->log(), *two);
    CHECK(bench.find(sample_id(2)).at(0).entry == newer);
    must(one->mend({&*dead[0], 1}, {}, {}));
    CHECK(bench.find(sample_id(2)).at(0).entry == newer);
    CHECK(must(one->standing({})).digest == source->head().position.digest);
    // What was told as dead then is none any more: a comparison may put it again.
    must(one->mend({&*dead[0], 1}, {}, {}));
    CHECK(bench.find(sample_id(2)).at(0).entry.version == "dead");
  }

  TEST_CASE("a comparison puts nothing over what another process has applied meanwhile") {
    Bench bench;
    const auto source = bench.source("se-01");
    for (std::uint64_t n = 0; n < 3; ++n) source->put(sample_entry(n));
    const auto one = bench.sink("se-01"), two = bench.sink("se-01");
    Bench::catch_up(source->log(), *one);
    const auto change = [&](std::uint64_t n, std::string_view version) {
      FileEntry entry = sample_entry(n);
      entry.version = version;
      source->put(entry);
    };
    const auto nothing = [](std::span<const KeyHash>) -> Result<void> { return {}; };
    const std::vector<std::uint32_t> all{0};
    const std::vector<std::string> key{to_string(sample_id(1))};
    change(1, "older");
    must(one->standing({}));
    must(one->keys(0, all, nothing, {}));
    const auto older = must(source->log().records(key, {}));
    change(1, "newer");
    Bench::catch_up(source->log(), *two);
    CHECK(one->mend({&*older[0], 1}, {}, {}).error().code == Errc::conflict);
    CHECK(one->mend({}, key, {}).error().code == Errc::conflict);
    CHECK(bench.find(sample_id(1)).at(0).entry.version == "newer");
    // Looked at once more it may be put, and once more after that.
    must(one->standing({}));
    must(one->keys(0, all, nothing, {}));
    must(one->mend({}, key, {}));
    must(one->mend({&*older[0], 1}, {}, {}));
    CHECK(bench.find(sample_id(1)).at(0).entry.version == "older");
  }

  TEST_CASE(
      "a comparison does not say that rows are applied which another process has not got to") {
    Bench bench;
    const auto source = bench.source("se-01");
    source->put(sample_entry(1));
    const auto one = bench.sink("se-01"), two = bench.sink("se-01");
    Bench::catch_up(source->log(), *one);
    const auto change = [&](std::string_view version) {
      FileEntry entry = sample_entry(1);
      entry.version = version;
      source->put(entry);
      return source->head().position;
    };
    const Position before = source->head().position;
    change("older");
    const auto rows = must(source->index().read_after(before, 10, {})).rows;
    const Position begun = change("newer");
    const std::vector<std::string> key{to_string(sample_id(1))};
    must(one->standing({}));
    const auto newer = must(source->log().records(key, {}));
    must(one->mend({&*newer[0], 1}, {}, {}));
    must(two->apply(rows, {}));
    must(one->stand_at(begun, {}));
    CHECK(must(two->standing({})).source == rows.back().position);
    Bench::catch_up(source->log(), *two);
    CHECK(bench.find(sample_id(1)).at(0).entry.version == "newer");
    CHECK(must(two->standing({})).digest == begun.digest);
    // Where nobody has moved it, it goes where it is told; and back wherever it is.
    must(one->standing({}));
    change("last");
    must(one->stand_at(source->head().position, {}));
    CHECK(must(one->standing({})).source == source->head().position);
    must(two->stand_at(before, {}));
    CHECK(must(one->standing({})).source == before);
  }

  TEST_CASE(
      "a table of the original is taken over with its rows, which then become the element's") {
    // A row with an id that se-01 has, and one that it does not have.
    const std::string row = "'Old.pdf', 'old_1.pdf', 7, 'application/pdf', '" +
                            std::string(64, 'a') +
                            "', 'ivanov', ARRAY['x y', 'z'], NULL, 'se-01', 'http://guess:8010', "
                            "now(), now(), now())";
    const std::string insert =
        "INSERT INTO file_metadata_cache(id, filename, storage_filename, file_size, mime_type, "
        "sha256_hash, username, tags, description, storage_element_id, storage_element_url, "
        "created_at, updated_at, cache_updated_at) VALUES(";
    if (!server_database()) return;  // SQLite never had one
    Bench bench(
        "CREATE TABLE file_metadata_cache(id varchar(36) PRIMARY KEY, filename varchar(255) NOT "
        "NULL, storage_filename varchar(512) NOT NULL, file_size bigint NOT NULL CHECK "
        "(file_size >= 0), mime_type varchar(127), sha256_hash varchar(64) NOT NULL, username "
        "varchar(255) NOT NULL, tags varchar(50)[], description text, storage_element_id "
        "varchar(50) NOT NULL, storage_element_url varchar(512) NOT NULL, created_at timestamptz "
        "NOT NULL, updated_at timestamptz NOT NULL, cache_updated_at timestamptz, search_vector "
        "tsvector);" +
        insert + "'" + to_string(sample_id(1)) + "', " + row + ";" + insert + "'" +
        to_string(sample_id(77)) + "', " + row);
    const auto old = bench.find(sample_id(77));
    REQUIRE(old.size() == 1);
    CHECK(old[0].entry.original_filename == "Old.pdf");
    CHECK(old[0].entry.tags == std::vector<std::string>{"x y", "z"});

    const auto source = bench.source("se-01");
    FileEntry wide = sample_entry(1);
    wide.original_filename = std::string(500, 'n') + ".pdf";
    source->put(wide);
    const auto sink = bench.sink("se-01");
    CHECK(Bench::catch_up(source->log(), *sink).proven);
    CHECK(bench.find(sample_id(77)).empty());
    CHECK(bench.find(sample_id(1)).at(0).entry == wide);
  }
}
