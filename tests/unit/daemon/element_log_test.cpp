// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <artcache/follower.hpp>
#include <artcache/http_log.hpp>
#include <artcache/log_frames.hpp>
#include <atomic>
#include <functional>
#include <optional>
#include <semaphore>
#include <thread>

#include "element_stand.hpp"
#include "roles/element/log_polls.hpp"
#include "support/faulty_index.hpp"
#include "support/http_client.hpp"
#include "unit/daemon/serving.hpp"

namespace artcache::element {
namespace {

using namespace std::chrono_literals;

/// An element that is served, and its log as somebody else reads it.
struct Served {
  explicit Served(http::ServerSettings settings = {}) : serving(*stand.site, settings) {
    source = from("admin");
  }
  ~Served() {
    // As the daemon does: what waits is answered first.
    stand.element->stop();
  }
  std::unique_ptr<LogSource> from(const std::string& role) {
    auth::Claims claims = auth::sample_claims(stand.clock.now());
    claims.role = role;
    claims.kind = "service_account";
    token = auth::must(auth::mint(claims, auth::our_key()));
    return auth::must(open_http_log(
        {.url = url(),
         .token = [token = token](const Call&) { return Result<std::string>(token); }},
        {}));
  }
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(serving.port());
  }

  Stand stand;
  http::Serving serving;
  std::string token;
  std::unique_ptr<LogSource> source;
};

std::unique_ptr<MetadataStore> empty_index() {
  return auth::must(Backends::builtin().open_index(auth::must(Url::parse("mem:")), Deps{}, Call{}));
}

TEST_SUITE_BEGIN("element log");

TEST_CASE("a replica takes a snapshot over HTTP, follows, and has the digest of the element") {
  Served served;
  for (int i = 0; i < 20; ++i) served.stand.upload("x");
  const auto copy = empty_index();
  const auto sink = make_replica(*copy, "se-01", {});
  Follower follower(*served.source, *sink, {}, {});
  const auto first = auth::must(follower.catch_up(Call{}.within(10min)));
  CHECK(first.proven);
  CHECK(first.snapshots == 1);
  const std::string id = served.stand.upload("y");
  const auto second = auth::must(follower.catch_up(Call{}.within(10min)));
  CHECK(second.proven);
  CHECK(second.snapshots == 0);
  const auto theirs = auth::must(served.stand.index->head({})), ours = auth::must(copy->head({}));
  CHECK(second.position == theirs.position);
  CHECK(ours.position.digest == theirs.position.digest);
  CHECK(ours.count == 21);
  CHECK(auth::must(copy->find(auth::must(FileId::parse(id)), {})).has_value());
}

TEST_CASE("differences are found by digests and only they are fetched") {
  Served served;
  for (int i = 0; i < 30; ++i) served.stand.upload("x");
  const auto copy = empty_index();
  const auto sink = make_replica(*copy, "se-01", {});
  auth::must(Follower(*served.source, *sink, {}, {}).catch_up(Call{}.within(10min)));
  // Behind the back of the follower one entry goes.
  const auto page = auth::must(copy->page({.limit = 1}, {}));
  EntryChange change{.kind = EntryChange::Kind::remove,
                     .id = page.entries.front().entry.id,
                     .put = {},
                     .freshness = {},
                     .base = {},
                     .as_of = {}};
  auth::must(copy->apply({.changes = {&change, 1}}, {}));
  const auto healed =
      auth::must(Follower(*served.source, *sink, {}, {}).catch_up(Call{}.within(10min)));
  CHECK(healed.proven);
  CHECK(healed.mended == 1);
  CHECK(auth::must(copy->head({})).position.digest ==
        auth::must(served.stand.index->head({})).position.digest);
}

/// Waits until it holds; false after a minute.
bool eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 6000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

TEST_CASE("an element whose log was seen further ahead than it is compares itself with its files") {
  Served served;
  const std::string id = served.stand.upload("x");
  MetadataStore& index = *served.stand.index;
  // The index has forgotten an upload, and a replica has not.
  EntryChange change{.kind = EntryChange::Kind::remove,
                     .id = auth::must(FileId::parse(id)),
                     .put = {},
                     .freshness = {},
                     .base = {},
                     .as_of = {}};
  const auto scanned = auth::must(index.scanned_paths_of(change.id, {}));
  const std::vector<std::string_view> unscanned{scanned.at(0).path};
  auth::must(index.apply({.changes = {&change, 1}, .unscanned = unscanned}, {}));
  Position seen = auth::must(index.head({})).position;
  SUBCASE("to a number that was never given") { seen.seq += 5; }
  SUBCASE("to another digest after the same number") { seen.digest += Digest(1, 1); }
  CHECK(served.source->read_after(seen, 10, 0s, {}).error().code == Errc::gone);
  CHECK(eventually([&] { return auth::must(index.find(change.id, {})).has_value(); }));
  CHECK(eventually([&] { return auth::must(index.head({})).suspect_reason.empty(); }));
  REQUIRE(served.stand.element->jobs().list().size() == 1);

  // The same news from another follower is none.
  CHECK(served.source->read_after(seen, 10, 0s, {}).error().code == Errc::gone);
  CHECK(served.stand.element->jobs().list().size() == 1);
  CHECK(auth::must(index.head({})).suspect_reason.empty());
}

TEST_CASE("who may only read a log makes no element suspect its index") {
  Served served;
  served.stand.upload("x");
  MetadataStore& index = *served.stand.index;
  Position seen = auth::must(index.head({})).position;
  SUBCASE("by a number that was never given") { seen.seq += 5; }
  SUBCASE("by another digest after the same number") { seen.digest += Digest(1, 1); }
  const auto claim = [&](const char* role) {
    return served.from(role)->read_after(seen, 10, 20s, Call{}.within(10min));
  };
  CHECK(claim("auditor").error().code == Errc::gone);
  CHECK(auth::must(index.head({})).suspect_reason.empty());
  CHECK(served.stand.element->jobs().list().empty());
  // And has not spoilt it for those who are believed.
  CHECK(claim("operator").error().code == Errc::gone);
  CHECK(served.stand.element->jobs().list().size() == 1);
  CHECK(eventually([&] { return auth::must(index.head({})).suspect_reason.empty(); }));
}

TEST_CASE("what is said by who may only read a log is told to people, once") {
  Served served;
  served.stand.upload("x");
  Position seen = auth::must(served.stand.index->head({})).position;
  seen.seq += 5;
  const auto claim = [&](const char* role) {
    return served.from(role)->read_after(seen, 10, 0s, {}).error().code;
  };
  const auto told = [&] {
    CHECK(served.stand.metrics.of("artcache_log_rewinds_doubted_total se-01") ==
          static_cast<double>(served.stand.log.count("WARNING: A follower")));
    return served.stand.log.count("WARNING: A follower");
  };
  CHECK(told() == 0);
  for (int i = 0; i < 3; ++i) CHECK(claim("auditor") == Errc::gone);
  CHECK(told() == 1);
  seen.seq += 5;
  for (int i = 0; i < 3; ++i) CHECK(claim("auditor") == Errc::gone);
  CHECK(told() == 2);
  // That somebody is believed who says so makes it no news.
  seen.seq += 5;
  CHECK(claim("admin") == Errc::gone);
  CHECK(claim("auditor") == Errc::gone);
  CHECK(told() == 2);
  CHECK(served.stand.element->jobs().list().size() == 1);
}

TEST_CASE("a position of another log says nothing against this one") {
  Served served;
  served.stand.upload("x");
  Position other = auth::must(served.stand.index->head({})).position;
  other.epoch += 1;
  CHECK(served.source->read_after(other, 10, 0s, {}).error().code == Errc::gone);
  CHECK(auth::must(served.stand.index->head({})).suspect_reason.empty());
  CHECK(served.stand.element->jobs().list().empty());
}

TEST_CASE("what is told over HTTP is what the log of the index tells") {
  Served served;
  for (int i = 0; i < 5; ++i) served.stand.upload("x");
  const auto local = make_log_source(*served.stand.index);
  const Position begin{.epoch = auth::must(local->head({})).position.epoch, .seq = 0, .digest = {}};
  const auto ours = auth::must(served.source->read_after(begin, 3, 0s, {}));
  const auto theirs = auth::must(local->read_after(begin, 3, 0s, {}));
  REQUIRE(ours.rows.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(ours.rows[i].position == theirs.rows[i].position);
    CHECK(ours.rows[i].committed_at == theirs.rows[i].committed_at);
    CHECK(ours.rows[i].record.payload == theirs.rows[i].record.payload);
  }
  CHECK(ours.head.position == theirs.head.position);
  CHECK(ours.head.count == theirs.head.count);
  std::vector<std::string> keys{"00000000-0000-4000-8000-000000000000", ours.rows[0].record.key};
  const auto records = auth::must(served.source->records(keys, {}));
  REQUIRE(records.size() == 2);
  CHECK_FALSE(records[0]);
  REQUIRE(records[1]);
  CHECK(records[1]->hash == ours.rows[0].record.hash);
  Position at;
  const auto digests = auth::must(served.source->bucket_digests(4, &at, {}));
  CHECK(digests.size() == 16);
  CHECK(at == ours.head.position);
  const std::vector<std::uint32_t> wanted{3, 7};
  const auto some = auth::must(served.source->some_digests(4, wanted, {}));
  CHECK(some[1].digest == digests[7].digest);
  std::size_t found = 0;
  auth::must(served.source->keys(4, wanted,
                                 [&](std::span<const KeyHash> these) -> Result<void> {
                                   found += these.size();
                                   return {};
                                 },
                                 {}));
  CHECK(found == digests[3].count + digests[7].count);
}

/// The frames of an answer, of which the last is its end.
std::vector<std::pair<frames::Kind, std::string>> frames_of(const test::RawAnswer& answer) {
  REQUIRE_MESSAGE(answer.status == 200, answer.body);
  frames::Reader reader;
  reader.add(answer.body);
  std::vector<std::pair<frames::Kind, std::string>> all;
  while (const auto frame = auth::must(reader.next()))
    all.emplace_back(frame->kind, std::string(frame->body));
  REQUIRE_FALSE(all.empty());
  REQUIRE(all.back().first == frames::Kind::end);
  return all;
}

TEST_CASE("a prefix picks records by their keys, and rows say where to go on all the same") {
  Served served;
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(served.stand.upload("x"));
  const Position head = auth::must(served.stand.index->head({})).position;
  const std::string begin = to_string(Position{.epoch = head.epoch, .seq = 0, .digest = {}});
  const std::string prefix = "prefix=" + ids[2];
  const std::string token = "Authorization: Bearer " + served.token + "\r\n";
  test::RawClient client(served.serving.port());
  const auto get = [&](const std::string& path) {
    return frames_of(client.ask(test::get("/api/v1/log/" + path, token)));
  };
  const auto post = [&](const std::string& path, const std::string& body) {
    return frames_of(client.ask(test::post("/api/v1/log/" + path, body, token)));
  };

  const auto rows = get("rows?limit=4&after=" + begin + "&" + prefix);
  REQUIRE(rows.size() == 3);
  CHECK(auth::must(frames::parse_row(rows[1].second)).record.key == ids[2]);
  const Position four = auth::must(frames::parse_end(rows[2].second));
  CHECK(four.seq == 4);
  const auto rest = get("rows?after=" + to_string(four) + "&" + prefix);
  REQUIRE(rest.size() == 2);
  CHECK(auth::must(frames::parse_end(rest[1].second)) == head);

  const auto snapshot = get("snapshot?" + prefix);
  REQUIRE(snapshot.size() == 2);
  CHECK(auth::must(frames::parse_record(snapshot[0].second)).key == ids[2]);
  const auto digests =
      auth::must(frames::parse_digests(post("digests?bits=0&" + prefix, "")[0].second));
  CHECK(digests.first == head);
  REQUIRE(digests.second.size() == 1);
  CHECK(digests.second[0].count == 1);
  const auto row = auth::must(served.stand.index->find(auth::must(FileId::parse(ids[2])), {}));
  CHECK(digests.second[0].digest == Digest::of(ids[2], row->hash));
  const std::vector<std::uint32_t> all{0};
  const auto keys = post("keys?bits=0&" + prefix, frames::buckets_text(all));
  CHECK(auth::must(frames::parse_keys(keys[0].second)).at(0).key == ids[2]);
}

TEST_CASE("fifty polls wait without a worker, and a change answers all of them") {
  Served served({.workers = 1});
  const Position head = auth::must(served.source->head({})).position;
  std::vector<std::thread> followers;
  std::atomic<int> told = 0;
  for (int i = 0; i < 50; ++i)
    followers.emplace_back([&] {
      const auto slice = served.source->read_after(head, 10, 20s, Call{}.within(10min));
      if (slice && slice->rows.size() == 1) ++told;
    });
  // The one worker is free for somebody else.
  CHECK(served.source->head(Call{}.within(10min)));
  served.stand.upload("x");
  for (std::thread& one : followers) one.join();
  CHECK(told == 50);
}

TEST_CASE("a poll without a change is answered at its end, and when the element stops") {
  Served served;
  const Position head = auth::must(served.source->head({})).position;
  std::optional<Result<LogSlice>> slice;
  std::atomic<bool> done = false;
  std::thread waiter([&] {
    slice = served.source->read_after(head, 10, 20ms, Call{}.within(10min));
    done = true;
  });
  while (!done) {
    // Slower than real time, as each read of the log is bounded by this clock.
    served.stand.clock.advance(1ms);
    std::this_thread::sleep_for(10ms);
  }
  waiter.join();
  const LogSlice nothing_new = auth::must(std::move(*slice));
  CHECK(nothing_new.rows.empty());
  CHECK(nothing_new.head.position == head);
  served.stand.element->stop();
  const auto stopped = served.source->read_after(head, 10, 20s, Call{}.within(10min));
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == Errc::unavailable);
}

