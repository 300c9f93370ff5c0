// SPDX-License-Identifier: Apache-2.0
// What every index promises: rows, revisions, log, digest, search, scan table.
#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "conformance/index_suite.hpp"
#include "support/sample_entry.hpp"

using namespace artcache;
using namespace artcache::test;

namespace {

ApplyResult apply(MetadataStore& index, std::vector<EntryChange> changes) {
  return good(index.apply({.changes = changes}, {}));
}

ApplyResult apply_one(MetadataStore& index, EntryChange change) {
  std::vector<EntryChange> changes;
  changes.push_back(std::move(change));
  return apply(index, std::move(changes));
}

void fill(MetadataStore& index, std::uint64_t from, std::uint64_t to) {
  std::vector<EntryChange> changes;
  std::vector<ScannedFile> scanned;
  for (std::uint64_t n = from; n < to; ++n) {
    changes.push_back(put_of(sample_entry(n)));
    scanned.push_back(scanned_of(changes.back().put));
  }
  good(index.apply({.changes = changes, .scanned = scanned}, {}));
}

/// Digest and number of all rows, by looking at each.
std::pair<Digest, std::uint64_t> sum_up(MetadataStore& index) {
  Digest digest;
  std::uint64_t count = 0;
  good(index.scan(
      [&](std::span<const KeyAndHash> rows) -> Result<void> {
        for (const KeyAndHash& row : rows) digest += Digest::of(to_string(row.id), row.hash);
        count += rows.size();
        return {};
      },
      {}));
  return {digest, count};
}

std::set<FileId> ids_of(const EntryPage& page) {
  std::set<FileId> ids;
  for (const IndexedEntry& entry : page.entries) ids.insert(entry.entry.id);
  return ids;
}

Position start_of(MetadataStore& index) {
  return {good(index.head({})).position.epoch, 0, Digest()};
}

}  // namespace

