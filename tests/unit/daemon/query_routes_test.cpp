// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <stop_token>
#include <thread>

#include "common/json_object.hpp"
#include "daemon.hpp"
#include "query_bench.hpp"
#include "roles/query/naming.hpp"
#include "roles/query/query.hpp"
#include "roles/table.hpp"
#include "run_route.hpp"
#include "support/passing_log.hpp"
#include "support/scripted_http.hpp"
#include "text_body.hpp"
#include "util/json_scan.hpp"

using namespace artcache;
using namespace artcache::query;
using namespace std::chrono_literals;
using test::sample_entry;
using test::sample_id;

namespace {

struct Answer {
  int status = 0;
  http::Headers headers;
  std::string body;

  [[nodiscard]] std::string header(std::string_view name) const {
    return std::string(headers.find(name).value_or("none"));
  }
  [[nodiscard]] bool has(std::string_view text) const {
    return body.find(text) != std::string::npos;
  }
};

/// A query role without a port, following two indexes of this process.
class Stand {
 public:
  Stand() : gate(verifier, Deps{}, {}) {
    must(ring.set({auth::our_key().public_key()}));
    for (const char* id : {"se-01", "se-02"}) sources[id] = bench.source(id);
    parts.database = std::move(bench.database);
    parts.gate = &gate;
    parts.http = &http;
    parts.token = [](const Call&) -> Result<std::string> { return std::string("service"); };
    const replica::OpenLog open = [this](const Owner& owner) -> Result<std::unique_ptr<LogSource>> {
      const auto at = sources.find(owner.element);
      if (at == sources.end()) return Error{Errc::invalid_argument, "no such element"};
      return std::unique_ptr<LogSource>(std::make_unique<test::RemoteLog>(at->second->log(), away));
    };
    parts.fleet = std::make_unique<replica::Fleet>(
        replica::Replica{
            parts.database.get(), &replica_tables(), {"query_sync", "artstore_query_"}},
        open, FollowSettings{}, Deps{});
    must(add_search_routes(site, parts));
    must(add_download_routes(site, parts));
    must(add_sync_routes(site, parts));
  }
  ~Stand() { parts.fleet->stop(); }
  Stand(const Stand&) = delete;
  Stand& operator=(const Stand&) = delete;

  /// Follows both elements, and waits until it is where they are.
  void follow(const std::string& first = "http://127.0.0.1:1",
              const std::string& second = "http://127.0.0.1:1") {
    parts.fleet->update({{"se-01", first}, {"se-02", second}});
    for (const auto& one : parts.fleet->all()) must(one->sync_full({}));
  }

  Answer ask(http::Method method, const std::string& target, std::string body = {},
             std::string role = "admin", http::Headers headers = {}) {
    http::Request request;
    request.method = method;
    request.path = target.substr(0, target.find('?'));
    if (request.path.size() < target.size())
      request.query = must(http::parse_pairs(target.substr(request.path.size() + 1)));
    request.headers = std::move(headers);
    request.call = Call{}.within(10min);  // only so that no test hangs
    if (!role.empty()) {
      auth::Claims claims = auth::sample_claims(system_clock().now());
      claims.role = std::move(role);
      request.headers.add("Authorization", "Bearer " + must(auth::mint(claims, auth::our_key())));
    }
    const auto match = site.find(method, request.path);
    if (match.route == nullptr) return {.status = 404, .headers = {}, .body = "no route"};
    request.values = match.values;
    http::TextBody text(std::move(body));
    request.body = &text;
    if (auto problem = match.route->guard(request)) return finish(site.render(*problem, request));
    http::Reply reply = http::run_route(*match.route, request).reply;
    if (auto* problem = reply.problem()) return finish(site.render(*problem, request));
    return finish(std::move(*reply.response()));
  }
  Answer get(const std::string& target) { return ask(http::Method::get, target); }

  Bench bench;
  std::map<std::string, std::unique_ptr<Source>> sources;
  std::atomic<bool> away = false;  ///< both elements are
  auth::KeyRing ring;
  auth::Verifier verifier{ring, system_clock()};
  auth::Gate gate;
  web::HttpClient http{{}};
  http::Site site{"query"};
  Parts parts;

