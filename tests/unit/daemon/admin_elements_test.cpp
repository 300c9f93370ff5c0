// SPDX-License-Identifier: Apache-2.0
#include "admin_bench.hpp"

namespace artcache::admin {
namespace {

using http::Method;
const std::string kPublic = "/api/v1/storage-elements/";
const std::string kInternal = "/api/v1/internal/storage-elements/";

std::string info(const std::string& id, const std::string& mode = "edit", int priority = 100,
                 int used = 0, int files = 0) {
  return R"({"name":"storage-element","display_name":")" + id + R"(","version":"1.0.0","mode":")" +
         mode +
         R"(","storage_type":"local","base_path":"/data","capacity_bytes":1000,"used_bytes":)" +
         std::to_string(used) + R"(,"file_count":)" + std::to_string(files) +
         R"(,"status":"operational","priority":)" + std::to_string(priority) +
         R"(,"element_id":")" + id + R"(","timestamp":"2026-03-02T10:11:12")";
}

/// As an element tells it of itself.
std::string with_url(const std::string& info, const std::string& url) {
  return info + R"(,"api_url":")" + url + R"("})";
}

int register_with(Bench& bench, const std::string& token, const std::string& said, int port) {
  return bench
      .post(kInternal + "register", with_url(said, "http://127.0.0.1:" + std::to_string(port)),
            token)
      .status;
}

int register_one(Bench& bench, const std::string& said, int port) {
  return register_with(bench, bench.service_token(), said, port);
}

}  // namespace

TEST_SUITE_BEGIN("admin: storage elements");

TEST_CASE("an element that registers is listed, by priority, until it is silent too long") {
  Bench bench;
  REQUIRE(register_one(bench, info("se-02", "edit", 200), 8011) == 200);
  REQUIRE(register_one(bench, info("se-01", "edit", 100), 8010) == 200);
  REQUIRE(register_one(bench, info("se-03", "rw", 300), 8012) == 200);
  const std::string token = bench.service_token();
  const Seen all = bench.get(kInternal + "available", token);
  CHECK(all["total"] == "3");
  CHECK(all.body.find("se-01") < all.body.find("se-02"));
  CHECK(all.body.find("se-02") < all.body.find("se-03"));
  CHECK(all.body.find(R"("health_status":"healthy","capacity_status":"ok")") != std::string::npos);
  CHECK(bench.get(kInternal + "se-01", token)["api_url"] == "http://127.0.0.1:8010");
  CHECK(bench.get(kInternal + "se-09", token).status == 404);

  bench.clock.advance(std::chrono::seconds(89));
  REQUIRE(register_one(bench, info("se-01"), 8010) == 200);
  bench.clock.advance(std::chrono::seconds(1));
  CHECK(bench.get(kInternal + "available", token)["total"] == "1");
  const Seen people = bench.get(kPublic, token);  // with the token of a service account
  CHECK(people["total"] == "3");
  CHECK(people.body.find(R"("status":"offline")") != std::string::npos);
}

