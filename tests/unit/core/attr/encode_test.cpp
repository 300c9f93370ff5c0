// SPDX-License-Identifier: Apache-2.0
#include <artcache/content.hpp>
#include <functional>

#include "core/attr/sidecar.hpp"
#include "unit/core/attr/vectors.hpp"

namespace artcache {
namespace {

using test::decoded;

constexpr std::size_t kAnySize = 1 << 20;

FileEntry plain() { return decoded(test::with("", "0")); }

std::string encode_error(const FileEntry& entry, std::size_t size_most = kAnySize) {
  const auto text = attr::encode(entry, size_most);
  if (text) return "";
  CHECK(text.error().code == Errc::invalid_argument);
  return text.error().message;
}

/// One text field with the most characters it may have.
struct TextField {
  std::string name;
  std::size_t most;
  std::function<void(FileEntry&, const std::string&)> set;
};

const TextField kTextFields[] = {
    {"original_filename", 500, [](auto& e, auto& t) { e.original_filename = t; }},
    {"storage_filename", 500, [](auto& e, auto& t) { e.storage_filename = t; }},
    {"storage_path", 1000, [](auto& e, auto& t) { e.storage_path = t.substr(1) + "/"; }},
    {"content_type", 255, [](auto& e, auto& t) { e.content_type = t; }},
    {"created_by_id", 255, [](auto& e, auto& t) { e.created_by_id = t; }},
    {"created_by_username", 255, [](auto& e, auto& t) { e.created_by_username = t; }},
    {"created_by_fullname", 500, [](auto& e, auto& t) { e.created_by_fullname = t; }},
    {"version", 50, [](auto& e, auto& t) { e.version = t; }},
    {"retention_policy", 50, [](auto& e, auto& t) { e.retention_policy = t; }},
    {"tags", 50,
     [](auto& e, auto& t) {
       e.tags = {"a", t};
     }},
};

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (; times > 0; --times) out += text;
  return out;
}

}  // namespace

