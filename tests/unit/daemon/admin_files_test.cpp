// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "admin_bench.hpp"
#include "support/sample_entry.hpp"

namespace artcache::admin {
namespace {

using http::Method;
using test::sample_entry;
using test::sample_id;
using namespace std::chrono_literals;

const std::string kFiles = "/api/v1/files";

std::string path_of(std::uint64_t n) { return kFiles + "/" + to_string(sample_id(n)); }

Options registry_options() {
  Options out = quick_options();
  out.cleanup_delay = 1h;
  out.cleanup_retry = 10s;
  out.cleanup_retry_most = 40s;
  out.edit_wait = 0ms;  // the clock of a test stands still
  return out;
}

/// Two elements that are indexes of this process, and an admin that follows when it is told to.
class Stand {
 public:
  Stand() : bench(registry_options()) {
    for (const std::string name : {"se-01", "se-02"}) {
      const std::string url = "http://" + name;
      indexes[name] = must(Backends::builtin().open_index(
          must(Url::parse("sqlite://" + (bench.dir() / (name + ".db")))), {}, {}));
      sources[name] = make_log_source(*indexes[name]);
      bench.logs[url] = sources[name].get();
      const std::string info =
          R"({"name":"e","display_name":")" + name +
          R"(","version":"1","mode":"edit","storage_type":"local","base_path":"/d",)"
          R"("capacity_bytes":1000,"used_bytes":0,"file_count":0,"status":"operational",)"
          R"("priority":1,"element_id":")" +
          name + R"(","api_url":")" + url + R"("})";
      REQUIRE(bench.post("/api/v1/internal/storage-elements/register", info, token()).status ==
              200);
    }
  }
  ~Stand() { bench.admin().stop(); }
  Stand(const Stand&) = delete;
  Stand& operator=(const Stand&) = delete;

  void put(const std::string& element, FileEntry entry) {
    const EntryChange change = test::put_of(std::move(entry));
    must(indexes[element]->apply({.changes = {&change, 1}}, {}));
  }
  void remove(const std::string& element, std::uint64_t n) {
    const EntryChange change = test::remove_of(sample_id(n));
    must(indexes[element]->apply({.changes = {&change, 1}}, {}));
  }
  /// Until the registry is where the elements are.
  void follow() {
    const auto done = bench.admin().follow_once({});
    REQUIRE(done);
    for (const auto& one : bench.admin().fleet()->all()) must(one->sync_full({}));
  }
  void clean() {
    const auto done = bench.admin().clean_once({});
    REQUIRE(done);
  }
  std::string token() { return bench.service_token(); }
  Seen get(const std::string& target) { return bench.get(target, token()); }
  Seen send(Method method, const std::string& target, std::string body = {}) {
    return bench.send(method, target, {.body = std::move(body), .token = token()});
  }
  /// Of the files in the queue, one word each, the last to join it first.
  std::string states() {
    std::string out;
    const std::string body = get(kFiles + "/cleanup-queue").body;
    for (std::size_t at = 0; (at = body.find(R"("state":")", at)) != std::string::npos;) {
      at += 9;
      out.append(out.empty() ? "" : " ").append(body.substr(at, body.find('"', at) - at));
    }
    return out;
  }

  Bench bench;
  std::map<std::string, std::unique_ptr<MetadataStore>> indexes;
  std::map<std::string, std::unique_ptr<LogSource>> sources;
};

web::HttpReply collected(const web::HttpRequest&) {
  return {.head = {.status = 200}, .body = "{}"};
}

}  // namespace

TEST_SUITE_BEGIN("admin: files");