 private:
  static Answer finish(http::Response response) {
    Answer answer{response.status, std::move(response.headers), std::move(response.body)};
    std::byte piece[100];
    while (response.stream) {
      const auto bytes = response.stream->read(piece, {});
      if (!bytes) answer.body += "<" + to_string(bytes.error()) + ">";
      if (!bytes || *bytes == 0) break;
      answer.body.append(reinterpret_cast<const char*>(piece), *bytes);
    }
    return answer;
  }
};

std::string download_of(std::uint64_t n) {
  return "/api/v1/files/" + to_string(sample_id(n)) + "/download";
}

/// The roles of --demo, as one process runs them.
class Process {
 public:
  Process() {
    for (config::Instance& one : plan.instances)
      must(one.kind->demo(one.name, dir.path(), one.role));
    daemon = std::make_unique<Daemon>(plan, Deps{.metrics = &metrics}, metrics, backends);
    Call call;
    call.stop = stop.get_token();
    must(daemon->open(call));
    thread = std::thread([this, call] { static_cast<void>(daemon->run(call)); });
    const web::HttpReply reply = ask("admin", {.method = "POST",
                                               .url = "/api/v1/auth/token",
                                               .headers = {{"Content-Type", "application/json"}},
                                               .body = R"({"client_id":"admin-service",)"
                                                       R"("client_secret":"Test-Password123"})"});
    token = must(JsonMembers::parse(reply.body)).find("access_token")->spelled();
  }
  ~Process() {
    stop.request_stop();
    thread.join();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  static config::Plan planned(const std::string& data) {
    std::vector<std::string> roles{"admin", "element.se-01", "query"};
    std::vector<std::string> flags{"daemon.data=" + data};
    for (const std::string& one : roles) flags.push_back(one + ".port=0");
    return must(config::make_plan(
        role_kinds(),
        {.file = {}, .environment = {}, .roles = std::move(roles), .flags = std::move(flags)}));
  }

  web::HttpReply ask(const std::string& role, web::HttpRequest request) {
    request.url = "http://127.0.0.1:" + std::to_string(daemon->ports().at(role)) + request.url;
    if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
    return must(http.send(request, Call{}.within(10min)));
  }
  std::string upload(const std::string& name, const std::string& content) {
    const web::HttpReply reply =
        ask("se-01",
            {.method = "POST",
             .url = "/api/v1/files/upload",
             .headers = {{"Content-Type", "multipart/form-data; boundary=B"}},
             .body = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name +
                     "\"\r\nContent-Type: text/plain\r\n\r\n" + content + "\r\n--B--\r\n"});
    REQUIRE_MESSAGE(reply.head.status == 201, reply.body);
    return std::string(must(JsonMembers::parse(reply.body)).find("file_id")->spelled());
  }
  /// The answer of the search as soon as it has so many files.
  std::string search(const std::string& query, int total) {
    const std::string wanted = "\"total\":" + std::to_string(total) + ",";
    std::string body;
    do
      body =
          ask("query", {.url = "/api/v1/files/search?limit=1000&query=" + query, .most = 4 << 20})
              .body;
    while (body.find(wanted) == std::string::npos);
    return body;
  }

  test::TempDir dir;
  config::Plan plan = planned(dir.path());
  MetricsRegistry metrics;
  const Backends backends = Backends::builtin();
  std::stop_source stop;
  std::unique_ptr<Daemon> daemon;
  web::HttpClient http{{}};
  std::string token;
  std::thread thread;
};

}  // namespace

TEST_SUITE("query process") {
  TEST_CASE("what is uploaded to an element is found and downloaded, and gone once removed") {
    Process process;
    const std::string file = process.upload("quarterly_report.txt", "0123456789");
    for (const std::string& query : {file, std::string("quarterly"), std::string("report")})
      CHECK(process.search(query, 1).find(file) != std::string::npos);
    const std::string path = "/api/v1/files/" + file;
    CHECK(process.ask("query", {.url = path + "/download"}).body == "0123456789");
    CHECK(process.ask("query", {.url = "/api/download/" + file + "/metadata"}).body ==
          process.ask("query", {.url = path}).body);
    const web::HttpReply part =
        process.ask("query", {.url = path + "/download", .headers = {{"Range", "bytes=2-4"}}});
    CHECK(part.head.status == 206);
    CHECK(part.body == "234");
    CHECK(part.head.header("content-range") == "bytes 2-4/10");
    CHECK(process.ask("se-01", {.method = "DELETE", .url = path}).head.status == 204);
    process.search(file, 0);
    CHECK(process.ask("query", {.url = path}).head.status == 404);
  }

  TEST_CASE("a hundred files that are uploaded at once are all found") {
    Process process;
    std::vector<std::thread> threads;
    for (int t = 0; t < 10; ++t)
      threads.emplace_back([&process, t] {
        for (int i = 0; i < 10; ++i)
          process.upload("load " + std::to_string(t * 10 + i) + ".txt", "x");
      });
    for (std::thread& thread : threads) thread.join();
    process.search("load", 100);
    const web::HttpReply full =
        process.ask("query", {.method = "POST", .url = "/api/v1/admin/sync/full"});
    CHECK(full.head.status == 200);
    CHECK(full.body.starts_with(R"({"added":0,"updated":0,"deleted":0,"position":{"se-01":")"));
  }
}

TEST_SUITE("query routes") {
  TEST_CASE("a file is found by its id, under every name that clients look for it") {
    Stand stand;
    stand.sources["se-01"]->put(sample_entry(3));
    stand.follow();
    const std::string id = to_string(sample_id(3));
    const Answer found = stand.get("/api/v1/files/search?query=" + id);
    CHECK(found.status == 200);
    CHECK(found.has("\"total\":1,\"total_count\":1"));
    for (const char* list : {"\"files\":[{", "\"results\":[{", "\"items\":[{"})
      CHECK(found.has(list));
    CHECK(found.has("\"id\":\"" + id + "\",\"file_id\":\"" + id + "\""));
    CHECK(found.has("\"filename\":\"invoice 17.pdf\",\"original_filename\":\"invoice 17.pdf\""));
    CHECK(found.has("\"storage_element_id\":\"se-01\""));
    CHECK(found.has("\"relevance_score\":1.0"));
    CHECK(found.has("\"has_more\":false"));
  }

  TEST_CASE("a body asks as a URL does") {
    Stand stand;
    for (std::uint64_t n = 0; n < 30; ++n) stand.sources["se-01"]->put(sample_entry(n));
    stand.follow();
    const Answer url = stand.get(
        "/api/v1/files/search?query=pdf&mode=fulltext&username=a.smith&min_size=100&limit=3"
        "&sort_by=file_size&sort_order=asc");
    const std::string body =
        R"({"query":"pdf","mode":"fulltext","username":"a.smith","min_size":100,"limit":3,)"
        R"("sort_by":"file_size","sort_order":"asc"})";
    CHECK(url.has("\"limit\":3"));
    CHECK(!url.has("\"total\":0"));
    CHECK(stand.ask(http::Method::post, "/api/search", body).body == url.body);
    CHECK(stand.ask(http::Method::post, "/api/search", "{}").has("\"total\":30"));
  }

  TEST_CASE("what cannot be asked is refused, all of it at once") {
    Stand stand;
    const Answer wrong =
        stand.get("/api/v1/files/search?query=a&mode=regex&limit=1001&created_after=soon");
    CHECK(wrong.status == 422);
    for (const char* name : {"\"mode\"", "\"limit\"", "\"created_after\""}) CHECK(wrong.has(name));
    CHECK(stand.get("/api/v1/files/search?query=" + std::string(2000, 'a')).status == 422);
    CHECK(stand.get("/api/v1/files/nothing").status == 422);
    std::string tags = "t0";
    for (int i = 1; i < 100; ++i) tags += ",t" + std::to_string(i);
    CHECK(stand.get("/api/v1/files/search?tags=" + tags).status == 200);
    const Answer many = stand.get("/api/v1/files/search?tags=" + tags + ",t100");
    CHECK(many.status == 422);
    CHECK(many.has("\"tags\""));
  }

  TEST_CASE("nobody searches without a token, and admins alone compare everything") {
    Stand stand;
    CHECK(stand.ask(http::Method::get, "/api/v1/files/search?query=a", {}, "").status == 401);
    const auto full = [&](std::string role) {
      return stand.ask(http::Method::post, "/api/v1/admin/sync/full", {}, std::move(role)).status;
    };
    CHECK(full("user") == 403);
    CHECK(full("admin") == 503);  // there is nobody to compare with so far
    stand.follow();
    CHECK(full("admin") == 200);
  }

  TEST_CASE("a read by id prefers the permanent of two files, and tells of none as 404") {
    Stand stand;
    FileEntry temporary = sample_entry(5), permanent = sample_entry(5);
    temporary.retention_policy = "temporary";
    permanent.retention_policy = "permanent";
    stand.sources["se-01"]->put(temporary);
    stand.sources["se-02"]->put(permanent);
    stand.follow();
    const Answer found = stand.get("/api/v1/files/" + to_string(sample_id(5)));
    CHECK(found.status == 200);
    CHECK(found.has("\"storage_element_id\":\"se-02\""));
    CHECK(stand.get("/api/v1/files/" + to_string(sample_id(6))).status == 404);
  }

  TEST_CASE("what changes at an element is found without being asked for") {
    Stand stand;
    stand.follow();
    stand.sources["se-02"]->put(sample_entry(8));
    const std::string target = "/api/v1/files/" + to_string(sample_id(8));
    while (stand.get(target).status == 404) std::this_thread::sleep_for(2ms);
    CHECK(stand.get(target).status == 200);
    stand.sources["se-02"]->remove(sample_id(8));
    while (stand.get(target).status == 200) std::this_thread::sleep_for(2ms);
    CHECK(stand.get(target).status == 404);
  }

  TEST_CASE("a read that names a position shows what is there up to it, or is refused") {
    Stand stand;
    stand.parts.bound_most = 10min;
    stand.follow();
    stand.sources["se-02"]->put(sample_entry(8));
    Position position = stand.sources["se-02"]->head().position;
    const std::string file = "/api/v1/files/" + to_string(sample_id(8));
    const auto at = [](const Position& one) { return "?min_position=" + to_string(one); };
    CHECK(stand.get(file + at(position)).status == 200);
    for (std::uint64_t n = 20; n < 30; ++n) {
      stand.sources["se-02"]->put(sample_entry(n));
      const std::string bound = at(stand.sources["se-02"]->head().position);
      const std::string words = "&limit=1&storage_element_id=se-02";
      CHECK(stand.get("/api/v1/files/search" + bound + words)
                .has("\"total\":" + std::to_string(n - 18)));
      CHECK(stand.ask(http::Method::post, "/api/search" + bound, "{}").status == 200);
    }
    stand.parts.bound_most = 500ms;
    position.seq += 1000;
    const Answer later = stand.get(file + at(position));
    CHECK(later.status == 503);
    CHECK(later.header("Retry-After") != "none");
    stand.parts.bound_most = 10min;  // what never comes is not waited for
    const std::string of_the_other = at(position) + "&storage_element_id=se-01";
    CHECK(stand.get(file + of_the_other).status == 410);
    position.epoch += 1;
    for (const std::string& target :
         {file, file + "/download", std::string("/api/v1/files/search")})
      CHECK(stand.get(target + at(position)).status == 410);
    CHECK(stand.get(file + "?min_position=1/2").status == 422);
    CHECK(stand.get(file + "?max_staleness=-1").status == 422);
    CHECK(stand.get(file + "?max_staleness=0&storage_element_id=se-09").status == 404);
  }

  TEST_CASE("a read that must be fresh is refused while an element cannot be asked") {
    Stand stand;
    stand.parts.bound_most = 10min;
    stand.follow();
    stand.sources["se-01"]->put(sample_entry(8));
    const std::string file = "/api/v1/files/" + to_string(sample_id(8));
    CHECK(stand.get(file + "?max_staleness=0").status == 200);
    stand.away = true;
    CHECK(stand.get(file).status == 200);
    CHECK(stand.get(file + "?max_staleness=0").status == 503);
    CHECK(stand.get(file + "?max_staleness=3600").status == 200);
    Position unknown = stand.sources["se-01"]->head().position;
    unknown.epoch += 1;
    CHECK(stand.get(file + "?min_position=" + to_string(unknown)).status == 503);
    stand.away = false;
    CHECK(stand.get(file + "?max_staleness=0").status == 200);
    CHECK(stand.get(file + "?min_position=" + to_string(unknown)).status == 410);
  }

  TEST_CASE("a full comparison tells what it has changed") {
    Stand stand;
    for (std::uint64_t n = 0; n < 6; ++n) stand.sources["se-01"]->put(sample_entry(n));
    stand.follow();
    must(stand.parts.database->write(
        {}, [](Session& s) { return s.run("DELETE FROM file_metadata_cache WHERE id < 'a'"); }));
    const Answer done = stand.ask(http::Method::post, "/api/v1/admin/sync/full");
    CHECK(done.status == 200);
    CHECK(!done.has("\"added\":0"));
    CHECK(done.has("\"updated\":0,\"deleted\":0,\"position\":{\"se-01\":\""));
    CHECK(stand.get("/api/v1/files/search?limit=1").has("\"total\":6"));
    CHECK(stand.get("/api/v1/admin/sync/status").has("\"digest_matches\":true"));
    const Answer nobody =
        stand.ask(http::Method::post, "/api/v1/admin/sync/full?storage_element_id=se-09");
    CHECK(nobody.status == 404);
  }

  TEST_CASE("dead letters are told of, tried again and dropped") {
    Stand stand;
    stand.sources["se-01"]->put(sample_entry(1));
    stand.follow();
    const auto bury_one = [&](std::uint64_t n) {
      must(stand.parts.database->write({}, [&](Session& s) {
        return standings().bury(
            s, "se-01",
            {.seq = 1, .key = to_string(sample_id(n)), .hash = {}, .kept = {}, .reason = "broken"},
            Timestamp());
      }));
    };
    const std::string all = "/api/v1/admin/sync/dead-letters";
    bury_one(1);
    const std::string one = all + "/se-01/" + to_string(sample_id(1));
    CHECK(stand.get(all).has("\"total\":1,\"dead_letters\":[{\"storage_element_id\":\"se-01\""));
    CHECK(stand.ask(http::Method::post, one + "/retry").has("\"applied\":true"));
    CHECK(stand.get(all).has("\"total\":0"));
    CHECK(stand.ask(http::Method::post, one + "/retry").status == 404);
    const std::string status = "/api/v1/admin/sync/status";
    const auto until_in_step = [&] {
      while (!stand.get(status).has("],\"in_step\":true}")) std::this_thread::yield();
    };
    until_in_step();
    bury_one(1);
    CHECK(stand.get(status).has("\"dead_letters\":1"));
    CHECK_FALSE(stand.get(status).has("],\"in_step\":true}"));
    CHECK(stand.ask(http::Method::del, one).status == 204);
    CHECK_FALSE(stand.get(status).has("\"dead_letters\":1"));
    until_in_step();
    CHECK(stand.ask(http::Method::del, one).status == 404);
    CHECK(stand.get(all).has("\"total\":0"));
    CHECK(stand.get(all + "?all=1").has("\"dropped\":true"));
  }

  TEST_CASE("a download is what the element sends, with its range and tag") {
    std::string asked;
    test::ScriptedHttp element([&](const test::HttpRequest& request) {
      asked = request.target + "\n" + request.headers;
      return test::http_answer(206, "bcd",
                               "ETag: \"sum\"\r\nContent-Range: bytes 1-3/9\r\n"
                               "Content-Type: text/plain\r\nServer: other\r\n");
    });
    Stand stand;
    stand.sources["se-01"]->put(sample_entry(2));
    stand.follow(element.origin());
    const Answer part = stand.ask(http::Method::get, download_of(2), {}, "user",
                                  {{"Range", "bytes=1-3"}, {"Cookie", "private"}});
    CHECK(part.status == 206);
    CHECK(part.body == "bcd");
    CHECK(part.header("ETag") == "\"sum\"");
    CHECK(part.header("Content-Range") == "bytes 1-3/9");
    CHECK(part.header("Server") == "none");
    CHECK(asked.find(download_of(2)) == 0);
    CHECK(asked.find("range: bytes=1-3") != std::string::npos);
    CHECK(asked.find("authorization: bearer service") != std::string::npos);
    CHECK(asked.find("cookie") == std::string::npos);
  }

  TEST_CASE("no file, no good answer, no element and no answer in time are told apart") {
    int status = 404;
    bool hang = false;
    test::ScriptedHttp element([&](const test::HttpRequest&) {
      if (hang) return test::HttpAnswer{.bytes = "", .then = test::HttpAnswer::Then::hang};
      return test::http_answer(status, "{}");
    });
    Stand stand;
    stand.sources["se-01"]->put(sample_entry(2));
    stand.sources["se-02"]->put(sample_entry(4));
    stand.follow(element.origin());  // nobody listens where se-02 should be
    CHECK(stand.get(download_of(9)).status == 404);
    CHECK(stand.get(download_of(2)).status == 404);
    for (const int refused : {401, 403, 500}) {
      status = refused;
      CHECK(stand.get(download_of(2)).status == 502);
    }
    status = 503;
    CHECK(stand.get(download_of(2)).status == 503);
    const Answer away = stand.get(download_of(4));
    CHECK(away.status == 503);
    CHECK(away.header("Retry-After") == "5");
    hang = true;
    stand.parts.answer_most = 500ms;
    CHECK(stand.get(download_of(2)).status == 504);
  }

  TEST_CASE("a file that one of two elements cannot give is given by the other") {
    test::ScriptedHttp second(
        [](const test::HttpRequest&) { return test::http_answer(200, "content"); });
    Stand stand;
    FileEntry permanent = sample_entry(2);
    permanent.retention_policy = "permanent";
    stand.sources["se-01"]->put(permanent);
    stand.sources["se-02"]->put(sample_entry(2));
    stand.follow("http://127.0.0.1:1", second.origin());
    CHECK(stand.get(download_of(2)).body == "content");
  }

  TEST_CASE("elements are named by settings and by the admin") {
    const auto named = must(parse_elements(" se-01=http://a:8010/ , se-02"));
    REQUIRE(named.size() == 2);
    CHECK(named[0].url == "http://a:8010");
    CHECK(named[1].element == "se-02");
    CHECK(named[1].url.empty());
    for (const char* wrong : {"se-01=a:8010", "=http://a", "a,a"})
      CHECK(parse_elements(wrong).error().code == Errc::invalid_argument);
    const auto listed = must(parse_registry(
        R"({"storage_elements":[{"element_id":"se-03","api_url":"http://c:1"},{"id":4}]})"));
    REQUIRE(listed.size() == 1);
    CHECK(listed[0].element == "se-03");
    CHECK(parse_registry("[]").error().code == Errc::corrupt);
  }
  TEST_CASE("an event says where in the log of which element it was, as far as it does") {
    const auto whole = parse_event(
        R"({"event_type":"file:created","storage_element_id":"se-01","epoch":"00000000000000ff",)"
        R"("seq":12,"metadata":{"a":[1,{}]}})");
    REQUIRE(whole);
    CHECK(whole->element == "se-01");
    CHECK(whole->epoch == 255);
    CHECK(whole->seq == 12);
    const auto original = parse_event(R"({"storage_element_id":"se-01","file_id":"x"})");
    REQUIRE(original);
    CHECK(original->epoch == 0);
    CHECK(parse_event(R"({"storage_element_id":"a","epoch":"12 ","seq":1})")->epoch == 0);
    CHECK(parse_event(R"({"storage_element_id":"a","epoch":"12","seq":-1})")->epoch == 0);
    for (const char* none : {"", "[]", "{}", R"({"storage_element_id":7})", R"({"seq":1})"})
      CHECK_FALSE(parse_event(none));
  }

  TEST_CASE("an element that nobody names any more is shown as gone, and its files stay") {
    Stand stand;
    stand.sources["se-01"]->put(sample_entry(1));
    stand.sources["se-02"]->put(sample_entry(2));
    stand.follow();
    const auto status = [&] { return stand.get("/api/v1/admin/sync/status"); };
    CHECK_FALSE(status().has("\"gone_since\":\""));
    stand.parts.fleet->update({{"se-01", "http://127.0.0.1:1"}});
    CHECK(status().has("\"gone_since\":\""));
    CHECK(stand.get("/api/v1/files/search?limit=9").has("\"total\":2"));
    stand.parts.fleet->update({{"se-01", "http://127.0.0.1:1"}, {"se-02", "http://127.0.0.1:1"}});
    CHECK_FALSE(status().has("\"gone_since\":\""));
  }

  TEST_CASE("after a restart an element that is in the tables alone is shown as gone") {
    Stand stand;
    stand.sources["se-01"]->put(sample_entry(1));
    must(stand.parts.database->write(
        {}, [&](Session& s) { return standings().store(s, "se-09", {}, Timestamp()); }));
    stand.follow();
    const Answer status = stand.get("/api/v1/admin/sync/status");
    CHECK(
        status.has("\"storage_element_id\":\"se-09\",\"storage_element_url\":\"\","
                   "\"state\":\"starting\",\"in_step\":false"));
    CHECK(status.has("\"gone_since\":\""));
  }
}
