// SPDX-License-Identifier: Apache-2.0
#include <artcache/content.hpp>
#include <artcache/json_writer.hpp>

#include "core/attr/sidecar.hpp"
#include "unit/core/attr/vectors.hpp"

namespace artcache {
namespace {

using test::decoded;
using test::ExpectedRows;
using test::with;
using test::without;

/// An entry spelled as the rows of the table of expectations.
ExpectedRows rows_of(const FileEntry& entry) {
  ExpectedRows rows;
  const auto text = [&](const char* field, const std::string& value) {
    std::string json;
    append_json_string(json, value);
    rows.emplace_back(field, json);
  };
  const auto text_if = [&](const char* field, const std::optional<std::string>& value) {
    if (value) text(field, *value);
  };
  rows.emplace_back("content_hash", to_string(content_hash(entry)));
  rows.emplace_back("file_id", to_string(entry.id));
  text("original_filename", entry.original_filename);
  text("storage_filename", entry.storage_filename);
  text("storage_path", entry.storage_path);
  rows.emplace_back("file_size", std::to_string(entry.file_size));
  text("content_type", entry.content_type);
  rows.emplace_back("created_at", to_string(entry.created_at));
  rows.emplace_back("updated_at", to_string(entry.updated_at));
  text("created_by_id", entry.created_by_id);
  text("created_by_username", entry.created_by_username);
  text_if("created_by_fullname", entry.created_by_fullname);
  text_if("description", entry.description);
  text_if("version", entry.version);
  rows.emplace_back("checksum", to_string(entry.checksum));
  for (const std::string& tag : entry.tags) text("tag", tag);
  text_if("retention_policy", entry.retention_policy);
  if (entry.ttl_days) rows.emplace_back("ttl_days", std::to_string(*entry.ttl_days));
  if (entry.retention_expires_at)
    rows.emplace_back("retention_expires_at", to_string(*entry.retention_expires_at));
  rows.emplace_back("metadata", entry.metadata);
  if (!entry.custom_attributes.empty())
    rows.emplace_back("custom_attributes", entry.custom_attributes);
  if (!entry.unknown_members.empty()) rows.emplace_back("unknown_members", entry.unknown_members);
  return rows;
}

/// One alias: the member of the plain sidecar that it can stand for, and what it then gives.
struct AliasCase {
  std::string name, stands_for, json, field, value;
};

constexpr const char* kSum =
    R"("1111111111111111111111111111111111111111111111111111111111111111")";
constexpr const char* kSumValue =
    "1111111111111111111111111111111111111111111111111111111111111111";
constexpr const char* kDay = R"("2027-01-01T00:00:00Z")";
constexpr const char* kDayValue = "2027-01-01T00:00:00.000000+00:00";

const AliasCase kAliasCases[] = {
    {"size", "file_size", "99", "file_size", "99"},
    {"mime_type", "content_type", R"("a/b")", "content_type", R"("a/b")"},
    {"uploaded_at", "created_at", kDay, "created_at", kDayValue},
    {"uploaded_by", "created_by_id", R"("up")", "created_by_id", R"("up")"},
    {"uploaded_by", "created_by_username", R"("up")", "created_by_username", R"("up")"},
    {"created_by", "created_by_username", R"("cr")", "created_by_username", R"("cr")"},
    {"uploader_full_name", "created_by_fullname", R"("F N")", "created_by_fullname", R"("F N")"},
    {"sha256", "checksum", kSum, "checksum", kSumValue},
    {"checksum_sha256", "checksum", kSum, "checksum", kSumValue},
    {"sha256_hash", "checksum", kSum, "checksum", kSumValue},
    {"retention_days", "ttl_days", "12", "ttl_days", "12"},
    {"expires_at", "retention_expires_at", kDay, "retention_expires_at", kDayValue},
    {"ttl_expires_at", "retention_expires_at", kDay, "retention_expires_at", kDayValue},
};

std::string row(const FileEntry& entry, const std::string& field) {
  for (const auto& [name, value] : rows_of(entry))
    if (name == field) return value;
  return "(none)";
}

/// Adds a member in front of all others.
std::string add(const std::string& document, const std::string& name, const std::string& json) {
  return "{\"" + name + "\": " + json + "," + document.substr(1);
}

}  // namespace

TEST_SUITE("attr_decode") {
  TEST_CASE("every vector gives the fields and the content hash of the table") {
    REQUIRE(test::vectors().size() == 16);
    for (const auto& [name, bytes] : test::vectors()) {
      const std::string shown(name);
      INFO(shown);
      REQUIRE(test::expected().contains(name));
      const ExpectedRows wanted = test::expected().at(name);
      const ExpectedRows found = rows_of(decoded(bytes));
      REQUIRE(found.size() == wanted.size());
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        CHECK(found[i].first == wanted[i].first);
        CHECK(found[i].second == wanted[i].second);
      }
    }
  }