TEST_CASE("the registry has what the logs of all elements tell, and loses what they lose") {
  Stand stand;
  stand.put("se-01", sample_entry(1));
  stand.put("se-02", sample_entry(2));
  stand.follow();
  CHECK(stand.get(kFiles)["total"] == "2");
  CHECK(stand.get(path_of(1))["storage_element_id"] == "se-01");
  CHECK(stand.get(path_of(2))["description"] == *sample_entry(2).description);
  FileEntry changed = sample_entry(2);
  changed.description = "another";
  stand.put("se-02", changed);
  stand.remove("se-01", 1);
  stand.follow();
  CHECK(stand.get(path_of(2))["description"] == "another");
  CHECK(stand.get(path_of(1)).status == 404);
  CHECK(stand.get(kFiles + "?include_deleted=true")["total"] == "1");
  const Seen status = stand.get(kFiles + "/sync-status");
  CHECK(status["in_step"] == "true");
  CHECK(status.body.find("se-02") != std::string::npos);
}

TEST_CASE("a file that two elements have stands in the list once, as the permanent one") {
  Stand stand;
  FileEntry source = sample_entry(1), target = sample_entry(1);
  source.retention_policy = "temporary";
  source.ttl_days = 5;
  target.retention_policy = "permanent";
  stand.put("se-01", source);
  stand.put("se-02", target);
  stand.follow();
  CHECK(stand.get(kFiles)["total"] == "1");
  CHECK(stand.get(path_of(1))["storage_element_id"] == "se-02");
  CHECK(stand.get(kFiles + "?storage_element_id=se-01")["total"] == "1");
  CHECK(stand.get(kFiles + "?retention_policy=temporary")["total"] == "0");
  stand.remove("se-01", 1);
  stand.follow();
  CHECK(stand.get(kFiles)["total"] == "1");
}

TEST_CASE("a list is cut into pages, and narrowed down by parts of names as they are spelled") {
  Stand stand;
  for (std::uint64_t n = 0; n < 10; ++n) stand.put("se-01", sample_entry(n));
  stand.follow();
  const Seen page = stand.get(kFiles + "?page=2&page_size=4");
  CHECK(page["total"] == "10");
  CHECK(page["total_pages"] == "3");
  CHECK(page.body.find(to_string(sample_id(5))) != std::string::npos);
  CHECK(page.body.find(to_string(sample_id(6))) == std::string::npos);
  CHECK(stand.get(kFiles + "?filename=INVOICE")["total"] == "2");
  CHECK(stand.get(kFiles + "?filename=invoice_17")["total"] == "0");
  CHECK(stand.get(kFiles + "?uploaded_by=user-0")["total"] == "4");
  for (const char* wrong : {"?page=0", "?page_size=0", "?page_size=1001", "?page=x",
                            "?retention_policy=forever", "?include_deleted=2"})
    CHECK(stand.get(kFiles + wrong).status == 422);
}

TEST_CASE("who may not write changes and deletes nothing") {
  Stand stand;
  stand.put("se-01", sample_entry(1));
  stand.follow();
  const std::string root = stand.bench.root_token();
  const auto token_as = [&](const std::string& role) {
    const Seen made =
        stand.bench.post("/api/v1/service-accounts",
                         R"({"name":"as-)" + role + R"(","role":")" + role + R"("})", root);
    REQUIRE(made.status == 201);
    return stand.bench.token_for(made["client_id"], made["client_secret"])["access_token"];
  };
  const std::pair<const char*, std::pair<int, int>> roles[] = {
      {"READONLY", {403, 403}}, {"AUDITOR", {403, 403}}, {"USER", {503, 403}}};
  for (const auto& [role, expected] : roles) {
    const std::string token = token_as(role);
    CHECK(stand.bench.get(path_of(1), token).status == 200);
    const Asked patch{.body = "{}", .token = token};
    CHECK(stand.bench.send(Method::patch, path_of(1), patch).status == expected.first);
    CHECK(stand.bench.send(Method::del, path_of(1), {.token = token}).status == expected.second);
    CHECK(stand.bench.post(path_of(1) + "/restore", "", token).status == 403);
  }
  CHECK(stand.bench.get(path_of(1), "").status == 401);
  CHECK(stand.get(kFiles)["total"] == "1");
}