// A stop that was forgotten is waited for without end: this would never come back.
TEST_CASE("polls end however soon behind their begin they are stopped") {
  const auto index = empty_index();
  for (int round = 0; round < 2000; ++round) {
    LogPolls polls(*index, {});
    // From before the thread runs to behind the begin of its first wait.
    const auto until = std::chrono::steady_clock::now() + (round % 200) * 1us;
    while (std::chrono::steady_clock::now() < until) continue;
    polls.stop();
    CHECK(polls.add({}).error().code == Errc::unavailable);
  }
}

TEST_CASE("an index that does not answer one poll is not waited for again by each of the others") {
  const auto inner = empty_index();
  test::FaultyIndex index(*inner);
  std::atomic<bool> read = false, away = false;
  std::atomic<int> in_vain = 0;
  index.before_each_log([&](std::uint32_t limit) -> std::optional<Error> {
    if (!away) {
      if (limit == 3) read = true;
      return std::nullopt;
    }
    ++in_vain;
    return Error{Errc::timed_out, "no answer"};
  });
  std::counting_semaphore<> told{0};
  std::atomic<int> late = 0;
  LogPolls polls(index, {});
  const auto add = [&](std::uint32_t limit) {
    REQUIRE(polls.add({.after = auth::must(inner->head({})).position,
                       .limit = limit,
                       .until = std::chrono::steady_clock::now() + 1h,
                       .stop = {},
                       .done = [&](const Result<LogSlice>& slice) {
                         if (!slice && slice.error().code == Errc::timed_out) ++late;
                         told.release();
                       }}));
  };
  for (std::uint32_t limit = 1; limit <= 3; ++limit) add(limit);
  while (!read) std::this_thread::yield();
  away = true;
  add(4);  // wakes the others
  for (int i = 0; i < 4; ++i) told.acquire();
  CHECK(late == 4);
  CHECK(in_vain < 4);  // one for a round of readings, and there may be three rounds
}

