// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "roles/ingester/finalize_edits.hpp"

namespace artcache::ingester {
namespace {

const std::string kCopy =
    R"({"description":"old","version":"1","tags":["a"],"metadata":{"k":1},)"
    R"("custom_attributes":null,"updated_at":"2026-03-01T10:00:00.000000+00:00"})";

TEST_SUITE_BEGIN("ingester");

TEST_CASE("A copy that says what its source says is told nothing") {
  CHECK_FALSE(edits_for_copy({}, kCopy, kCopy));
}

TEST_CASE("What was changed at the source is told, and nothing else") {
  const std::string source =
      R"({"description":"new","version":"1","tags":["a","b"],"metadata":{"k":2},)"
      R"("custom_attributes":{"x":"y"},"retention_policy":"temporary"})";
  CHECK(edits_for_copy({}, source, kCopy) ==
        R"({"description":"new","metadata":{"k":2},"custom_attributes":{"x":"y"},)"
        R"("tags":["a","b"]})");
}

TEST_CASE("What the finalize itself has set stays") {
  Finalize job;
  job.description = "old";
  job.metadata = R"({"k":1})";
  CHECK_FALSE(edits_for_copy(
      job, R"({"description":"draft","version":"1","tags":["a"],"metadata":{}})", kCopy));
}

TEST_CASE("What the source does not say is not taken away") {
  CHECK_FALSE(edits_for_copy({}, R"({"description":null,"version":"1"})", kCopy));
}

TEST_CASE("Only a later change of the source counts as one behind the copy") {
  CHECK(edited_since(R"({"updated_at":"2026-03-01T10:00:00.000001+00:00"})", kCopy));
  CHECK_FALSE(edited_since(kCopy, kCopy));
  CHECK_FALSE(edited_since(R"({"updated_at":"2026-02-01T10:00:00.000000+00:00"})", kCopy));
  CHECK_FALSE(edited_since("{}", kCopy));
  CHECK_FALSE(edited_since(R"({"updated_at":"soon"})", kCopy));
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::ingester