TEST_SUITE("attr_encode") {
  TEST_CASE("any entry reads back as it was") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    test::RandomEntry random(seed);
    for (int i = 0; i < 3000; ++i) {
      const FileEntry entry = random.next();
      const auto text = attr::encode(entry, kAnySize);
      INFO("seed " << seed << ", entry " << i << ": " << (text ? *text : text.error().message));
      REQUIRE(text.has_value());
      const FileEntry back = decoded(*text);
      REQUIRE(back == entry);
      REQUIRE(content_hash(back) == content_hash(entry));
      REQUIRE(attr::encode(back, kAnySize).value() == *text);
    }
  }

  TEST_CASE("every vector can be written anew with the same content") {
    for (const auto& [name, bytes] : test::vectors()) {
      const std::string shown(name);
      INFO(shown);
      const FileEntry entry = decoded(bytes);
      CHECK(decoded(attr::encode(entry).value()) == entry);
    }
  }

  TEST_CASE("an entry without custom attributes is written as v1, to the byte") {
    CHECK(attr::encode(decoded(test::vector("d1_nulls"))).value() + "\n" ==
          test::vector("d1_nulls"));
  }

  TEST_CASE("an entry with custom attributes is written as v2") {
    FileEntry entry = plain();
    entry.custom_attributes = R"({"k":12345678901234567890123})";
    const std::string text = attr::encode(entry).value();
    CHECK(text.starts_with("{\n  \"schema_version\": \"2.0\",\n"));
    CHECK(text.find(R"("custom_attributes": {"k":12345678901234567890123})") != text.npos);
    entry.custom_attributes.clear();
    CHECK(attr::encode(entry).value().find("schema_version") == std::string::npos);
  }

  TEST_CASE("unknown members are written as they were spelled, in their order") {
    const std::string text = attr::encode(decoded(test::vector("unknown_members"))).value();
    std::size_t at = 0;
    for (const std::string member :
         {R"("x-first": 12345678901234567890123)", R"("x-huge": 1e400)",
          R"("x-tiny": -0.0000000000000000000000001E-400)",
          R"("twice": {"a":[1,2,{}],"b":"\u0416\n\"\\"})",
          R"("twice": [true,false,null,"\ud83d\ude00"])", R"("": "no name")",
          R"("\u0445-\u043a\u043b\u044e\u0447": null)", R"("compressed": false)"}) {
      INFO(member);
      const std::size_t found = text.find(member, at);
      REQUIRE(found != std::string::npos);
      at = found + 1;
    }
  }

  TEST_CASE("a sidecar of 4096 bytes is written and one of 4097 is not") {
    FileEntry entry = plain();
    entry.description = "";
    entry.description = std::string(4096 - attr::encode(entry).value().size(), 'x');
    CHECK(attr::encode(entry).value().size() == 4096);
    entry.description->push_back('x');
    const auto refused = attr::encode(entry);
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::invalid_argument);
    CHECK(refused.error().message ==
          "sidecar: it would have 4097 bytes and may have 4096; shorten description, metadata or "
          "tags");
    CHECK(attr::encode(entry, 4097).has_value());
  }

  TEST_CASE("every text has a limit in characters, not in bytes") {
    for (const TextField& field : kTextFields) {
      INFO(field.name);
      for (const std::string_view character : {"x", "\xd0\x96"}) {
        const bool path = field.name == "storage_path" || field.name == "storage_filename";
        if (path && character.size() > 1) continue;  // paths are limited in bytes too
        FileEntry entry = plain();
        field.set(entry, repeated(character, field.most));
        CHECK(encode_error(entry) == "");
        field.set(entry, repeated(character, field.most + 1));
        if (path) {
          field.set(entry, repeated(character, field.most + 2));
        }
        CHECK(encode_error(entry) == "sidecar: '" + field.name + "' is longer than " +
                                         std::to_string(field.most) + " characters");
      }
    }
  }

  TEST_CASE("a NUL or what is not UTF-8 is refused in every text") {
    for (const TextField& field : kTextFields) {
      FileEntry entry = plain();
      field.set(entry, std::string("xa\0b", 4));
      CHECK(encode_error(entry) == "sidecar: '" + field.name + "' holds a NUL");
      for (const char* bad : {"x\xff", "x\xed\xa0\x80", "x\xc0\x80", "x\xd0"}) {
        field.set(entry, bad);
        CHECK(encode_error(entry) == "sidecar: '" + field.name + "' is not UTF-8");
      }
    }
  }

  TEST_CASE("what could not be read again is not written") {
    const std::pair<std::string, std::function<void(FileEntry&)>> rows[] = {
        {"'file_size' is too large", [](auto& e) { e.file_size = std::uint64_t{1} << 63; }},
        {"'ttl_days' is negative", [](auto& e) { e.ttl_days = -1; }},
        {"'ttl_days' is too large", [](auto& e) { e.ttl_days = 3'650'001; }},
        {"'tags' are more than 1000", [](auto& e) { e.tags.resize(1001); }},
        {"'created_at' is not between the years 1 and 9999",
         [](auto& e) { e.created_at = Timestamp::max() + std::chrono::microseconds(1); }},
        {"'updated_at' is not between the years 1 and 9999",
         [](auto& e) { e.updated_at = Timestamp::min() - std::chrono::microseconds(1); }},
        {"'retention_expires_at' is not between the years 1 and 9999",
         [](auto& e) { e.retention_expires_at = Timestamp(std::chrono::microseconds::max()); }},
        {"'storage_filename' is not the name of a file", [](auto& e) { e.storage_filename = ""; }},
        {"'storage_filename' is not the name of a file",
         [](auto& e) { e.storage_filename = "a/b"; }},
        {"leaves its folder", [](auto& e) { e.storage_filename = ".."; }},
        {"leaves its folder", [](auto& e) { e.storage_path = "a/../../"; }},
        {"is absolute", [](auto& e) { e.storage_path = "/etc/"; }},
        {"'storage_path' does not end with a slash", [](auto& e) { e.storage_path = "a"; }},
        {"holds an empty part", [](auto& e) { e.storage_path = "a//"; }},
        {"'metadata' is not a JSON object", [](auto& e) { e.metadata = ""; }},
        {"'metadata' is not a JSON object", [](auto& e) { e.metadata = "[]"; }},
        {"'metadata' is not a JSON object", [](auto& e) { e.metadata = "{}}"; }},
        {"'metadata' is not a JSON object", [](auto& e) { e.metadata = R"({},"x":{})"; }},
        {"'metadata' is not a JSON object", [](auto& e) { e.metadata = "{\"a\":\"\xff\"}"; }},
        {"'metadata' is not a JSON object",
         [](auto& e) { e.metadata = "{\"a\":" + repeated("[", 99) + repeated("]", 99) + "}"; }},
        {"'metadata' holds white space", [](auto& e) { e.metadata = R"({"a": 1})"; }},
        {"'custom_attributes' is not a JSON object", [](auto& e) { e.custom_attributes = "null"; }},
        {"'custom_attributes' is empty or holds white space",
         [](auto& e) { e.custom_attributes = "{}"; }},
    };
    for (const auto& [why, spoil] : rows) {
      FileEntry entry = plain();
      spoil(entry);
      const std::string shown = why + " / " + encode_error(entry);
      INFO(shown);
      CHECK(encode_error(entry).ends_with(why));
    }
  }

  TEST_CASE("unknown members that would be read as something else are refused") {
    for (const std::string members :
         {R"("file_size":5)", R"("updated_at":null)", R"("ttl_days":5)", R"("expires_at":null)",
          R"("ttl_expires_at":"2026-01-01T00:00:00Z")", R"("retention_days":3)",
          R"("schema_version":"1.0")", R"("a": 1)", R"("a":1,)", R"("a":1}{"b":2)", R"(a:1)",
          R"("a")", "x", R"("tags":["a"])"}) {
      FileEntry entry = plain();
      entry.unknown_members = members;
      INFO(members);
      CHECK(encode_error(entry).starts_with("sidecar: the entry would not read back: "));
    }
    FileEntry entry = plain();
    entry.unknown_members = R"("mime_type":"loses","size":5,"sha256":"x")";
    CHECK(encode_error(entry) == "");
    entry.ttl_days = 4;
    entry.unknown_members = R"("retention_days":3)";
    CHECK(encode_error(entry) == "");
  }
}

}  // namespace artcache