TEST_CASE("a position that the log cannot vouch for is 410 with what there is") {
  Served served;
  served.stand.upload("x");
  Position position = auth::must(served.source->head({})).position;
  ++position.epoch;
  const auto slice = served.source->read_after(position, 10, 20s, Call{}.within(10min));
  REQUIRE_FALSE(slice);
  CHECK(slice.error().code == Errc::gone);
  auto client = served.serving.client();
  const auto answer =
      client.ask("GET /api/v1/log/rows?after=" + to_string(position) +
                 " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + served.token + "\r\n\r\n");
  CHECK(answer.status == 410);
  for (const char* name : {"\"detail\"", "\"reason\"", "\"epoch\"", "\"oldest\"", "\"head\""})
    CHECK(answer.body.find(name) != std::string::npos);
}

TEST_CASE("only service accounts of the roles for it read a log, and nonsense is refused") {
  Served served;
  const auto user = served.from("user")->head({});
  REQUIRE_FALSE(user);
  CHECK(user.error().code == Errc::invalid_argument);
  const auto nobody = auth::must(open_http_log({.url = served.url(), .token = {}}, {}))->head({});
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code == Errc::invalid_argument);
  CHECK(served.from("operator")->head({}));
  CHECK(served.source->bucket_digests(17, nullptr, {}).error().code == Errc::invalid_argument);
  const std::vector<std::uint32_t> none{16};
  CHECK(served.source->some_digests(4, none, {}).error().code == Errc::invalid_argument);
  CHECK(served.source->read_after({}, 0, 0s, {}).error().code == Errc::invalid_argument);
  for (const char* url : {"sqlite:///x", "http://a,b", "http://me:word@host", "http://host?x=1"})
    CHECK(open_http_log({.url = url, .token = {}}, {}).error().code == Errc::invalid_argument);
}