TEST_CASE("a file that several delete at once waits once for its removal, and can be restored") {
  Stand stand;
  const std::string token = stand.token();
  for (std::uint64_t n = 1; n <= 5; ++n) {
    stand.put("se-01", sample_entry(n));
    stand.follow();
    std::vector<std::thread> all;
    for (int i = 0; i < 4; ++i)
      all.emplace_back([&] { stand.bench.send(Method::del, path_of(n), {.token = token}); });
    for (std::thread& one : all) one.join();
    CHECK(stand.get(kFiles + "/cleanup-queue")["total"] == "1");
    REQUIRE(stand.send(Method::post, path_of(n) + "/restore").status == 200);
  }
}

TEST_CASE("an edit is what the element makes of it, and seen when its log tells of it") {
  Stand stand;
  stand.put("se-01", sample_entry(1));
  stand.follow();
  stand.bench.element = [&](const web::HttpRequest& request) -> web::HttpReply {
    CHECK(request.method == "PATCH");
    CHECK(request.url == "http://se-01" + path_of(1));
    CHECK(request.body == R"({"description":"new","metadata":{"n":1}})");
    FileEntry changed = sample_entry(1);
    changed.description = "new";
    changed.updated_at = changed.updated_at + 1s;
    stand.put("se-01", changed);
    return {.head = {.status = 200},
            .body = R"({"updated_at":")" + to_string(changed.updated_at) + R"("})"};
  };
  const std::string body = R"({"description": "new", "user_metadata": {"n": 1}})";
  // The log may have told of it by the time somebody looks.
  const int first = stand.send(Method::patch, path_of(1), body).status;
  CHECK((first == 202 || first == 200));
  stand.follow();
  const Seen again = stand.send(Method::put, path_of(1), body);
  CHECK(again.status == 200);
  CHECK(again["description"] == "new");
  stand.bench.element = [](const web::HttpRequest&) -> web::HttpReply {
    return {.head = {.status = 400}, .body = R"({"detail":"File update not allowed in ro mode"})"};
  };
  const Seen refused = stand.send(Method::patch, path_of(1), body);
  CHECK(refused.status == 400);
  CHECK(refused["detail"] == "File update not allowed in ro mode");
  stand.bench.element = nullptr;
  const Seen away = stand.send(Method::patch, path_of(1), body);
  CHECK(away.status == 503);
  CHECK(away.headers.find("Retry-After"));
  const Seen trail = stand.get("/api/v1/audit-log?action=file.update");
  CHECK(trail["total"] == "4");
}

TEST_CASE("an element is shown tokens that open no more than its operator could open") {
  Stand stand;
  stand.put("se-01", sample_entry(1));
  stand.follow();
  const auto role_of = [](const std::string& token) {
    return must(auth::take_apart(token)).claims.role;
  };
  stand.bench.element = [&](const web::HttpRequest& request) -> web::HttpReply {
    const auto& shown = request.headers.back();
    CHECK(shown.first == "Authorization");
    CHECK(role_of(shown.second.substr(7)) == "OPERATOR");
    return {.head = {.status = 200}, .body = "{}"};
  };
  CHECK(stand.send(Method::patch, path_of(1), R"({"description":"new"})").status == 202);
  stand.bench.admin().stop();
  const std::string shown = stand.bench.log_token();
  const auth::Claims claims = must(auth::take_apart(shown)).claims;
  CHECK(claims.role == "OPERATOR");  // else elements would not believe what it has seen
  CHECK(claims.expires_at - claims.issued_at <= 5min);
  CHECK(stand.bench.get("/api/v1/audit-log", shown).status == 403);
  CHECK(stand.bench.get("/api/v1/jwt-keys/status", shown).status == 403);
}