TEST_SUITE("index") {
  TEST_CASE("a new index is empty, stands at seq 0 and says that it was never built") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const IndexHead head = good(index.head({}));
      CHECK(head.position.seq == 0);
      CHECK(head.position.epoch != 0);
      CHECK(head.position.digest == Digest());
      CHECK(head.count == 0);
      CHECK_FALSE(head.suspect_reason.empty());
      CHECK_FALSE(good(index.find(sample_id(1), {})).has_value());
    });
  }

  TEST_CASE("what was put is found again, field by field, with the revision of its change") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      for (std::uint64_t n = 0; n < 60; ++n) {
        const ApplyResult applied = apply_one(index, put_of(sample_entry(n)));
        CHECK(applied.outcomes.front() == ChangeOutcome::inserted);
        const auto found = good(index.find(sample_id(n), {}));
        REQUIRE(found.has_value());
        CHECK(found->entry == sample_entry(n));
        CHECK(found->hash == content_hash(sample_entry(n)));
        CHECK(found->revision == applied.position.seq);
        CHECK(found->freshness == sample_freshness());
      }
    });
  }

  TEST_CASE("equal content is only made fresh: neither log nor digest move") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const Position before = apply_one(index, put_of(sample_entry(1))).position;
      EntryChange again = put_of(sample_entry(1));
      again.freshness = sample_freshness(1800000000);
      const ApplyResult applied = apply_one(index, again);
      CHECK(applied.outcomes.front() == ChangeOutcome::unchanged);
      CHECK(applied.position == before);
      CHECK(good(index.find(sample_id(1), {}))->freshness == again.freshness);

      EntryChange fresh;
      fresh.kind = EntryChange::Kind::freshen;
      fresh.id = sample_id(1);
      fresh.freshness = sample_freshness(1900000000);
      CHECK(apply_one(index, fresh).position == before);
      CHECK(good(index.find(sample_id(1), {}))->freshness == fresh.freshness);
    });
  }

  TEST_CASE("[G2] a change whose base revision has moved does nothing") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      EntryChange first = put_of(sample_entry(1));
      first.base = 0;
      CHECK(apply_one(index, first).outcomes.front() == ChangeOutcome::inserted);
      const auto old = good(index.find(sample_id(1), {}));

      FileEntry changed = sample_entry(1);
      changed.description = "other";
      EntryChange stale = put_of(changed);
      stale.base = 0;  // "is not there", but it is
      CHECK(apply_one(index, stale).outcomes.front() == ChangeOutcome::moved);
      stale.base = old->revision + 1;
      CHECK(apply_one(index, stale).outcomes.front() == ChangeOutcome::moved);
      CHECK(good(index.find(sample_id(1), {}))->entry == sample_entry(1));

      stale.base = old->revision;
      CHECK(apply_one(index, stale).outcomes.front() == ChangeOutcome::updated);
      EntryChange remove = remove_of(sample_id(1));
      remove.base = old->revision;
      CHECK(apply_one(index, remove).outcomes.front() == ChangeOutcome::moved);
      CHECK(good(index.head({})).count == 1);
    });
  }

  TEST_CASE("[G2] a change as of a position does nothing once the entry has changed after it") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      fill(index, 0, 5);
      const std::uint64_t read_at = good(index.head({})).position.seq;
      FileEntry changed = sample_entry(1);
      changed.description = "newer";
      apply_one(index, put_of(changed));
      apply_one(index, remove_of(sample_id(2)));

      const auto late = [&](EntryChange change) {
        change.as_of = read_at;
        return apply_one(index, std::move(change)).outcomes.front();
      };
      CHECK(late(put_of(sample_entry(1))) == ChangeOutcome::moved);
      CHECK(late(remove_of(sample_id(1))) == ChangeOutcome::moved);
      CHECK(late(put_of(sample_entry(2))) == ChangeOutcome::moved);  // or it would rise again
      CHECK(late(put_of(sample_entry(3))) == ChangeOutcome::unchanged);
      CHECK(late(put_of(sample_entry(9))) == ChangeOutcome::inserted);
      CHECK(late(remove_of(sample_id(4))) == ChangeOutcome::removed);
      CHECK(good(index.find(sample_id(1), {}))->entry == changed);
      CHECK_FALSE(good(index.find(sample_id(2), {})).has_value());
    });
  }

  TEST_CASE("of two sidecars with one id the newer one stays, in whatever order they come") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const auto put_from = [&](std::string_view description, int seconds, std::string_view path) {
        FileEntry entry = sample_entry(1);
        entry.description = description;
        entry.updated_at = entry.created_at + std::chrono::seconds(seconds);
        std::vector<EntryChange> changes{put_of(entry)};
        ScannedFile scanned = scanned_of(changes.front().put);
        scanned.path = path;
        return good(index.apply({.changes = changes,
                                 .scanned = std::span(&scanned, 1),
                                 .twins = TwinRule::newest_wins},
                                {}))
            .outcomes.front();
      };
      CHECK(put_from("b", 20, "x/b.attr.json") == ChangeOutcome::inserted);
      CHECK(put_from("a", 10, "x/a.attr.json") == ChangeOutcome::older);
      CHECK(*good(index.find(sample_id(1), {}))->entry.description == "b");
      CHECK(put_from("c", 30, "x/c.attr.json") == ChangeOutcome::updated);
      CHECK(put_from("d", 30, "x/d.attr.json") == ChangeOutcome::older);
      CHECK(put_from("c2", 5, "x/c.attr.json") == ChangeOutcome::updated);  // its own path
      CHECK(good(index.scanned_paths_of(sample_id(1), {})).size() == 4);
    });
  }

  TEST_CASE("briefs tell of each id what a comparison needs, in the order asked for") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      fill(index, 0, 20);
      const std::vector<FileId> ids{sample_id(7), sample_id(100), sample_id(3), sample_id(7)};
      const auto briefs = good(index.briefs(ids, {}));
      REQUIRE(briefs.size() == 4);
      CHECK_FALSE(briefs[1].has_value());
      for (const std::size_t i : {0U, 2U, 3U}) {
        const auto found = good(index.find(ids[i], {}));
        REQUIRE(briefs[i].has_value());
        CHECK(briefs[i]->hash == found->hash);
        CHECK(briefs[i]->revision == found->revision);
        CHECK(briefs[i]->updated_at == found->entry.updated_at);
        CHECK(briefs[i]->file_size == found->entry.file_size);
        CHECK(briefs[i]->freshness == found->freshness);
        CHECK(briefs[i]->sidecar_path == found->entry.data_path() + std::string(kSidecarSuffix));
      }
    });
  }

  TEST_CASE("a note is kept until it is replaced or taken away") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      const Position before = good(index.head({})).position;
      CHECK(good(index.note("last_run", {})).empty());
      good(index.set_note("last_run", "full", 0, {}));
      good(index.set_note("other", "{}", 0, {}));
      CHECK(good(index.note("last_run", {})) == "full");
      good(index.set_note("last_run", "", 0, {}));
      CHECK(good(index.note("last_run", {})).empty());
      CHECK(good(index.note("other", {})) == "{}");
      good(index.set_note("run/1", "a", 0, {}));
      good(index.set_note("run/2", "b", 0, {}));
      good(index.drop_notes("run/", 0, {}));
      CHECK(good(index.note("run/1", {})).empty());
      CHECK(good(index.note("run/2", {})).empty());
      CHECK(good(index.note("other", {})) == "{}");
      CHECK(good(index.head({})).position == before);
      CHECK(index.set_note("x", std::string(kNoteMost + 1, 'x'), 0, {}).error().code ==
            Errc::invalid_argument);
      CHECK(index.set_note("x", "y", 99, {}).error().code == Errc::lease_lost);
    });
  }

  TEST_CASE("[G5] after any changes the digest is the sum over all rows and the log has no holes") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      std::mt19937_64 random(7);
      std::map<std::string, ContentHash> replica;
      for (int round = 0; round < 60; ++round) {
        std::vector<EntryChange> changes;
        for (int i = 0; i < 20; ++i) {
          const std::uint64_t n = random() % 50;
          FileEntry entry = sample_entry(n);
          entry.description = "round " + std::to_string(random() % 5);
          changes.push_back(random() % 4 == 0 ? remove_of(sample_id(n)) : put_of(entry));
        }
        apply(index, std::move(changes));
      }
      const IndexHead head = good(index.head({}));
      const auto [digest, count] = sum_up(index);
      CHECK(digest == head.position.digest);
      CHECK(count == head.count);

      Position at = start_of(index);
      Digest replayed;
      while (true) {
        const LogSlice slice = good(index.read_after(at, 37, {}));
        if (slice.rows.empty()) break;
        for (const LogRow& row : slice.rows) {
          CHECK(row.position.seq == at.seq + 1);
          if (const auto old = replica.find(row.record.key); old != replica.end()) {
            replayed -= Digest::of(row.record.key, old->second);
            replica.erase(old);
          }
          if (row.kind == LogRow::Kind::put) {
            const FileEntry entry = good(parse_content(row.record.payload));
            CHECK(content_hash(entry) == row.record.hash);
            replayed += Digest::of(row.record.key, row.record.hash);
            replica[row.record.key] = row.record.hash;
          }
          CHECK(replayed == row.position.digest);
          at = row.position;
        }
      }
      CHECK(at == head.position);
      CHECK(replica.size() == head.count);
    });
  }

  TEST_CASE("[G6] a position of another epoch, ahead, trimmed or with another digest is gone") {
    for_each_index(
        [](IndexPlace&, MetadataStore& index) {
          for (std::uint64_t n = 0; n < 400; n += 20) fill(index, n, n + 20);
          const IndexHead head = good(index.head({}));
          CHECK(head.oldest_seq > 1);
          const auto code = [&](Position position) {
            const auto read = index.read_after(position, 10, {});
            return read ? Errc::internal : read.error().code;
          };
          CHECK(code(start_of(index)) == Errc::gone);
          Position other = head.position;
          other.epoch ^= 1;
          CHECK(code(other) == Errc::gone);
          other = head.position;
          other.seq += 1;
          CHECK(code(other) == Errc::gone);
          other = head.position;
          other.digest += Digest(0, 1);
          CHECK(code(other) == Errc::gone);
          CHECK(good(index.read_after(head.position, 10, {})).rows.empty());
        },
        "log_rows=50");
  }

  TEST_CASE("pages by cursor and by offset show every entry once, newest first") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      fill(index, 0, 137);
      std::vector<Timestamp> times;
      std::set<FileId> by_cursor, by_offset;
      PageRequest request{.limit = 10};
      do {
        const EntryPage page = good(index.page(request, {}));
        CHECK(page.total == 137);
        for (const IndexedEntry& e : page.entries) times.push_back(e.entry.created_at);
        for (const FileId& id : ids_of(page)) CHECK(by_cursor.insert(id).second);
        request.cursor = page.next_cursor;
      } while (!request.cursor.empty());
      CHECK(by_cursor.size() == 137);
      CHECK(std::ranges::is_sorted(times, std::greater<>()));
      for (std::uint64_t offset = 0; offset < 140; offset += 20)
        by_offset.merge(ids_of(good(index.page({.limit = 20, .offset = offset}, {}))));
      CHECK(by_offset == by_cursor);
      for (const std::uint64_t offset : {std::uint64_t{1} << 63, UINT64_MAX}) {
        const EntryPage page = good(index.page({.limit = 20, .offset = offset}, {}));
        CHECK(page.entries.empty());
        CHECK(page.total == by_offset.size());
      }
      CHECK(index.page({.limit = kPageMost + 1}, {}).error().code == Errc::invalid_argument);
      CHECK(index.page({.cursor = "nonsense"}, {}).error().code == Errc::invalid_argument);
    });
  }

  TEST_CASE("each filter lets through what a look at every entry lets through") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      fill(index, 0, 200);
      using Test = std::function<bool(const FileEntry&)>;
      const Timestamp middle = sample_entry(100).created_at;
      const std::vector<std::pair<EntryFilter, Test>> cases{
          {{.username = "a.smith"}, [](auto& e) { return e.created_by_username == "a.smith"; }},
          {{.content_type = "text/plain"}, [](auto& e) { return e.content_type == "text/plain"; }},
          {{.tag = "tag4"}, [](auto& e) { return std::ranges::count(e.tags, "tag4") > 0; }},
          {{.extension = ".pdf"}, [](auto& e) { return e.original_filename.ends_with(".pdf"); }},
          {{.retention_policy = "temporary"},
           [](auto& e) { return e.retention_policy == "temporary"; }},
          {{.size_least = 300, .size_most = 500},
           [](auto& e) { return e.file_size >= 300 && e.file_size <= 500; }},
          {{.created_from = middle}, [&](auto& e) { return e.created_at >= middle; }},
          {{.created_until = middle}, [&](auto& e) { return e.created_at < middle; }},
      };
      for (const auto& [filter, lets_through] : cases) {
        std::set<FileId> expected;
        for (std::uint64_t n = 0; n < 200; ++n)
          if (lets_through(sample_entry(n))) expected.insert(sample_id(n));
        const EntryPage page = good(index.page({.filter = filter, .limit = 1000}, {}));
        CHECK(ids_of(page) == expected);
        CHECK(page.total == expected.size());
      }
      const Timestamp later = sample_freshness().refreshed_at + std::chrono::hours(25);
      CHECK(good(index.page({.filter = {.expired_at = later}}, {})).total == 200);
      CHECK(
          good(index.page({.filter = {.expired_at = sample_freshness().refreshed_at}}, {})).total ==
          0);
    });
  }

  TEST_CASE("search finds what a plain scan with the same tokens finds, best first") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      fill(index, 0, 150);
      apply_one(index, remove_of(sample_id(5)));
      FileEntry renamed = sample_entry(6);
      renamed.original_filename = "renamed budget.xls";
      apply_one(index, put_of(renamed));
      for (const char* text :
           {"final", "2024", "отчёт", "отчет", "отчёты", "finance", "tag4", "report quarterly",
            "описание 8", "smith", "renamed", "budget", "nothing at all", "", "---"})
        for (const MatchMode mode : {MatchMode::words, MatchMode::prefix}) {
          INFO("query: " << text);
          const SearchQuery query = good(search_query(text, mode));
          std::map<FileId, unsigned> expected;
          for (std::uint64_t n = 0; n < 150; ++n) {
            if (n == 5) continue;
            const FileEntry entry = n == 6 ? renamed : sample_entry(n);
            if (const unsigned rank = search_rank(query, entry)) expected[entry.id] = rank;
          }
          const EntryPage page =
              good(index.search({.query = text, .mode = mode, .limit = 1000}, {}));
          CHECK(page.total == expected.size());
          CHECK(page.entries.size() == expected.size());
          unsigned last = 4;
          for (const IndexedEntry& e : page.entries) {
            const auto at = expected.find(e.entry.id);
            REQUIRE(at != expected.end());
            CHECK(at->second <= last);
            last = at->second;
          }
        }
    });
  }

  TEST_CASE("search finds an id and an exact name, and pages through many hits") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      fill(index, 0, 100);
      const auto by_id = good(index.search({.query = to_string(sample_id(7))}, {}));
      REQUIRE(by_id.entries.size() == 1);
      CHECK(by_id.entries.front().entry.id == sample_id(7));
      const auto exact =
          good(index.search({.query = "plan.txt", .mode = MatchMode::exact, .limit = 1000}, {}));
      CHECK(exact.total == 20);
      CHECK(good(index.search({.query = "Plan.txt", .mode = MatchMode::exact}, {})).total == 0);
      std::set<FileId> seen;
      for (std::uint64_t offset = 0; offset < 20; offset += 6)
        seen.merge(ids_of(good(index.search({.query = "plan", .limit = 6, .offset = offset}, {}))));
      CHECK(seen.size() == 20);
    });
  }

  TEST_CASE("an intent ends with its change, and stays when the change finds the entry moved") {
    for_each_index([](IndexPlace&, MetadataStore& index) {
      EntryChange change = put_of(sample_entry(1));
      good(index.add_intent({.id = change.id, .path = "p", .begun_at = Timestamp()}, {}));
      change.base = 7;
      const ApplyRequest request{.changes = {&change, 1}, .finished_intents = {&change.id, 1}};
      CHECK(good(index.apply(request, {})).outcomes.front() == ChangeOutcome::moved);
      CHECK(good(index.intents({})).size() == 1);
      change.base = 0;
      CHECK(good(index.apply(request, {})).outcomes.front() == ChangeOutcome::inserted);
      CHECK(good(index.intents({})).empty());
    });
  }
}