  TEST_CASE("each other name of a field gives the field when the first name is absent or null") {
    for (const AliasCase& c : kAliasCases) {
      INFO(c.name << " for " << c.stands_for);
      for (const std::string& document : {without(c.stands_for), with(c.stands_for, "null")}) {
        const FileEntry entry = decoded(add(document, c.name, c.json));
        CHECK(row(entry, c.field) == c.value);
        if (c.name != "uploaded_by") CHECK(entry.unknown_members.empty());
      }
    }
  }

  TEST_CASE("the first name wins and the loser stays as an unknown member") {
    for (const AliasCase& c : kAliasCases) {
      INFO(c.name << " against " << c.stands_for);
      std::string document = with("retention_expires_at", R"("2020-02-02T00:00:00Z")");
      document = add(document, "ttl_days", "3");
      const FileEntry plain = decoded(document);
      const FileEntry both = decoded(add(document, c.name, c.json));
      CHECK(row(both, c.field) == row(plain, c.field));
      CHECK(both.unknown_members == "\"" + c.name + "\":" + c.json);
    }
  }

  TEST_CASE("among the other names the order of the table decides, not that of the file") {
    const std::string one =
        add(add(without("checksum"), "sha256_hash", kSum), "sha256",
            R"("2222222222222222222222222222222222222222222222222222222222222222")");
    CHECK(row(decoded(one), "checksum").starts_with("2222"));
    const std::string user = add(add(without("created_by_username"), "created_by", R"("late")"),
                                 "uploaded_by", R"("early")");
    CHECK(decoded(user).created_by_username == "early");
    CHECK(decoded(user).created_by_id == "u-1");
    CHECK(decoded(user).unknown_members == R"("created_by":"late")");
    const std::string end = add(add(with("expires_at", "null"), "ttl_expires_at", kDay),
                                "retention_expires_at", "null");
    CHECK(row(decoded(end), "retention_expires_at") == kDayValue);
    CHECK(decoded(end).unknown_members.empty());
  }

  TEST_CASE("what may be absent has its default, and null is as good as absent") {
    const std::pair<std::string, std::string> defaults[] = {
        {"content_type", R"("application/octet-stream")"},
        {"created_by_id", R"("unknown")"},
        {"created_by_username", R"("unknown")"},
        {"created_by_fullname", "(none)"},
        {"description", "(none)"},
        {"version", "(none)"},
        {"storage_path", R"("")"},
        {"updated_at", "2026-03-02T10:11:12.345678+00:00"},
        {"metadata", "{}"},
        {"tag", "(none)"},
        {"retention_policy", "(none)"},
        {"ttl_days", "(none)"},
        {"retention_expires_at", "(none)"},
        {"custom_attributes", "(none)"},
    };
    for (const auto& [field, value] : defaults) {
      const std::string shown(field);
      INFO(shown);
      const std::string member = field == "tag" ? "tags" : field;
      CHECK(row(decoded(without(member)), field) == value);
      CHECK(row(decoded(with(member, "null")), field) == value);
      CHECK(decoded(with(member, "null")).unknown_members.empty());
    }
  }

  TEST_CASE("the folder is read with and without a slash at its end and with the file's name") {
    for (const std::string path : {"2026/03", "2026/03/", "2026/03//", "2026/03/plan_1.pdf"}) {
      INFO(path);
      const FileEntry entry = decoded(with("storage_path", "\"" + path + "\""));
      CHECK(entry.storage_path == "2026/03/");
      CHECK(entry.data_path() == "2026/03/plan_1.pdf");
    }
    for (const char* path : {R"("")", R"("plan_1.pdf")", "null"})
      CHECK(decoded(with("storage_path", path)).data_path() == "plan_1.pdf");
    CHECK(decoded(with("storage_path", R"("xplan_1.pdf")")).data_path() ==
          "xplan_1.pdf/plan_1.pdf");
  }

