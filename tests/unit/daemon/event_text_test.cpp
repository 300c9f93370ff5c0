// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "roles/element/redis_events.hpp"
#include "support/sample_entry.hpp"
#include "util/json_scan.hpp"

namespace artcache::element {
namespace {

Event event_of(EventKind kind) {
  Event event{.kind = kind,
              .position = {.epoch = 0x4f1c, .seq = 42, .digest = {}},
              .at = Timestamp(std::chrono::seconds(1772446272)),
              .key = to_string(test::sample_id(1))};
  if (kind == EventKind::created || kind == EventKind::updated) event.entry = test::sample_entry(1);
  return event;
}

bool is_json(std::string_view text) {
  util::JsonScanner scanner(text);
  util::JsonValue key, value;
  if (!scanner.enter_object()) return false;
  while (scanner.next_member(key, value)) {
  }
  return !scanner.failed();
}

TEST_SUITE("event texts") {
  TEST_CASE("a deletion says what, where and when, and has no metadata") {
    CHECK(event_message(event_of(EventKind::deleted), "se-01") ==
          R"({"event_type":"file:deleted","timestamp":"2026-03-02T10:11:12.000000Z",)"
          R"("file_id":")" +
              to_string(test::sample_id(1)) +
              R"(","storage_element_id":"se-01","epoch":"0000000000004f1c","seq":42,)"
              R"("deleted_at":"2026-03-02T10:11:12.000000Z"})");
  }

  TEST_CASE("a reset says why and names no file") {
    Event event = event_of(EventKind::reset);
    event.reason = "trimmed";
    const std::string text = event_message(event, "se-01");
    CHECK(text.find("\"reason\":\"trimmed\"") != std::string::npos);
    CHECK(text.find("file_id") == std::string::npos);
  }

  TEST_CASE("the fields of the stream are those of the original, and the place in the log") {
    std::string names;
    for (const auto& [name, value] : event_fields(event_of(EventKind::created), "se-01")) {
      names += name + " ";
      CHECK_FALSE(value.empty());
      if (name == "metadata") CHECK(is_json(value));
    }
    CHECK(names == "event_type timestamp file_id storage_element_id epoch seq metadata ");
    names.clear();
    for (const auto& [name, value] : event_fields(event_of(EventKind::deleted), "se-01"))
      names += name + " ";
    CHECK(names == "event_type timestamp file_id storage_element_id epoch seq deleted_at ");
  }

  TEST_CASE("the metadata of a channel is one object with a named sum") {
    const std::string text = event_message(event_of(EventKind::updated), "se-01");
    CHECK_MESSAGE(is_json(text), text);
    CHECK(text.find("\"checksum\":\"sha256:" + to_string(test::sample_entry(1).checksum)) !=
          std::string::npos);
    CHECK(text.find("\"mime_type\":\"") != std::string::npos);
  }
}

}  // namespace
}  // namespace artcache::element