TEST_CASE("a token that is refused is given back, and another one tried once") {
  Served served;
  std::vector<std::string> rejected;
  std::vector<std::string> tokens{served.token, "stale"};
  const HttpLogSettings settings{
      .url = served.url(),
      .token = [&](const Call&) { return Result<std::string>(tokens.back()); },
      .reject =
          [&](const std::string& token) {
            rejected.push_back(token);
            tokens.pop_back();
          }};
  const auto source = auth::must(open_http_log(settings, {}));
  CHECK(source->head({}));
  CHECK(rejected == std::vector<std::string>{"stale"});
  tokens = {"worst", "worse", "bad"};
  const auto refused = source->head({});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::invalid_argument);
  CHECK(rejected == std::vector<std::string>{"stale", "bad", "worse"});
}

TEST_CASE("a snapshot that nobody reads on ends, and leaves room for others") {
  Served served;
  for (int i = 0; i < 50; ++i) served.stand.upload("x");
  for (int i = 0; i < 10; ++i) {
    const auto broken = served.source->snapshot(
        [](std::span<const Record>) -> Result<void> {
          return Error{Errc::no_space, "enough"};
        },
        {});
    REQUIRE_FALSE(broken);
    CHECK(broken.error().code != Errc::gone);
  }
  std::size_t found = 0;
  const auto whole = [&] {
    found = 0;
    return served.source->snapshot(
        [&](std::span<const Record> records) -> Result<void> {
          found += records.size();
          return {};
        },
        {});
  };
  auto position = whole();
  while (!position && position.error().code == Errc::unavailable) position = whole();
  REQUIRE(position);
  CHECK(found == 50);
  CHECK(*position == auth::must(served.stand.index->head({})).position);
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::element
