// SPDX-License-Identifier: Apache-2.0
// Reads of one element: what is told at once, and how old it may be.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <utility>

#include "element_stand.hpp"
#include "support/faulty_index.hpp"

namespace artcache::element {
namespace {

TEST_SUITE_BEGIN("element reads");

TEST_CASE("what the index has is told at once, and all that may take longer is left to a worker") {
  Stand stand({.embedded = true});
  const std::string file = "/api/v1/files/" + stand.upload("hello");
  const Answer at_once = stand.get(file);
  CHECK(at_once.status == 200);
  CHECK_FALSE(at_once.waited);
  const Answer bound = stand.get(file + "?max_staleness=5");
  CHECK(bound.waited);
  CHECK(bound.body == at_once.body);
  CHECK(bound.header("X-Artcache-Position") == at_once.header("X-Artcache-Position"));
  // It is looked for in the storage, which may be slow.
  EntryChange change;
  change.kind = EntryChange::Kind::remove;
  change.id = auth::must(FileId::parse(at_once.at("file_id")));
  auth::must(stand.index->apply({.changes = {&change, 1}}, {}));
  const Answer found = stand.get(file);
  CHECK(found.waited);
  CHECK(found.status == 200);
}

TEST_CASE("[G12] with verify=1 an answer with changed bytes breaks off before its end") {
  Stand stand;
  const std::string file = "/api/v1/files/" + stand.upload("hello");
  const std::string path = stand.get(file).at("storage_path"),
                    name = stand.get(file).at("storage_filename");
  CHECK(stand.get(file + "/download?verify=1").body == "hello");
  auth::must(stand.storage->put({.path = path + name}, "hallo", {}));
  CHECK(stand.get(file + "/download").body == "hallo");
  const Answer broken = stand.get(file + "/download?verify=true");
  CHECK(broken.body.starts_with("<corrupt: "));
  CHECK(stand.get(file + "/download?verify=perhaps").status == 422);
  Ask part{.target = file + "/download?verify=1"};
  part.headers.add("Range", "bytes=1-2");
  const Answer refused = stand.ask(std::move(part));
  CHECK(refused.status == 422);
  CHECK(refused.body.find("Only a whole file can be verified") != std::string::npos);
}

TEST_CASE("who would have to wait for the position leaves the whole answer to a worker") {
  std::unique_ptr<MetadataStore> real;
  Stand stand;
  const std::string file = "/api/v1/files/" + stand.upload("hello");
  stand.element.reset();
  real = std::exchange(stand.index, nullptr);
  auto slow = std::make_unique<test::FaultyIndex>(*real);
  slow->before_each_head([&] { stand.clock.advance(std::chrono::seconds(1)); });
  stand.index = std::move(slow);
  stand.start({.embedded = true});
  const Answer answer = stand.get(file);
  CHECK(answer.waited);
  CHECK(answer.status == 200);
  CHECK(answer.header("X-Artcache-Position") != "none");
}

TEST_CASE("answers tell a position, and a read that names one never shows less") {
  Stand stand;
  const auto position_of = [](const Answer& answer) {
    return answer.header("X-Artcache-Position");
  };
  const auto now = [&] { return to_string(auth::must(stand.index->head({})).position); };
  const Answer uploaded = stand.ask(Stand::upload_of("x"));
  CHECK(position_of(uploaded) == now());
  const std::string file = "/api/v1/files/" + uploaded.at("file_id");
  const std::string bound = "?min_position=" + now() + "&max_staleness=0";
  const Answer patched = stand.patch(file, R"({"description":"new"})");
  CHECK(position_of(patched) == now());
  for (const std::string& target : {file, file + "/download", std::string("/api/v1/files"),
                                    std::string("/api/v1/files/search")}) {
    CAPTURE(target);
    const std::string words = target.ends_with("search") ? "&query=plan" : "";
    const Answer shown = stand.get(target + bound + words);
    CHECK(shown.status == 200);
    CHECK(position_of(shown) == now());
    Position other = auth::must(stand.index->head({})).position;
    other.seq += 1;
    const Answer refused = stand.get(target + "?min_position=" + to_string(other) + words);
    CHECK(refused.status == 410);
    CHECK(position_of(refused) == "none");
    CHECK(stand.get(target + "?min_position=1/2" + words).status == 422);
    CHECK(stand.get(target + "?max_staleness=-1" + words).status == 422);
    CHECK(stand.get(target + "?max_staleness=soon" + words).status == 422);
  }
  auth::must(stand.index->set_suspect("emptied by hand", 0, {}));
  CHECK(stand.get(file).status == 200);
  const Answer refused = stand.get(file + "?max_staleness=3600");
  CHECK(refused.status == 503);
  CHECK(refused.header("Retry-After") != "none");
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::element