  TEST_CASE("without a name of its own the file is what the path ends in") {
    std::string document = without("storage_filename");
    CHECK(decoded(document.replace(document.find("2026/03/02/10/"), 14, "flat.pdf")).data_path() ==
          "flat.pdf");
    document = without("storage_filename");
    const FileEntry entry = decoded(document.replace(document.find("2026/03/02/10/"), 14, "a/b/c"));
    CHECK(entry.storage_path == "a/b/");
    CHECK(entry.storage_filename == "c");
  }

  TEST_CASE("a version is a text or a whole number") {
    CHECK(decoded(with("version", "1")).version == "1");
    CHECK(decoded(with("version", "9223372036854775807")).version == "9223372036854775807");
    CHECK(decoded(with("version", R"("v 1.5")")).version == "v 1.5");
  }

  TEST_CASE("escapes mean what they spell in every text, also where none is needed") {
    const FileEntry plain = decoded(with("description", "\"\xd0\x96 \xf0\x9f\x98\x80/\\n\""));
    CHECK(decoded(with("description", R"("\u0416 \uD83D\uDE00\/\u000a")")) == plain);
    CHECK(decoded(with("file_id", R"("0d1c1f5e\u002d6d0a-4c8b-9a53-3f8d2b6f7a10")")) ==
          decoded(without("")));
    CHECK(decoded(with("created_at", R"("2026-03-02T10:11:12.345678\u002B00:00")")) ==
          decoded(without("")));
    CHECK(decoded(with("schema_version", R"("\u0032.0")")) == decoded(without("")));
  }

  TEST_CASE("the limits of what is read are as wide as they are said to be") {
    CHECK(decoded(with("file_size", "0")).file_size == 0);
    CHECK(decoded(with("file_size", "-0")).file_size == 0);
    CHECK(decoded(with("ttl_days", "3650000")).ttl_days == 3'650'000);
    std::string tags = "[\"t\"";
    for (int i = 1; i < 1000; ++i) tags += ",\"t\"";
    CHECK(decoded(with("tags", tags + "]")).tags.size() == 1000);
    const std::string deep = R"({"a":)" + std::string(98, '[') + std::string(98, ']') + "}";
    CHECK(decoded(with("metadata", deep)).metadata == deep);
  }

  TEST_CASE("ten megabytes are read like ten bytes") {
    const std::string text(10'000'000, 'x');
    CHECK(decoded(with("description", "\"" + text + "\"")).description == text);
    std::string list = "[0";
    for (int i = 0; i < 3'000'000; ++i) list += ", 0";
    const std::string unknown = decoded(with("x", list + "]")).unknown_members;
    CHECK(unknown.size() == 4 + 2 + 2 * 3'000'000 + 1);
  }

  TEST_CASE("an entry that is used again keeps nothing of the sidecar before") {
    for (const auto& [first_name, first] : test::vectors())
      for (const auto& [second_name, second] : test::vectors()) {
        const std::string shown = first_name + ", then " + second_name;
        INFO(shown);
        FileEntry entry;
        REQUIRE(attr::decode(first, "first", entry).has_value());
        REQUIRE(attr::decode(second, "second", entry).has_value());
        CHECK(entry == decoded(second));
      }
  }

  TEST_CASE("an entry that a broken sidecar was read into serves the next one") {
    const std::string minimal = test::vector("d4_go_permanent");
    const FileEntry fresh = decoded(minimal);
    for (const auto& [name, bytes] : test::vectors())
      for (std::size_t cut = 0; cut < bytes.size(); cut += 7) {
        FileEntry entry;
        REQUIRE(attr::decode(bytes, name, entry).has_value());
        (void)attr::decode(bytes.substr(0, cut), name, entry);
        REQUIRE(attr::decode(minimal, "minimal", entry).has_value());
        REQUIRE(entry == fresh);
      }
  }
}

}  // namespace artcache
