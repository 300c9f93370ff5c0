// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "roles/ingester/finalize_edits.hpp"

namespace artcache::ingester {
namespace {

Editable read(std::string json) {
  JsonObject said(std::move(json));
  return read_editable(said);
}

const Editable kCopy =
    read(R"({"description":"old","version":"1","tags":["a"],"metadata":{"k":1},)"
         R"("custom_attributes":null,"updated_at":"2026-03-01T10:00:00.000000+00:00"})");

/// A finalize whose copy was told when both said this.
Finalize based(const Editable& base) { return {.base = base}; }

TEST_SUITE_BEGIN("ingester");

TEST_CASE("A copy that says what its source says is told nothing") {
  CHECK_FALSE(edits_when_made({}, kCopy, kCopy).patch);
  CHECK_FALSE(edits_since_base({}, kCopy, kCopy).patch);
  CHECK(edits_since_base({}, kCopy, kCopy).conflicts.empty());
}

TEST_CASE("What was changed at the source is told, and nothing else") {
  const Editable source =
      read(R"({"description":"new","version":"1","tags":["a","b"],"metadata":{"k":2},)"
           R"("custom_attributes":{"x":"y"},"retention_policy":"temporary"})");
  const std::string told =
      R"({"description":"new","metadata":{"k":2},"custom_attributes":{"x":"y"},)"
      R"("tags":["a","b"]})";
  CHECK(edits_when_made({}, source, kCopy).patch == told);
  CHECK(edits_since_base(based(kCopy), source, kCopy).patch == told);
}

TEST_CASE("What the finalize itself has set stays") {
  Finalize job = based(read(R"({"description":"draft","tags":["a"],"version":"1"})"));
  job.description = "old";
  job.metadata = R"({"k":1})";
  const Editable source =
      read(R"({"description":"later","version":"1","tags":["a"],"metadata":{}})");
  CHECK_FALSE(edits_when_made(job, source, kCopy).patch);
  CHECK_FALSE(edits_since_base(job, source, kCopy).patch);
  CHECK(edits_since_base(job, source, kCopy).conflicts.empty());
}

TEST_CASE("What was taken away at the source is taken away at the copy") {
  const Editable source = read(R"({"description":null,"version":"1","tags":[],"metadata":{}})");
  const std::string told = R"({"description":null,"metadata":{},"tags":[]})";
  CHECK(edits_when_made({}, source, kCopy).patch == told);
  CHECK(edits_since_base(based(kCopy), source, kCopy).patch == told);
}

TEST_CASE("Nothing, an empty text and an empty object are the same") {
  const Editable empty = read(R"({"description":"","metadata":{},"tags":[]})");
  CHECK_FALSE(edits_when_made({}, empty, {}).patch);
  CHECK_FALSE(edits_when_made({}, {}, empty).patch);
}

TEST_CASE("An edit at the source is told beside one of another field at the copy") {
  Editable source = kCopy, copy = kCopy;
  source.description = "new";
  copy.version = "2";
  const CopyEdits edits = edits_since_base(based(kCopy), source, copy);
  CHECK(edits.patch == R"({"description":"new"})");
  CHECK(edits.conflicts.empty());
}

TEST_CASE("Where both were edited the copy stays, and both are named") {
  Editable source = kCopy, copy = kCopy;
  source.description = "from the source";
  source.version = "2";
  copy.description = "from the copy";
  const CopyEdits edits = edits_since_base(based(kCopy), source, copy);
  CHECK(edits.patch == R"({"version":"2"})");
  CHECK(edits.conflicts ==
        std::vector<EditConflict>{{"description", R"("from the source")", R"("from the copy")"}});
}

TEST_CASE("The same edit at both is none") {
  Editable both = kCopy;
  both.tags = {"b"};
  const CopyEdits edits = edits_since_base(based(kCopy), both, both);
  CHECK_FALSE(edits.patch);
  CHECK(edits.conflicts.empty());
}

TEST_CASE("Without a base whatever differs may have been edited at both") {
  Editable source = kCopy;
  source.version = "2";
  const CopyEdits edits = edits_since_base({}, source, kCopy);
  CHECK_FALSE(edits.patch);
  CHECK(edits.conflicts == std::vector<EditConflict>{{"version", R"("2")", R"("1")"}});
}

TEST_CASE("What may be edited outlives being written down") {
  const Editable odd{.description = "a \"b\"\n", .tags = std::vector<std::string>{"x", "я"}};
  CHECK(read(to_json(odd)) == odd);
  CHECK(read(to_json(kCopy)) == kCopy);
  CHECK(read(to_json({})) == Editable());
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::ingester