TEST_CASE("a retention that cannot be never reaches the element") {
  Stand stand;
  FileEntry permanent = sample_entry(1), temporary = sample_entry(2);
  permanent.retention_policy = "permanent";
  temporary.retention_policy = "temporary";
  temporary.ttl_days = 5;
  stand.put("se-01", permanent);
  stand.put("se-01", temporary);
  stand.follow();
  stand.bench.sent.clear();
  const auto change = [&](std::uint64_t n, const std::string& body) {
    return stand.send(Method::patch, path_of(n), body).status;
  };
  CHECK(change(1, R"({"retention_policy":"temporary","ttl_days":5})") == 400);
  CHECK(change(1, R"({"ttl_days":5})") == 400);
  CHECK(change(2, R"({"retention_policy":"permanent","ttl_days":5})") == 400);
  CHECK(change(2, R"({"ttl_days":0})") == 422);
  CHECK(change(2, R"({"ttl_days":366})") == 422);
  CHECK(change(2, R"({"retention_policy":"forever"})") == 422);
  CHECK(change(2, R"({"ttl_days":5,"ttl_expires_at":"soon"})") == 422);
  CHECK(change(2, R"({"storage_path":"elsewhere"})") == 422);
  CHECK(change(2, "[]") == 422);
  CHECK(stand.bench.sent.empty());
  stand.bench.element = collected;
  change(2, R"({"ttl_days":1})");
  const std::string end = to_string(temporary.created_at + std::chrono::hours(24));
  REQUIRE(stand.bench.sent.size() == 1);
  CHECK(stand.bench.sent[0].body ==
        R"({"retention_policy":"temporary","ttl_days":1,"retention_expires_at":")" + end + R"("})");
}

TEST_CASE("a deleted file is removed when its time has come, and remembered") {
  Stand stand;
  stand.put("se-01", sample_entry(1));
  stand.follow();
  CHECK(stand.send(Method::del, path_of(1) + "?deletion_reason=old").status == 200);
  CHECK(stand.send(Method::del, path_of(1)).status == 404);
  stand.clean();
  CHECK(stand.states() == "scheduled");
  CHECK(stand.bench.sent.empty());

  stand.bench.clock.advance(1h);
  stand.bench.element = collected;
  stand.clean();
  CHECK(stand.states() == "processed");
  REQUIRE(stand.bench.sent.size() == 1);
  CHECK(stand.bench.sent[0].method == "DELETE");
  CHECK(stand.bench.sent[0].url == "http://se-01/api/v1/gc/" + to_string(sample_id(1)));
  CHECK(stand.get("/api/v1/audit-log?action=file.cleanup")["total"] == "1");
  stand.clean();
  CHECK(stand.bench.sent.size() == 1);

  stand.remove("se-01", 1);
  stand.follow();
  const Seen left = stand.get(path_of(1) + "?include_deleted=true");
  CHECK(left["status"] == "gone");
  CHECK(left["deletion_reason"] == "old");
  CHECK(stand.send(Method::post, path_of(1) + "/restore").status == 409);
}

TEST_CASE("an element that is away is tried later and later, and holds up no other one") {
  Stand stand;
  for (const std::uint64_t n : {1U, 2U}) stand.put("se-01", sample_entry(n));
  stand.put("se-02", sample_entry(3));
  stand.follow();
  for (const std::uint64_t n : {1U, 2U, 3U})
    REQUIRE(stand.send(Method::del, path_of(n)).status == 200);
  stand.bench.clock.advance(1h);
  // One of them answers nothing that anybody understands.
  stand.bench.element = [](const web::HttpRequest& request) -> web::HttpReply {
    const bool here = request.url.starts_with("http://se-02");
    return {.head = {.status = here ? 200 : 503}, .body = "{}"};
  };
  stand.clean();
  CHECK(stand.states() == "processed retrying retrying");
  CHECK(stand.bench.sent.size() == 2);  // the second file of an element that is away has to wait
  stand.clean();
  CHECK(stand.bench.sent.size() == 2);
  stand.bench.clock.advance(10s);
  stand.clean();
  CHECK(stand.bench.sent.size() == 3);
  stand.bench.clock.advance(10s);
  stand.clean();
  CHECK(stand.bench.sent.size() == 3);

  const std::string item = stand.get(kFiles + "/cleanup-queue?state=pending").body;
  CHECK(item.find(R"("retry_count":2)") != std::string::npos);
  CHECK(item.find("the element does not answer") != std::string::npos);
  stand.bench.element = collected;
  CHECK(stand.send(Method::post, kFiles + "/cleanup-queue/1/retry").status == 200);
  CHECK(stand.send(Method::post, kFiles + "/cleanup-queue/99/retry").status == 404);
  CHECK(stand.send(Method::post, kFiles + "/cleanup-queue/x/retry").status == 404);
  stand.clean();
  CHECK(stand.states() == "processed retrying processed");
}