TEST_CASE("a list is cut into pages, wherever they begin") {
  Bench bench;
  for (int n = 1; n <= 3; ++n) register_one(bench, info("se-0" + std::to_string(n)), 8010 + n);
  const std::string token = bench.service_token();
  const auto names = [&](const std::string& query) {
    const Seen page = bench.get(kPublic + query, token);
    std::string out = page["total"];
    for (const std::string name : {"se-01", "se-02", "se-03"})
      if (page.body.find(R"("name":")" + name) != std::string::npos) out += " " + name;
    return out;
  };
  CHECK(names("") == "3 se-01 se-02 se-03");
  CHECK(names("?skip=1&limit=1") == "3 se-02");
  CHECK(names("?skip=3") == "3");
  CHECK(names("?skip=9223372036854775807&limit=1000") == "3");
}

TEST_CASE("what is asked for decides which elements are available") {
  Bench bench;
  register_one(bench, info("se-01", "edit", 100, 950), 8010);
  register_one(bench, info("se-03", "rw", 300, 100), 8012);
  register_one(bench, info("se-04", "ro", 400), 8013);
  const std::string token = bench.service_token();
  const auto total = [&](const std::string& query) {
    return bench.get(kInternal + "available" + query, token)["total"];
  };
  CHECK(total("") == "3");
  CHECK(total("?mode=edit") == "1");
  CHECK(total("?mode=rw") == "1");
  CHECK(total("?mode=ro") == "0");
  CHECK(total("?min_free_bytes=51") == "2");
  CHECK(total("?mode=edit&min_free_bytes=51") == "0");
  CHECK(bench.get(kInternal + "available?mode=x", token).status == 422);
  CHECK(bench.get(kInternal + "available?min_free_bytes=-1", token).status == 422);
  CHECK(bench.get(kInternal + "available", token).body.find(R"("critical")") != std::string::npos);
}

TEST_CASE("an element may move to another address, but not to that of another one") {
  Bench bench;
  register_one(bench, info("se-01"), 8010);
  register_one(bench, info("se-02"), 8011);
  CHECK(register_one(bench, info("se-01"), 9010) == 200);
  const std::string token = bench.service_token();
  CHECK(bench.get(kInternal + "se-01", token)["api_url"] == "http://127.0.0.1:9010");
  CHECK(register_one(bench, info("se-01"), 8011) == 409);
  CHECK(register_one(bench, info("se-05"), 8011) == 409);
  CHECK(bench.get(kPublic, token)["total"] == "2");
}

TEST_CASE("only the account that entered an element speaks for it, until people name another") {
  Bench bench;
  const std::string mine = bench.token_as("OPERATOR", "mine");
  const std::string other = bench.token_as("OPERATOR", "other");
  REQUIRE(register_with(bench, mine, info("se-01"), 8010) == 200);
  CHECK(register_with(bench, other, info("se-01"), 9010) == 403);
  CHECK(register_with(bench, other, info("se-01", "ro"), 8010) == 403);
  CHECK(register_one(bench, info("se-01"), 9010) == 403);
  CHECK(bench.get(kInternal + "se-01", mine)["api_url"] == "http://127.0.0.1:8010");
  CHECK(bench.get(kInternal + "se-01", mine)["mode"] == "edit");
  CHECK(register_with(bench, mine, info("se-01"), 8011) == 200);

  const std::string root = bench.root_token();
  const Seen all = bench.get("/api/v1/service-accounts", root);
  const auto at = all.body.find("sa_prod_other_");
  REQUIRE(at != std::string::npos);
  const std::string client = all.body.substr(at, all.body.find('"', at) - at);
  const std::string id = bench.get(kInternal + "se-01", mine)["id"];
  const Seen changed = bench.send(Method::put, kPublic + id,
                                  {.body = R"({"client_id":")" + client + R"("})", .token = root});
  CHECK(changed["client_id"] == client);
  CHECK(register_with(bench, other, info("se-01"), 9010) == 200);
  CHECK(register_with(bench, mine, info("se-01"), 8010) == 403);
}

TEST_CASE("the trail says who entered or moved an element, and who was refused that") {
  Bench bench;
  const std::string mine = bench.token_as("OPERATOR", "mine");
  const std::string other = bench.token_as("OPERATOR", "other");
  const auto trail = [&] {
    return bench.get("/api/v1/audit-log?action=storage_element.register", bench.root_token());
  };
  REQUIRE(register_with(bench, mine, info("se-01"), 8010) == 200);
  CHECK(trail()["total"] == "1");
  CHECK(trail().body.find("new, at http://127.0.0.1:8010") != std::string::npos);
  REQUIRE(register_with(bench, mine, info("se-01"), 8010) == 200);
  REQUIRE(register_with(bench, mine, info("se-01", "ro", 5, 77), 8010) == 200);
  CHECK(trail()["total"] == "1");  // it only said how it is
  REQUIRE(register_with(bench, other, info("se-01"), 9010) == 403);
  CHECK(trail()["total"] == "2");
  CHECK(trail().body.find(R"("actor":"other")") != std::string::npos);
  REQUIRE(register_with(bench, mine, info("se-01"), 8011) == 200);
  CHECK(trail()["total"] == "3");
  CHECK(trail().body.find("moved from http://127.0.0.1:8010 to http://127.0.0.1:8011") !=
        std::string::npos);
}

TEST_CASE("an element that people entered stays where they put it, whatever an operator says") {
  Bench bench;
  bench.answer_info(info("se-01") + "}");
  const std::string url = "http://127.0.0.1:8010";
  REQUIRE(bench.post(kPublic, R"({"api_url":")" + url + R"("})", bench.root_token()).status == 201);
  const std::string token = bench.token_as("OPERATOR", "any");
  CHECK(register_with(bench, token, info("se-01", "rw"), 8010) == 200);
  CHECK(register_with(bench, token, info("se-01", "rw"), 9010) == 403);
  CHECK(bench.get(kInternal + "se-01", token)["api_url"] == url);
  CHECK(register_one(bench, info("se-01"), 9010) == 200);  // an admin may do anything there anyway
  CHECK(register_with(bench, token, info("se-01"), 9010) == 403);
}

TEST_CASE("another element that answers at the address of one is not taken for it") {
  Bench bench;
  const std::string root = bench.root_token();
  bench.answer_info(info("se-01") + "}");
  const std::string id = bench.post(kPublic, R"({"api_url":"http://se-01"})", root)["id"];
  bench.answer_info(info("se-02") + "}");
  const Seen synced = bench.post(kPublic + "sync/" + id, "", root);
  CHECK(synced["element_id"] == "se-01");
  CHECK(synced["status"] == "offline");
}

TEST_CASE("what is no element is refused") {
  Bench bench;
  const std::string token = bench.service_token();
  for (const std::string& body :
       {std::string(), std::string("{}"), std::string("{"), info("se-01") + "}",
        with_url(info("se-01"), "ftp://x"), with_url(info("se-01"), "http://a:b@c"),
        std::string(R"({"api_url":"http://x"})"), std::string(R"({"api_url":7})")})
    CHECK(bench.post(kInternal + "register", body, token).status == 422);
  CHECK(bench.post(kInternal + "register", with_url(info("x"), "http://x"), bench.root_token())
            .status == 403);
  CHECK(bench.post(kInternal + "register", with_url(info("x"), "http://x")).status == 401);
}

TEST_CASE("people add elements by their address") {
  Bench bench;
  const std::string root = bench.root_token();
  const std::string body = R"({"api_url":"http://se-01:8010/","name":"first"})";
  CHECK(bench.post(kPublic, body, root).status == 502);
  bench.answer_info(info("se-01") + "}");
  CHECK(bench.post(kPublic + "discover", body, root)["element_id"] == "se-01");
  CHECK(bench.get(kPublic, root)["total"] == "0");
  const Seen made = bench.post(kPublic, body, root);
  REQUIRE(made.status == 201);
  CHECK(made["name"] == "first");
  CHECK(made["api_url"] == "http://se-01:8010");
  CHECK(made["status"] == "online");
  CHECK(bench.post(kPublic, body, root).status == 409);
  CHECK(bench.post(kPublic, body, bench.service_token()).status == 403);
  CHECK(bench.post(kPublic, R"({"api_url":"file:///etc/passwd"})", root).status == 422);
  bench.answer_info("{}");
  CHECK(bench.post(kPublic, R"({"api_url":"http://se-02"})", root).status == 502);
}

TEST_CASE("a sync takes over what an element says, or that it is away") {
  Bench bench;
  const std::string root = bench.root_token();
  bench.answer_info(info("se-01") + "}");
  const std::string id = bench.post(kPublic, R"({"api_url":"http://se-01"})", root)["id"];
  bench.answer_info(info("se-01", "rw", 7, 30, 3) + "}");
  const Seen synced = bench.post(kPublic + "sync/" + id, "", root);
  CHECK(synced["mode"] == "rw");
  CHECK(synced["used_bytes"] == "30");
  CHECK(bench.get(kPublic + "stats/summary", root)["total_files"] == "3");
  bench.answer_info("");
  CHECK(bench.post(kPublic + "sync-all", "", root)["failed"] == "1");
  CHECK(bench.get(kPublic + id, root)["status"] == "offline");
  CHECK(bench.post(kPublic + "sync/99", "", root).status == 404);
  CHECK(bench.post(kPublic + "sync/x", "", root).status == 404);
}

TEST_CASE("an element with files cannot be removed") {
  Bench bench;
  const std::string root = bench.root_token();
  bench.answer_info(info("se-01", "edit", 1, 1, 1) + "}");
  const std::string id = bench.post(kPublic, R"({"api_url":"http://se-01"})", root)["id"];
  const auto remove = [&] { return bench.send(Method::del, kPublic + id, {.token = root}).status; };
  CHECK(remove() == 409);
  bench.answer_info(info("se-01") + "}");
  bench.post(kPublic + "sync/" + id, "", root);
  const Seen changed = bench.send(Method::put, kPublic + id,
                                  {.body = R"({"name":"old","retention_days":30})", .token = root});
  CHECK(changed["retention_days"] == "30");
  CHECK(remove() == 204);
  CHECK(remove() == 404);
}

TEST_SUITE_END();

}  // namespace artcache::admin
