// SPDX-License-Identifier: Apache-2.0
// docs/formats/content.md says what is tested here; content_check.py follows it independently.
#include <algorithm>
#include <artcache/content.hpp>
#include <functional>
#include <set>

#include "core/attr/sidecar.hpp"
#include "unit/core/attr/vectors.hpp"
#include "util/hash.hpp"

namespace artcache {
namespace {

using test::decoded;

std::string hash_of(const FileEntry& entry) { return to_string(content_hash(entry)); }

/// Every field with a value.
FileEntry full() {
  FileEntry entry = decoded(test::vector("unknown_members"));
  entry.created_by_fullname = "F";
  entry.tags = {"a", "b"};
  entry.retention_policy = "temporary";
  entry.ttl_days = 1;
  entry.retention_expires_at = Timestamp(std::chrono::microseconds(5));
  entry.custom_attributes = R"({"c":1})";
  return entry;
}

constexpr auto kTick = std::chrono::microseconds(1);

/// The smallest change of each field, and each way of having it or not.
const std::pair<std::string, std::function<void(FileEntry&)>> kChanges[] = {
    {"file_id", [](auto& e) { e.id = FileId(); }},
    {"original_filename", [](auto& e) { e.original_filename += "x"; }},
    {"storage_filename", [](auto& e) { e.storage_filename += "x"; }},
    {"storage_path", [](auto& e) { e.storage_path = "x/"; }},
    {"no storage_path", [](auto& e) { e.storage_path = ""; }},
    {"file_size", [](auto& e) { ++e.file_size; }},
    {"large file_size", [](auto& e) { e.file_size += std::uint64_t{1} << 56; }},
    {"content_type", [](auto& e) { e.content_type += "x"; }},
    {"created_at", [](auto& e) { e.created_at = e.created_at + kTick; }},
    {"early created_at", [](auto& e) { e.created_at = Timestamp::min(); }},
    {"updated_at", [](auto& e) { e.updated_at = e.updated_at + kTick; }},
    {"created_by_id", [](auto& e) { e.created_by_id += "x"; }},
    {"created_by_username", [](auto& e) { e.created_by_username += "x"; }},
    {"created_by_fullname", [](auto& e) { *e.created_by_fullname += "x"; }},
    {"empty created_by_fullname", [](auto& e) { e.created_by_fullname = ""; }},
    {"no created_by_fullname", [](auto& e) { e.created_by_fullname.reset(); }},
    {"description", [](auto& e) { *e.description += "x"; }},
    {"empty description", [](auto& e) { e.description = ""; }},
    {"no description", [](auto& e) { e.description.reset(); }},
    {"version", [](auto& e) { *e.version += "x"; }},
    {"empty version", [](auto& e) { e.version = ""; }},
    {"no version", [](auto& e) { e.version.reset(); }},
    {"checksum", [](auto& e) { e.checksum.bytes[31] ^= 1; }},
    {"tag", [](auto& e) { e.tags[1] += "x"; }},
    {"order of tags", [](auto& e) { std::swap(e.tags[0], e.tags[1]); }},
    {"joined tags", [](auto& e) { e.tags = {"ab"}; }},
    {"tag twice", [](auto& e) { e.tags.push_back("b"); }},
    {"no tags", [](auto& e) { e.tags.clear(); }},
    {"retention_policy", [](auto& e) { e.retention_policy = "permanent"; }},
    {"no retention_policy", [](auto& e) { e.retention_policy.reset(); }},
    {"ttl_days", [](auto& e) { ++*e.ttl_days; }},
    {"no ttl_days", [](auto& e) { e.ttl_days.reset(); }},
    {"retention_expires_at", [](auto& e) { *e.retention_expires_at = Timestamp(kTick); }},
    {"no retention_expires_at", [](auto& e) { e.retention_expires_at.reset(); }},
    {"metadata", [](auto& e) { e.metadata = R"({"n":1})"; }},
    {"number in metadata", [](auto& e) { e.metadata = R"({"n":1.0})"; }},
    {"no metadata", [](auto& e) { e.metadata = "{}"; }},
    {"custom_attributes", [](auto& e) { e.custom_attributes = R"({"c":2})"; }},
    {"no custom_attributes", [](auto& e) { e.custom_attributes = ""; }},
    {"unknown_members", [](auto& e) { e.unknown_members = R"("c":2)"; }},
    {"no unknown_members", [](auto& e) { e.unknown_members = ""; }},
    {"text moved from one field to the next",
     [](auto& e) {
       e.original_filename += e.storage_filename.substr(0, 1);
       e.storage_filename.erase(0, 1);
     }},
};

}  // namespace

TEST_SUITE("attr_content") {
  TEST_CASE("a change of any one field gives another hash, and each its own") {
    std::set<std::string> hashes{hash_of(full())};
    for (const auto& [what, change] : kChanges) {
      FileEntry entry = full();
      change(entry);
      const std::string shown(what);
      INFO(shown);
      CHECK(hashes.insert(hash_of(entry)).second);
    }
  }

  TEST_CASE("the same content has the same hash in every dialect and layout") {
    CHECK(hash_of(decoded(test::vector("d1_tabs_crlf"))) ==
          hash_of(decoded(test::vector("d1_nulls"))));
    const std::string v1 = hash_of(decoded(test::vector("d2_schema_1")));
    CHECK(hash_of(decoded(test::vector("d2_empty_custom"))) == v1);
    CHECK(hash_of(decoded(test::vector("d2_compact"))) == v1);
    CHECK(hash_of(decoded(test::vector("d2_schema_2"))) != v1);
  }

  TEST_CASE("white space between any two tokens changes nothing") {
    for (const auto& [name, bytes] : test::vectors()) {
      const std::string shown(name);
      INFO(shown);
      const std::string hash = hash_of(decoded(bytes));
      std::string spread;
      bool in_string = false;
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        const char c = bytes[i];
        if (c == '"' && (i == 0 || bytes[i - 1] != '\\' || bytes[i - 2] == '\\'))
          in_string = !in_string;
        const bool mark = !in_string && std::string_view("{}[],:").find(c) != std::string::npos;
        spread += mark ? std::string("\r\n\t ") + c + " \n" : std::string(1, c);
      }
      CHECK(hash_of(decoded(spread)) == hash);
    }
  }