TEST_CASE(
    "an element that is away costs one try and one line of the log, however many files wait") {
  Stand stand;
  for (std::uint64_t n = 0; n < 120; ++n) stand.put("se-01", sample_entry(n));
  stand.put("se-02", sample_entry(300));
  stand.follow();
  for (std::uint64_t n = 0; n < 120; ++n)
    REQUIRE(stand.send(Method::del, path_of(n)).status == 200);
  REQUIRE(stand.send(Method::del, path_of(300)).status == 200);
  stand.bench.clock.advance(1h);
  stand.bench.element = [](const web::HttpRequest& request) -> web::HttpReply {
    const bool here = request.url.starts_with("http://se-02");
    return {.head = {.status = here ? 200 : 503}, .body = "{}"};
  };
  const std::string queue = kFiles + "/cleanup-queue?state=";
  const auto warnings = [&] { return stand.bench.log.count("WARNING: Files of an element are"); };
  for (std::size_t round = 1; round <= 2; ++round) {
    stand.clean();
    CHECK(stand.bench.sent.size() == round + 1);  // one at each, of which one was done with it
    CHECK(stand.get(queue + "processed")["total"] == "1");
    CHECK(warnings() == 1);
    CHECK(stand.bench.log.count("WARNING: A file is removed later") == 0);
    stand.bench.clock.advance(20s);
  }
  stand.bench.element = collected;
  stand.clean();
  CHECK(stand.get(queue + "pending")["total"] == "0");
}

TEST_CASE("a file that cannot be removed holds up no other one of its element") {
  Stand stand;
  for (const std::uint64_t n : {1U, 2U, 3U}) stand.put("se-01", sample_entry(n));
  stand.follow();
  for (const std::uint64_t n : {1U, 2U, 3U})
    REQUIRE(stand.send(Method::del, path_of(n)).status == 200);
  stand.bench.clock.advance(1h);
  stand.bench.element = [](const web::HttpRequest& request) -> web::HttpReply {
    const bool broken = request.url.ends_with(to_string(sample_id(1)));
    return {.head = {.status = broken ? 500 : 200}, .body = "{}"};
  };
  stand.clean();
  CHECK(stand.states() == "processed processed retrying");
}

TEST_CASE("a removal that was begun when the admin ended is done by the next one") {
  Stand stand;
  stand.put("se-01", sample_entry(1));
  stand.follow();
  REQUIRE(stand.send(Method::del, path_of(1)).status == 200);
  stand.bench.clock.advance(1h);
  // Killed while the element answers: nothing is written down.
  std::stop_source killed;
  stand.bench.element = [&](const web::HttpRequest&) -> web::HttpReply {
    stand.remove("se-01", 1);
    killed.request_stop();
    return {.head = {.status = 200}, .body = "{}"};
  };
  Call call;
  call.stop = killed.get_token();
  static_cast<void>(stand.bench.admin().clean_once(call));
  CHECK(stand.send(Method::post, path_of(1) + "/restore").status == 409);
  stand.bench.element = collected;
  stand.clean();
  CHECK(stand.states() == "processed");
}

