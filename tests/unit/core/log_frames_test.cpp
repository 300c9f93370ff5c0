// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <artcache/log_frames.hpp>

namespace artcache::frames {
namespace {

const Position kPosition{.epoch = 0xfedcba9876543210, .seq = 77, .digest = Digest(3, ~0ULL)};

Frame only_frame(Reader& reader, const std::string& text) {
  reader.add(text);
  const auto frame = reader.next();
  REQUIRE(frame);
  REQUIRE(*frame);
  return **frame;
}

TEST_SUITE("log frames") {
  TEST_CASE("what is written is read back") {
    IndexHead head;
    head.position = kPosition;
    head.count = 5, head.bytes = 1ULL << 40, head.oldest_seq = 9;
    head.suspect_reason = "why";
    LogRow row{.position = kPosition,
               .kind = LogRow::Kind::remove,
               .record = {.key = std::string(255, 'k'), .hash = {{1, 2, 3}}, .payload = "p\0q"},
               .committed_at = Timestamp(std::chrono::microseconds(-5))};
    std::string text;
    append_head(text, head);
    append_row(text, row);
    append_end(text, kPosition);
    Reader reader;
    std::vector<Kind> kinds;
    // One byte at a time, as a network may bring them.
    for (const char c : text) {
      reader.add({&c, 1});
      const auto frame = reader.next();
      REQUIRE(frame);
      if (!*frame) continue;
      kinds.push_back((*frame)->kind);
      if ((*frame)->kind == Kind::head) {
        const auto read = parse_head((*frame)->body);
        REQUIRE(read);
        CHECK(read->position == kPosition);
        CHECK(read->bytes == head.bytes);
        CHECK(read->suspect_reason == "why");
      } else if ((*frame)->kind == Kind::row) {
        const auto read = parse_row((*frame)->body);
        REQUIRE(read);
        CHECK(read->kind == row.kind);
        CHECK(read->record.key == row.record.key);
        CHECK(read->record.hash == row.record.hash);
        CHECK(read->record.payload == row.record.payload);
        CHECK(read->committed_at == row.committed_at);
      } else {
        CHECK(parse_end((*frame)->body).value() == kPosition);
      }
    }
    CHECK(kinds == std::vector{Kind::head, Kind::row, Kind::end});
    CHECK_FALSE(reader.inside());
  }

  TEST_CASE("keys and digests of buckets are read back") {
    const std::vector<KeyHash> keys{{"a", {{1}}}, {"", {{2}}}};
    std::string text;
    append_keys(text, keys);
    Reader reader;
    const auto read = parse_keys(only_frame(reader, text).body);
    REQUIRE(read);
    REQUIRE(read->size() == 2);
    CHECK((*read)[0].key == "a");
    CHECK((*read)[1].hash == keys[1].hash);
    const std::vector<BucketDigest> digests{{Digest(1, 2), 3}, {Digest(4, 5), 6}};
    text.clear();
    append_digests(text, kPosition, digests);
    const auto both = parse_digests(only_frame(reader, text).body);
    REQUIRE(both);
    CHECK(both->first == kPosition);
    CHECK(both->second[1].digest == digests[1].digest);
    CHECK(both->second[1].count == 6);
    CHECK(parse_buckets(buckets_text(std::vector<std::uint32_t>{0, 65535})).value() ==
          std::vector<std::uint32_t>{0, 65535});
    const std::vector<std::string> names{"one", "two"};
    CHECK(parse_key_list(key_list(names)).value() == names);
  }

  TEST_CASE(
      "a body that is cut anywhere is corrupt, and a frame that is too long is not waited for") {
    std::string text;
    LogRow row;
    row.record.key = "key";
    append_row(text, row);
    const std::string_view body = std::string_view(text).substr(5);
    for (std::size_t size = 0; size < body.size(); ++size)
      CHECK_FALSE(parse_row(body.substr(0, size)));
    CHECK(parse_row(body));
    for (const char* bad : {"", "\1", "\5abc"}) {
      CHECK_FALSE(parse_head(bad));
      CHECK_FALSE(parse_record(bad));
      CHECK_FALSE(parse_digests(bad));
    }
    CHECK_FALSE(parse_end(std::string(33, 'x')));
    CHECK_FALSE(parse_key_list("\5abc"));
    CHECK_FALSE(parse_buckets("abc"));
    Reader reader;
    reader.add("W\xff\xff\xff\xff");
    CHECK_FALSE(reader.next());
  }
}

}  // namespace
}  // namespace artcache::frames