  TEST_CASE("metadata, custom attributes and unknown members keep their spelling in the hash") {
    const auto hash = [](const char* member, const char* json) {
      return hash_of(decoded(test::with(member, json)));
    };
    for (const char* member : {"metadata", "custom_attributes", "x-unknown"}) {
      CHECK(hash(member, R"({"a":1})") == hash(member, "{ \"a\" :\t1 }"));
      CHECK(hash(member, R"({"a":1})") != hash(member, R"({"a":1.0})"));
      CHECK(hash(member, R"({"a":"/"})") != hash(member, R"({"a":"\/"})"));
      CHECK(hash(member, R"({"a":" "})") != hash(member, R"({"a":""})"));
      CHECK(hash(member, R"({"a":1,"b":2})") != hash(member, R"({"b":2,"a":1})"));
    }
  }

  TEST_CASE("the canonical content is the version line and fields with growing numbers") {
    for (const auto& [name, bytes] : test::vectors()) {
      std::string canonical;
      append_content(canonical, decoded(bytes));
      constexpr std::string_view kLine = "artcache entry 1\n";
      REQUIRE(canonical.starts_with(kLine));
      int last = 0;
      std::size_t at = kLine.size();
      while (at < canonical.size()) {
        const int tag = canonical[at];
        REQUIRE((tag > last || (tag == 15 && last == 15)));
        REQUIRE(tag <= 21);  // nothing that only an index knows has a number
        last = tag;
        std::size_t length = 0;
        for (std::size_t i = 4; i > 0; --i)
          length = length << 8 | static_cast<std::uint8_t>(canonical[at + i]);
        at += 5 + length;
      }
      CHECK(at == canonical.size());
    }
  }

  TEST_CASE("the canonical content of a vector is the one that the documentation shows") {
    std::string canonical;
    append_content(canonical, decoded(test::vector("d1_nulls")));
    std::string hex;
    util::append_hex(hex, {reinterpret_cast<const std::uint8_t*>(canonical.data()), 59});
    CHECK(hex ==
          "617274636163686520656e74727920310a"
          "01100000000d1c1f5e6d0a4c8b9a533f8d2b6f7a10"
          "0208000000706c616e2e706466"
          "0348000000706c61");
    CHECK(util::sha256(canonical)[0] == 0x5f);
    CHECK(hash_of(decoded(test::vector("d1_nulls"))) == "5f6b302628aa51ce859009d0d2dace18");
  }

  TEST_CASE("appending the canonical content leaves what stands in front of it") {
    std::string once, twice = "front";
    append_content(once, full());
    append_content(twice, full());
    CHECK(twice == "front" + once);
  }

  TEST_CASE("the hash of a long entry does not spoil that of the next") {
    const std::string hash = hash_of(full());
    FileEntry long_one = full();
    long_one.description = std::string(5'000'000, 'x');
    CHECK(hash_of(long_one) != hash);
    CHECK(hash_of(full()) == hash);
  }
}

}  // namespace artcache