TEST_CASE("a mark covers copies that turn up later, but no file that is uploaded anew") {
  Stand stand;
  stand.put("se-01", sample_entry(1));
  stand.follow();
  REQUIRE(stand.send(Method::del, path_of(1)).status == 200);
  stand.put("se-02", sample_entry(1));  // a finalize that was on its way
  stand.follow();
  CHECK(stand.get(path_of(1)).status == 404);
  CHECK(stand.states() == "scheduled scheduled");
  FileEntry changed = sample_entry(1);
  changed.description = "changed meanwhile";
  stand.put("se-02", changed);
  stand.remove("se-01", 1);
  stand.follow();
  CHECK(stand.get(path_of(1)).status == 404);
  CHECK(stand.states() == "scheduled processed");
  stand.remove("se-02", 1);
  stand.follow();
  CHECK(stand.states() == "processed processed");

  Stand other;
  other.put("se-01", sample_entry(1));
  other.follow();
  REQUIRE(other.send(Method::del, path_of(1)).status == 200);
  other.remove("se-01", 1);
  other.follow();
  FileEntry anew = sample_entry(1);
  anew.created_at = anew.created_at + 1s;
  other.put("se-01", anew);
  other.follow();
  CHECK(other.get(path_of(1))["status"] == "active");
  other.bench.clock.advance(2h);
  other.bench.element = collected;
  other.clean();
  CHECK(other.bench.sent.empty());
}

TEST_CASE("an element whose index is emptied and rebuilt brings no deleted file back") {
  Stand stand;
  stand.put("se-01", sample_entry(1));
  stand.follow();
  REQUIRE(stand.send(Method::del, path_of(1) + "?deletion_reason=old").status == 200);
  stand.remove("se-01", 1);
  stand.follow();
  CHECK(stand.states() == "processed");
  FileEntry rebuilt = sample_entry(1);
  rebuilt.description = "edited before";  // what may change in a file does not make it another one
  stand.put("se-01", rebuilt);
  stand.follow();
  CHECK(stand.get(path_of(1)).status == 404);
  CHECK(stand.get(path_of(1) + "?include_deleted=true")["deletion_reason"] == "old");
  CHECK(stand.states() == "scheduled processed");
  stand.put("se-01", sample_entry(1));  // an edit queues it no second time
  stand.follow();
  CHECK(stand.states() == "scheduled processed");
  stand.bench.clock.advance(1h);
  stand.bench.element = collected;
  stand.clean();
  CHECK(stand.bench.sent.size() == 1);
  CHECK(stand.states() == "processed processed");

  // Put back on purpose, it can be kept: the same holds for what had been removed.
  stand.remove("se-01", 1);
  stand.follow();
  stand.put("se-01", sample_entry(1));
  stand.follow();
  CHECK(stand.states() == "scheduled processed processed");
  CHECK(stand.send(Method::post, path_of(1) + "/restore")["status"] == "active");
  CHECK(stand.states() == "processed processed");
}

TEST_CASE("a file comes back until its removal has begun, with all its copies") {
  Stand stand;
  stand.put("se-01", sample_entry(1));
  stand.put("se-02", sample_entry(1));
  stand.follow();
  CHECK(stand.send(Method::post, path_of(1) + "/restore").status == 200);
  REQUIRE(stand.send(Method::del, path_of(1)).status == 200);
  CHECK(stand.states() == "scheduled scheduled");
  CHECK(stand.send(Method::post, path_of(1) + "/restore")["status"] == "active");
  CHECK(stand.states().empty());
  REQUIRE(stand.send(Method::del, path_of(1)).status == 200);
  stand.bench.clock.advance(1h);
  stand.clean();  // nobody answers
  CHECK(stand.send(Method::post, path_of(1) + "/restore").status == 409);
  CHECK(stand.get(path_of(1)).status == 404);
  CHECK(stand.send(Method::post, path_of(9) + "/restore").status == 404);
}

TEST_CASE("pauses between tries double up to the longest") {
  CHECK(cleanup_pause(1, 5s, 10min) == 5s);
  CHECK(cleanup_pause(2, 5s, 10min) == 10s);
  CHECK(cleanup_pause(4, 5s, 10min) == 40s);
  CHECK(cleanup_pause(1'000'000, 5s, 10min) == 10min);
  CHECK(cleanup_pause(3, 5s, 1s) == 5s);
}

TEST_SUITE_END();

}  // namespace artcache::admin
