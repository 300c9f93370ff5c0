// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <future>

#include "element_stand.hpp"
#include "support/faulty_index.hpp"

namespace artcache::element {
namespace {

using http::Method;

const std::string kUnknown = "/api/v1/files/0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10";

TEST_SUITE_BEGIN("element files");

TEST_CASE("an uploaded file is there with its metadata and its bytes") {
  Stand stand;
  const Answer answer = stand.ask(Stand::upload_of("hello"));
  CHECK(answer.status == 201);
  CHECK(answer.at("original_filename") == "plan.txt");
  CHECK(answer.at("file_size") == "5");
  CHECK(answer.at("message") == "File uploaded successfully");
  const std::string id = answer.at("file_id");
  CHECK(answer.header("Location") == "/api/v1/files/" + id);

  const Answer shown = stand.get("/api/v1/files/" + id);
  CHECK(shown.status == 200);
  CHECK(shown.at("file_id") == id);
  CHECK(shown.at("storage_filename") == answer.at("storage_filename"));
  CHECK(shown.at("content_type") == "text/plain");
  CHECK(shown.at("created_by_username") == "admin-service");
  CHECK(shown.at("cache_ttl_hours") == "24");
  CHECK(shown.at("cache_expired") == "false");
  CHECK(shown.at("cache_updated_at") == "2026-03-02T10:11:12.000000+00:00");

  const Answer loaded = stand.get("/api/v1/files/" + id + "/download");
  CHECK(loaded.status == 200);
  CHECK(loaded.body == "hello");
  CHECK(loaded.header("Content-Type") == "text/plain; charset=utf-8");
  CHECK(loaded.header("Content-Disposition") == "attachment; filename=\"plan.txt\"");
  CHECK(loaded.header("ETag") == "\"" + shown.at("checksum") + "\"");
}

TEST_CASE("fields count in front of the file and behind it") {
  Stand stand;
  const std::string told =
      Stand::field("description", "the plan") + Stand::field("version", "v2") +
      Stand::field("tags", "a, b") + Stand::field("metadata", "{\"n\": 1.50}") +
      Stand::field("retention_policy", "temporary") + Stand::field("ttl_days", "30");
  for (const bool behind : {false, true}) {
    Ask ask = behind ? Stand::upload_of("x", {}, told) : Stand::upload_of("x", told);
    ask.piece = 3;
    const Answer answer = stand.ask(std::move(ask));
    REQUIRE_MESSAGE(answer.status == 201, answer.body);
    const Answer shown = stand.get("/api/v1/files/" + answer.at("file_id"));
    CHECK(shown.at("description") == "the plan");
    CHECK(shown.at("version") == "v2");
    CHECK(shown.at("tags") == "[\"a\",\"b\"]");
    CHECK(shown.at("metadata") == "{\"n\":1.50}");
    CHECK(shown.at("retention_policy") == "temporary");
    CHECK(shown.at("ttl_days") == "30");
  }
}

TEST_CASE("tags are words with commas, or a list of any") {
  Stand stand;
  const auto tags = [&](const std::string& fields) {
    const Answer answer = stand.ask(Stand::upload_of("x", fields));
    REQUIRE_MESSAGE(answer.status == 201, answer.body);
    return stand.get("/api/v1/files/" + answer.at("file_id")).at("tags");
  };
  CHECK(tags(Stand::field("tags", "a,b") + Stand::field("tags", "c")) == R"(["a","b","c"])");
  CHECK(tags(Stand::field("tags", R"(["New York, NY", "b"])")) == R"(["New York, NY","b"])");
  CHECK(tags(Stand::field("tags", "[draft], x")) == R"(["[draft]","x"])");
}

TEST_CASE("an id of the client's own makes the upload repeatable") {
  Stand stand;
  const std::string id = "0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10";
  const std::string field = Stand::field("file_id", id);
  CHECK(stand.ask(Stand::upload_of("same", field)).at("file_id") == id);
  CHECK(stand.ask(Stand::upload_of("same", field)).status == 201);
  CHECK(stand.ask(Stand::upload_of("other", field)).status == 409);
  CHECK(stand.files_on_disk() == 2);
  const Answer late = stand.ask(Stand::upload_of("x", {}, Stand::field("file_id", id)));
  CHECK(late.status == 422);
  CHECK(late.body.find("in front of the file") != std::string::npos);
}

TEST_CASE("only the ingester's account is believed that an id is new") {
  Stand stand;
  const std::string id = "0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10";
  const std::string fields = Stand::field("file_id", id) + Stand::field("file_id_is_new", "true");
  CHECK(stand.ask(Stand::upload_of("x", fields)).at("file_id") == id);
  Ask person = Stand::upload_of("other", fields);
  person.kind = "admin_user";
  CHECK(stand.ask(std::move(person)).status == 409);
}

TEST_CASE("the ingester's account speaks for its callers, a person does not") {
  Stand stand;
  const std::string fields =
      Stand::field("uploaded_by_id", "u7") + Stand::field("uploaded_by_username", "maria");
  const auto creator = [&](const std::string& kind, const std::string& role) {
    Ask ask = Stand::upload_of("x", fields);
    ask.kind = kind;
    ask.role = role;
    const Answer answer = stand.ask(std::move(ask));
    return stand.get("/api/v1/files/" + answer.at("file_id")).at("created_by_username");
  };
  CHECK(creator("service_account", "operator") == "maria");
  CHECK(creator("service_account", "user") == "admin-service");
  CHECK(creator("admin_user", "admin") == "admin-service");
}

TEST_CASE("an upload that is wrong is refused with what is wrong, and leaves nothing") {
  Stand stand;
  const auto status = [&](Ask ask) {
    const Answer answer = stand.ask(std::move(ask));
    CHECK(answer.body.find("\"detail\"") != std::string::npos);
    return answer.status;
  };
  Ask plain = Stand::upload_of("x");
  plain.headers.set("Content-Type", "application/json");
  CHECK(status(std::move(plain)) == 422);
  Ask none = Stand::upload_of("x");
  none.body = Stand::field("description", "x") + "--B--\r\n";
  const Answer missing = stand.ask(std::move(none));
  CHECK(missing.status == 422);
  CHECK(missing.body ==
        R"({"detail":[{"type":"missing","loc":["body","file"],"msg":"Field required"}]})");
  Ask boundary = Stand::upload_of("x");
  boundary.headers.set("Content-Type", "multipart/form-data");
  CHECK(status(std::move(boundary)) == 400);
  Ask torn = Stand::upload_of(std::string(300'000, 'x'));
  torn.body.resize(250'000);
  CHECK(status(std::move(torn)) == 400);
  CHECK(status(Stand::upload_of("x", Stand::field("file_id", "no-uuid"))) == 400);
  CHECK(status(Stand::upload_of("x", Stand::field("ttl_days", "soon"))) == 422);
  CHECK(status(Stand::upload_of("x", {}, Stand::field("ttl_days", "soon"))) == 422);
  CHECK(status(Stand::upload_of("x", {}, Stand::field("metadata", "[1]"))) == 422);
  CHECK(status(Stand::upload_of("x", Stand::field("metadata", "{\"a\":"))) == 422);
  CHECK(status(Stand::upload_of("x", Stand::field("description", std::string(70'000, 'd')))) ==
        422);
  // More than a sidecar holds, known only behind the bytes.
  CHECK(status(Stand::upload_of("x", {}, Stand::field("description", std::string(5000, 'd')))) ==
        400);
  Ask nul = Stand::upload_of("x");
  nul.body.replace(nul.body.find("plan.txt"), 8, std::string("pl\0n.txt", 8));
  CHECK(status(std::move(nul)) == 400);
  CHECK(stand.files_on_disk() == 0);
  CHECK(stand.get("/api/v1/files").at("total") == "0");
}

TEST_CASE("a client that goes away in the middle of an upload leaves nothing") {
  Stand stand;
  for (const Errc code : {Errc::cancelled, Errc::timed_out}) {
    Ask ask = Stand::upload_of(std::string(300'000, 'x'));
    ask.body.resize(200'000);
    ask.piece = 1000;
    ask.cut = Error{code, "body: gone"};
    CHECK(stand.ask(std::move(ask)).status >= 400);
  }
  CHECK(stand.files_on_disk() == 0);
  CHECK(stand.get("/api/v1/files").at("total") == "0");
}

TEST_CASE("a name that would leave its folder stays inside, and keeps its spelling") {
  Stand stand;
  Ask ask = Stand::upload_of("x");
  ask.body.replace(ask.body.find("plan.txt"), 8, "../../etc/passwd");
  const Answer answer = stand.ask(std::move(ask));
  CHECK(answer.status == 201);
  CHECK(answer.at("original_filename") == "../../etc/passwd");
  CHECK(answer.at("storage_filename").find('/') == std::string::npos);
  CHECK(stand.files_on_disk() == 2);
}

TEST_CASE("a file without bytes is a file") {
  Stand stand;
  const std::string id = stand.upload("");
  CHECK(stand.get("/api/v1/files/" + id).at("file_size") == "0");
  const Answer loaded = stand.get("/api/v1/files/" + id + "/download");
  CHECK(loaded.status == 200);
  CHECK(loaded.body.empty());
}

TEST_CASE("what is too large is 413, what has no room is 507") {
  ElementSettings settings;
  settings.upload_most = 1000;
  settings.capacity_bytes = 1500;
  Stand stand(settings);
  CHECK(stand.ask(Stand::upload_of(std::string(1001, 'x'))).status == 413);
  CHECK(stand.ask(Stand::upload_of(std::string(2'000'000, 'x'))).status == 413);
  CHECK(stand.ask(Stand::upload_of(std::string(1000, 'x'))).status == 201);
  CHECK(stand.ask(Stand::upload_of(std::string(1000, 'y'))).status == 507);
  CHECK(stand.ask(Stand::upload_of(std::string(500, 'y'))).status == 201);
  CHECK(stand.files_on_disk() == 4);
  CHECK(stand.get("/api/v1/capacity").at("capacity.used") == "1500");
  CHECK(stand.get("/api/v1/capacity").at("capacity.total") == "1500");
  CHECK(stand.get("/api/v1/capacity").at("capacity.available") == "0");
}

TEST_CASE("a download may be a range, or nothing new") {
  Stand stand;
  const std::string target = "/api/v1/files/" + stand.upload("0123456789") + "/download";
  const auto with = [&](const std::string& name, const std::string& value) {
    return stand.ask({.target = target, .headers = {{name, value}}});
  };
  const Answer part = with("Range", "bytes=2-4");
  CHECK(part.status == 206);
  CHECK(part.body == "234");
  CHECK(part.header("Content-Range") == "bytes 2-4/10");
  CHECK(with("Range", "bytes=-3").body == "789");
  const Answer several = with("Range", "bytes=0-1,4-5");  // a server may send the whole instead
  CHECK(several.status == 200);
  CHECK(several.body == "0123456789");
  CHECK(several.header("Content-Range") == "none");
  const Answer beyond = with("Range", "bytes=10-");
  CHECK(beyond.status == 416);
  CHECK(beyond.header("Content-Range") == "bytes */10");
  const Answer head = stand.ask({.method = http::Method::head,
                                 .target = target,
                                 .headers = {{"Range", "bytes=10-"}}});  // which is for GET alone
  CHECK(head.status == 200);
  CHECK(head.header("Content-Range") == "none");
  const std::string etag = stand.get(target).header("ETag");
  const Answer same = with("If-None-Match", etag);
  CHECK(same.status == 304);
  CHECK(same.body.empty());
  CHECK(same.header("ETag") == etag);
  CHECK(with("If-None-Match", "\"x\"").status == 200);
  CHECK(with("If-Match", "\"x\"").status == 412);
}

TEST_CASE("PATCH changes what it names and keeps the rest") {
  Stand stand;
  const Answer made = stand.ask(Stand::upload_of("x", Stand::field("description", "old")));
  const std::string target = "/api/v1/files/" + made.at("file_id");
  const Answer changed =
      stand.patch(target, R"({"version":"2","metadata":{"n":1e3},"tags":["t"]})");
  CHECK(changed.status == 200);
  CHECK(changed.at("version") == "2");
  CHECK(changed.at("description") == "old");
  CHECK(changed.at("metadata") == "{\"n\":1e3}");
  CHECK(changed.at("cache_expired") == "false");
  CHECK(stand.patch(target, R"({"description":null})").at("description") == "null");
  CHECK(stand.get(target).at("tags") == "[\"t\"]");
  CHECK(stand.patch(target, "{\"description\":7}").status == 422);
  CHECK(stand.patch(target, "{\"metadata\":\"x\"}").status == 422);
  CHECK(stand.patch(target, "{").status == 422);
  CHECK(stand.patch(target, "").status == 422);
  CHECK(stand.patch(target, "{\"description\":\"" + std::string(5000, 'd') + "\"}").status == 400);
  CHECK(stand.patch(kUnknown, "{}").status == 404);
  CHECK(stand.get(target).at("version") == "2");
}

TEST_CASE("DELETE takes a file away, with its bytes") {
  Stand stand;
  const std::string target = "/api/v1/files/" + stand.upload("x");
  CHECK(stand.ask({.method = Method::del, .target = target}).status == 204);
  CHECK(stand.get(target).status == 404);
  CHECK(stand.ask({.method = Method::del, .target = target}).status == 404);
  CHECK(stand.files_on_disk() == 0);
}

TEST_CASE("unknown ids are 404, what is no id is 422") {
  Stand stand;
  const Answer unknown = stand.get(kUnknown);
  CHECK(unknown.status == 404);
  CHECK(unknown.body == R"({"detail":"File 0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10 not found"})");
  CHECK(stand.get(kUnknown + "/download").status == 404);
  for (const std::string id : {"1", "0d1c1f5e", "0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a1g"}) {
    CHECK(stand.get("/api/v1/files/" + id).status == 422);
    CHECK(stand.get("/api/v1/files/" + id + "/download").status == 422);
    CHECK(stand.patch("/api/v1/files/" + id, "{}").status == 422);
    CHECK(stand.ask({.method = Method::del, .target = "/api/v1/files/" + id}).status == 422);
  }
}

TEST_CASE("modes allow what they allow") {
  Stand stand;
  const std::string target = "/api/v1/files/" + stand.upload("x");
  const auto restart = [&](ElementMode mode) {
    ElementSettings settings;
    settings.mode = mode;
    stand.start(settings);
  };
  restart(ElementMode::rw);
  CHECK(stand.patch(target, R"({"version":"2"})").status == 200);
  const Answer kept = stand.ask({.method = Method::del, .target = target});
  CHECK(kept.status == 400);
  CHECK(kept.at("detail") ==
        "File deletion not allowed in rw mode. Only EDIT mode allows deletion.");
  restart(ElementMode::ro);
  const Answer refused = stand.ask(Stand::upload_of("x"));
  CHECK(refused.status == 400);
  CHECK(refused.at("detail") == "File upload not allowed in ro mode");
  CHECK(stand.patch(target, "{}").status == 400);
  CHECK(stand.get(target + "/download").body == "x");
  CHECK(stand.get("/").at("mode") == "ro");
}

TEST_CASE("lists are read in pages, by skip and by offset") {
  Stand stand;
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    stand.clock.advance(std::chrono::seconds(1));
    ids.push_back(stand.upload("x"));
  }
  const auto first = [&](const std::string& query) {
    const Answer answer = stand.get("/api/v1/files/" + query);
    CHECK(answer.at("total") == "5");
    const std::string files = answer.at("files");
    const std::size_t at = files.find("\"file_id\":\"");
    return at == std::string::npos ? "" : files.substr(at + 11, 36);
  };
  CHECK(first("") == ids[4]);
  CHECK(first("?page=2&page_size=2") == ids[2]);
  CHECK(first("?page=1&page_size=50") == ids[4]);
  CHECK(first("?skip=1&limit=2") == ids[3]);
  CHECK(first("?limit=2&offset=4") == ids[0]);
  CHECK(first("?skip=100") == "");
  CHECK(first("?page=99999999999999&page_size=1000") == "");
  const Answer offset = stand.get("/api/v1/files?offset=3&limit=1");
  CHECK(offset.at("items") == offset.at("files"));
  CHECK(offset.at("has_more") == "true");
  CHECK(stand.get("/api/v1/files?offset=4").at("has_more") == "false");
  CHECK(offset.body.find("\"cache_expired\":false") != std::string::npos);
  CHECK(stand.get("/api/v1/files?limit=100000").at("limit") == "1000");
  for (const char* query : {"page=0", "page=x", "page_size=0", "limit=-1", "limit=", "skip=1.5",
                            "offset=-1", "min_size=a", "created_from=yesterday"})
    CHECK(stand.get(std::string("/api/v1/files?") + query).status == 422);
}

TEST_CASE("search finds words, beginnings and ids") {
  Stand stand;
  const Answer made =
      stand.ask(Stand::upload_of("x", Stand::field("description", "quarterly report")));
  const std::string id = made.at("file_id");
  stand.upload("y");
  const auto total = [&](const std::string& query) {
    return stand.get("/api/v1/files/search?" + query).at("total");
  };
  CHECK(total("query=reports") == "1");
  CHECK(total("q=quart&mode=prefix") == "1");
  CHECK(total("query=" + id) == "1");
  CHECK(total("query=plan") == "2");
  CHECK(total("query=absent") == "0");
  CHECK(stand.get("/api/v1/files/search").status == 422);
  CHECK(stand.get("/api/v1/files/search?query=x&mode=fuzzy").status == 422);
}

TEST_CASE("the garbage collector removes in every mode, any number of times") {
  ElementSettings settings;
  settings.mode = ElementMode::rw;
  Stand stand(settings);
  const std::string id = stand.upload("x");
  CHECK(stand.get("/api/v1/gc/" + id + "/exists").at("exists") == "true");
  const auto collect = [&](Ask ask) {
    ask.method = Method::del;
    ask.target = "/api/v1/gc/" + id;
    return stand.ask(std::move(ask));
  };
  CHECK(collect({.role = "user"}).status == 403);
  CHECK(collect({.kind = "admin_user"}).at("detail") ==
        "Service account access required. Only service accounts can perform GC operations.");
  CHECK(collect({.body = "{\"reason\":7}"}).status == 422);
  const Answer done = collect({.body = "{\"reason\":\"expired\"}"});
  CHECK(done.status == 200);
  CHECK(done.at("status") == "deleted");
  CHECK(done.at("reason") == "expired");
  CHECK(collect({}).at("status") == "already_deleted");
  CHECK(stand.get("/api/v1/gc/" + id + "/exists").at("exists") == "false");
  CHECK(stand.files_on_disk() == 0);
}

TEST_CASE("the element tells what it is without a token") {
  ElementSettings settings;
  settings.capacity_bytes = 1000;
  Stand stand(settings);
  stand.upload("12345");
  const Answer info = stand.ask({.target = "/api/v1/info", .role = ""});
  CHECK(info.status == 200);
  CHECK(info.at("element_id") == "se-01");
  CHECK(info.at("mode") == "edit");
  CHECK(info.at("capacity_bytes") == "1000");
  CHECK(info.at("used_bytes") == "5");
  CHECK(info.at("file_count") == "1");
  CHECK(info.at("status") == "operational");
  CHECK(stand.ask({.target = "/", .role = ""}).at("service") == "storage-element");
  CHECK(stand.ask({.target = "/api/v1/capacity", .role = ""}).at("capacity.percent_used") == "0.5");
}

TEST_CASE("percent in use counts what others have on the disk, bytes in use those of the files") {
  Stand stand;
  stand.upload("12345");
  const auto disk = auth::must(stand.storage->capacity({}));
  const Answer capacity = stand.ask({.target = "/api/v1/capacity", .role = ""});
  const auto number = [&](const char* name) {
    return std::stod(capacity.at(std::string("capacity.") + name));
  };
  CHECK(number("total") == static_cast<double>(disk.total_bytes));
  CHECK(number("used") + number("available") == number("total"));
  CHECK(number("percent_used") ==
        doctest::Approx(100 * number("used") / number("total")).epsilon(0.01));
  CHECK(stand.ask({.target = "/api/v1/info", .role = ""}).at("used_bytes") == "5");
  const Element::Room room{.total = 1000, .used = 5, .available = 200};
  CHECK(room.percent_used() == 80);
}

TEST_CASE("a change of nothing that is known changes nothing") {
  Stand stand;
  const std::string target = "/api/v1/files/" + stand.upload("12345");
  const Answer before = stand.get(target);
  for (const char* body : {"{}", R"({"descripton":"x"})", R"({"metadata":null})"}) {
    const Answer after = stand.patch(target, body);
    CHECK(after.status == 200);
    CHECK(after.at("updated_at") == before.at("updated_at"));
    CHECK(after.header("X-Artcache-Position") == before.header("X-Artcache-Position"));
  }
  CHECK(stand.patch("/api/v1/files/0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10", "{}").status == 404);
  CHECK(stand.patch(target, R"({"description":"x"})").header("X-Artcache-Position") !=
        before.header("X-Artcache-Position"));
}

TEST_CASE("a mode changes along its ways, and is kept") {
  ElementSettings settings;
  settings.mode = ElementMode::rw;
  Stand stand(settings);
  const auto to = [&](const std::string& mode, const std::string& more = {}) {
    return stand.post("/api/v1/mode/transition", R"({"target_mode":")" + mode + "\"" + more + "}");
  };
  CHECK(to("edit").status == 409);
  CHECK(to("ar").status == 409);
  CHECK(to("weekend").status == 422);
  CHECK(stand.post("/api/v1/mode/transition", "{}").status == 422);
  CHECK(stand
            .ask({.method = Method::post,
                  .target = "/api/v1/mode/transition",
                  .body = R"({"target_mode":"ro"})",
                  .role = "operator"})
            .status == 403);
  const Answer done = to("ro", R"(,"reason":"full")");
  CHECK(done.status == 200);
  CHECK(done.at("from_mode") == "rw");
  CHECK(done.at("current_mode_info.can_upload") == "false");
  CHECK(stand.ask(Stand::upload_of("x")).status == 400);
  CHECK(to("rw").status == 409);
  CHECK(to("rw", R"(,"confirm":true)").status == 200);
  CHECK(stand.ask(Stand::upload_of("x")).status == 201);
  CHECK(to("ro").status == 200);
  stand.start(settings);
  CHECK(stand.get("/api/v1/mode/info").at("mode") == "ro");
  settings.mode = ElementMode::edit;  // told otherwise since
  stand.start(settings);
  CHECK(stand.get("/api/v1/mode/info").at("mode") == "edit");
}

TEST_CASE("of two changes of the mode at once one is refused, and the other one is kept") {
  ElementSettings settings;
  settings.mode = ElementMode::ro;
  Stand stand(settings);
  test::FaultyIndex index(*stand.index);
  const ElementParts parts{.storage = stand.storage.get(),
                           .index = &index,
                           .locks = stand.locks.get(),
                           .claims = stand.locks.get(),
                           .gate = &stand.gate,
                           .deps = {.clock = &stand.clock}};
  Element element(settings, parts);
  REQUIRE(element.start({}));
  std::promise<void> begun, go_on;
  index.before_each_note([&](std::string_view text) {
    if (!text.ends_with(">ar")) return;
    begun.set_value();
    go_on.get_future().wait();
  });
  auto first = std::async(std::launch::async, [&] {
    return element.change_mode(ElementMode::ro, ElementMode::ar, {});
  });
  begun.get_future().wait();
  const auto second = element.change_mode(ElementMode::ro, ElementMode::rw, {});
  go_on.set_value();
  CHECK(first.get());
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::conflict);
  CHECK(element.services()->mode == ElementMode::ar);
  Element again(settings, parts);
  REQUIRE(again.start({}));
  CHECK(again.services()->mode == ElementMode::ar);
}

TEST_CASE("a change of the mode from one that it has no more is refused") {
  ElementSettings settings;
  settings.mode = ElementMode::rw;
  Stand stand(settings);
  REQUIRE(stand.element->change_mode(ElementMode::rw, ElementMode::ro, {}));
  // Who thought that it was still rw has not confirmed a way back.
  const auto late = stand.element->change_mode(ElementMode::rw, ElementMode::rw, {});
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Errc::conflict);
  CHECK(stand.element->services()->mode == ElementMode::ro);
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::element
