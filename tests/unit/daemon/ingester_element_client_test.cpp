// SPDX-License-Identifier: Apache-2.0
// What the ingester makes of the answers of an element, on one that answers what a test says.
#include "roles/ingester/element_client.hpp"

#include <doctest/doctest.h>

#include <artcache/log_frames.hpp>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "support/fake_clock.hpp"
#include "support/scripted_http.hpp"

namespace artcache::ingester {
namespace {

using test::http_answer;

const FileId kFile = FileId::parse("00000000-0000-4000-8000-000000000001").value();
const FileId kOther = FileId::parse("00000000-0000-4000-8000-000000000002").value();

Position at(std::uint64_t seq) { return {.epoch = 7, .seq = seq, .digest = {}}; }

LogRow row(LogRow::Kind kind, const FileId& file, std::uint64_t seq) {
  LogRow out;
  out.position = at(seq);
  out.kind = kind;
  if (kind != LogRow::Kind::reset) out.record.key = to_string(file);
  return out;
}

/// An element, and an admin that gives a token for it.
class Stand {
 public:
  /// The pieces of its log behind position 1, in their order; each ends where the next begins.
  void set_log(const std::vector<std::vector<LogRow>>& pieces, const std::string& suspect = {}) {
    std::uint64_t seq = 1;
    for (const auto& rows : pieces) {
      std::string body;
      IndexHead head;
      head.position = at(100);
      head.suspect_reason = suspect;
      frames::append_head(body, head);
      for (const LogRow& one : rows) frames::append_row(body, one);
      const std::string from = to_string(at(seq));
      frames::append_end(body, at(seq += rows.size()));
      say(from, http_answer(200, body));
    }
  }
  Result<bool> ask() {
    return client_.removed_since(server_.origin(), kFile, to_string(at(1)), {});
  }
  bool removed(const std::vector<std::vector<LogRow>>& pieces) {
    set_log(pieces);
    return removed();
  }
  bool removed() {
    const auto said = ask();
    REQUIRE(said);
    return *said;
  }
  Errc change(int status) {
    say("", http_answer(status, R"({"detail":"why"})"));
    const auto done = client_.change(server_.origin(), kFile, "{}", {});
    REQUIRE_FALSE(done);
    CHECK(done.error().message.find("why") != std::string::npos);
    return done.error().code;
  }
  void log_answers(int status) { say(to_string(at(1)), http_answer(status)); }

 private:
  void say(const std::string& after, test::HttpAnswer answer) {
    const std::scoped_lock lock(mutex_);
    answers_[after] = std::move(answer);
  }
  test::HttpAnswer answer(const test::HttpRequest& request) {
    if (request.target == "/api/v1/auth/token")
      return http_answer(200, R"({"access_token":"good","expires_in":1000})");
    const std::scoped_lock lock(mutex_);
    const std::size_t after = request.target.find("&after=");
    return answers_[after == std::string::npos ? "" : request.target.substr(after + 7)];
  }

  std::mutex mutex_;
  std::map<std::string, test::HttpAnswer> answers_;
  test::FakeClock clock_;
  test::ScriptedHttp server_{[this](const test::HttpRequest& request) { return answer(request); }};
  web::HttpClient http_{{}};
  ServiceToken token_{
      {.admin = [this] { return server_.origin(); }, .client_id = "x", .secret = "y", .site = "z"},
      http_,
      {.clock = &clock_}};
  ElementClient client_{http_, token_};
};

}  // namespace

TEST_SUITE("ingester element client") {
  TEST_CASE("a removal is known when the log tells of it") {
    Stand stand;
    CHECK(stand.removed({{row(LogRow::Kind::put, kFile, 2), row(LogRow::Kind::remove, kFile, 3)},
                         {row(LogRow::Kind::remove, kOther, 4)},
                         {}}));
  }

  TEST_CASE("that other files were removed, or this one came back, says nothing") {
    Stand stand;
    CHECK_FALSE(stand.removed({{}}));
    CHECK_FALSE(stand.removed({{row(LogRow::Kind::remove, kOther, 2)}, {}}));
    CHECK_FALSE(stand.removed(
        {{row(LogRow::Kind::remove, kFile, 2)}, {row(LogRow::Kind::put, kFile, 3)}, {}}));
  }

  TEST_CASE("a log that cannot vouch for what happened tells of no removal") {
    Stand stand;
    const std::vector<std::vector<LogRow>> gone{{row(LogRow::Kind::remove, kFile, 2)}, {}};
    CHECK(stand.removed(gone));
    CHECK_FALSE(stand.removed(
        {{row(LogRow::Kind::remove, kFile, 2)}, {row(LogRow::Kind::reset, kFile, 3)}, {}}));
    for (const int status : {404, 410}) {
      stand.log_answers(status);
      CHECK_FALSE(stand.removed());
    }
  }

  TEST_CASE("while its index is not trusted an element is asked again later") {
    Stand stand;
    stand.set_log({{row(LogRow::Kind::remove, kFile, 2)}, {}}, "it was put back");
    const auto said = stand.ask();
    REQUIRE_FALSE(said);
    CHECK(said.error().code == Errc::unavailable);
  }

  TEST_CASE("what an element refuses is told apart from what it may do the next time") {
    Stand stand;
    CHECK(stand.change(400) == Errc::invalid_argument);
    CHECK(stand.change(403) == Errc::invalid_argument);
    for (const int passing : {409, 429, 500, 503})
      CHECK(stand.change(passing) == Errc::unavailable);
  }
}

}  // namespace artcache::ingester
