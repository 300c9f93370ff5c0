// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include "core/attr/members.hpp"
#include "core/attr/sidecar.hpp"
#include "unit/core/attr/vectors.hpp"
#include "util/json_scan.hpp"

namespace artcache {
namespace {

using attr::Changes;
using test::decoded;

constexpr std::size_t kAnySize = 1 << 20;
constexpr Timestamp kNow{std::chrono::microseconds(1'772'446'272'000'007)};
constexpr Timestamp kEnd{std::chrono::seconds(1'800'000'000)};

/// One kind of change: what is asked for, and what it means for the entry.
struct Kind {
  std::string field;  // its name in v1; empty when only updated_at moves
  std::function<void(Changes&)> ask;
  std::function<void(FileEntry&)> apply;
};

const Kind kKinds[] = {
    {"", [](auto&) {}, [](auto&) {}},
    {"description", [](auto& c) { c.description = "n\"\xd0\x96\n"; },
     [](auto& e) { e.description = "n\"\xd0\x96\n"; }},
    {"description", [](auto& c) { c.description.emplace(); },
     [](auto& e) { e.description.reset(); }},
    {"version", [](auto& c) { c.version = "12"; }, [](auto& e) { e.version = "12"; }},
    {"version", [](auto& c) { c.version.emplace(); }, [](auto& e) { e.version.reset(); }},
    {"metadata", [](auto& c) { c.metadata = R"({"a": [1e400]})"; },
     [](auto& e) { e.metadata = R"({"a":[1e400]})"; }},
    {"tags",
     [](auto& c) {
       c.tags = {{"x", "\xd1\x91"}};
     },
     [](auto& e) {
       e.tags = {"x", "\xd1\x91"};
     }},
    {"tags", [](auto& c) { c.tags.emplace(); }, [](auto& e) { e.tags.clear(); }},
    {"retention_policy", [](auto& c) { c.retention_policy = "p"; },
     [](auto& e) { e.retention_policy = "p"; }},
    {"retention_policy", [](auto& c) { c.retention_policy.emplace(); },
     [](auto& e) { e.retention_policy.reset(); }},
    {"ttl_days", [](auto& c) { c.ttl_days = 90; }, [](auto& e) { e.ttl_days = 90; }},
    {"ttl_days", [](auto& c) { c.ttl_days.emplace(); }, [](auto& e) { e.ttl_days.reset(); }},
    {"retention_expires_at", [](auto& c) { c.retention_expires_at = kEnd; },
     [](auto& e) { e.retention_expires_at = kEnd; }},
    {"retention_expires_at", [](auto& c) { c.retention_expires_at.emplace(); },
     [](auto& e) { e.retention_expires_at.reset(); }},
};

Changes changes_of(const Kind& kind) {
  Changes changes;
  changes.updated_at = kNow;
  kind.ask(changes);
  return changes;
}

std::string rewritten(std::string_view bytes, const Changes& changes) {
  auto result = attr::rewrite(bytes, "a/b.attr.json", changes, kAnySize);
  INFO((result ? "" : result.error().message));
  REQUIRE(result.has_value());
  return *std::move(result);
}

/// All members as (name as spelled, value as spelled), and the bytes around the values.
struct Taken {
  std::vector<std::pair<std::string, std::string>> members;
  std::vector<std::string> around;
};

Taken take_apart(std::string_view bytes) {
  attr::Document document;
  REQUIRE(document.parse(bytes, "taken").has_value());
  Taken taken;
  const char* at = bytes.data();
  for (const attr::Member& member : document.members()) {
    taken.members.emplace_back(member.name.text, member.value.text);
    taken.around.emplace_back(at, member.value.text.data());
    at = member.value.text.data() + member.value.text.size();
  }
  taken.around.emplace_back(at, bytes.data() + bytes.size());
  return taken;
}

bool names_field(const std::string& spelled, std::string_view field) {
  if (field == "ttl_days" && spelled == "\"retention_days\"") return true;
  if (field == "retention_expires_at" &&
      (spelled == "\"expires_at\"" || spelled == "\"ttl_expires_at\""))
    return true;
  return spelled == "\"" + std::string(field) + "\"" || spelled == "\"updated_at\"";
}

}  // namespace

TEST_SUITE("attr_rewrite") {
  TEST_CASE("the entry afterwards is the entry before with what was asked for and updated_at") {
    for (const auto& [name, bytes] : test::vectors())
      for (const Kind& kind : kKinds) {
        const std::string shown = name + ", " + kind.field;
        INFO(shown);
        FileEntry wanted = decoded(bytes);
        kind.apply(wanted);
        wanted.updated_at = kNow;
        FileEntry found = decoded(rewritten(bytes, changes_of(kind)));
        // A removed field goes under all of its names: they are then no unknown members either.
        if (name == "losing_names" && (!found.ttl_days || !found.retention_expires_at))
          wanted.unknown_members = found.unknown_members;
        CHECK(found == wanted);
      }
  }

  TEST_CASE("every byte but those of the changed members stays") {
    for (const auto& [name, bytes] : test::vectors())
      for (const Kind& kind : kKinds) {
        const std::string shown = name + ", " + kind.field;
        INFO(shown);
        const Taken before = take_apart(bytes);
        const Taken after = take_apart(rewritten(bytes, changes_of(kind)));
        REQUIRE(after.members.size() >= before.members.size());
        for (std::size_t i = 0; i < before.members.size(); ++i) {
          CHECK(after.members[i].first == before.members[i].first);
          CHECK(after.around[i] == before.around[i]);
          if (!names_field(before.members[i].first, kind.field))
            CHECK(after.members[i].second == before.members[i].second);
        }
        for (std::size_t i = before.members.size(); i < after.members.size(); ++i)
          CHECK(names_field(after.members[i].first, kind.field));
        CHECK(after.around.back() == before.around.back());
      }
  }

  TEST_CASE("the same change twice gives the same bytes") {
    for (const auto& [name, bytes] : test::vectors())
      for (const Kind& kind : kKinds) {
        const std::string shown = name + ", " + kind.field;
        INFO(shown);
        const std::string once = rewritten(bytes, changes_of(kind));
        CHECK(rewritten(once, changes_of(kind)) == once);
      }
  }

  TEST_CASE("all changes in any order end in the same entry, for any sidecar we write") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    test::RandomEntry random(seed);
    for (int i = 0; i < 300; ++i) {
      FileEntry entry = random.next();
      std::string bytes = attr::encode(entry, kAnySize).value();
      INFO("seed " << seed << ", entry " << i << ": " << bytes);
      for (int step = 0; step < 4; ++step) {
        const Kind& kind = kKinds[random.number(std::size(kKinds) - 1)];
        bytes = rewritten(bytes, changes_of(kind));
        kind.apply(entry);
        entry.updated_at = kNow;
        REQUIRE(decoded(bytes) == entry);
      }
    }
  }

  TEST_CASE("an added member looks like its neighbours") {
    Changes changes = changes_of(kKinds[0]);
    changes.ttl_days = 3;
    const std::string text = rewritten(test::vector("d1_nulls"), changes);
    CHECK(text.ends_with("\"metadata\": {},\n  \"ttl_days\": 3\n}\n"));
    const std::string compact = rewritten(test::vector("d2_compact"), changes);
    CHECK(compact.find('\n') == compact.size() - 1);
    CHECK(rewritten(test::vector("d1_tabs_crlf"), changes).find(",\r\n\t\"ttl_days\": 3") !=
          std::string::npos);
  }

  TEST_CASE("a sidecar keeps the names and the dialect it has") {
    Changes changes = changes_of(kKinds[0]);
    changes.ttl_days = 3;
    changes.version = "2";
    changes.retention_expires_at = kEnd;
    const std::string legacy = rewritten(test::vector("d3_legacy"), changes);
    CHECK(legacy.find("\"retention_days\": 3,") != std::string::npos);
    CHECK(legacy.find("\"version\": \"2\",") != std::string::npos);
    CHECK(legacy.find("ttl_days") == std::string::npos);
    const std::string go = rewritten(test::vector("d4_go"), changes);
    CHECK(go.find("\"expires_at\": \"2027-01-15T08:00:00.000000+00:00\",") != std::string::npos);
    CHECK(go.find("retention_expires_at") == std::string::npos);
    CHECK(go.find("\"updated_at\": \"2026-03-02T10:11:12.000007+00:00\"\n}") != std::string::npos);
    const std::string adr = rewritten(test::vector("d5_adr"), changes);
    CHECK(adr.find("\"ttl_expires_at\": \"2027-01-15T") != std::string::npos);
    CHECK(adr.find("\"created_by\": \"erin\"") != std::string::npos);
  }

  TEST_CASE("a removed field does not come back under a name that lost against it") {
    Changes changes = changes_of(kKinds[0]);
    changes.retention_expires_at.emplace();
    changes.ttl_days.emplace();
    const std::string text = rewritten(test::vector("losing_names"), changes);
    const FileEntry entry = decoded(text);
    CHECK(!entry.retention_expires_at);
    CHECK(!entry.ttl_days);
    for (const char* name : {"retention_days", "ttl_days", "expires_at", "ttl_expires_at"})
      CHECK(text.find("\"" + std::string(name) + "\": null") != std::string::npos);
    CHECK(text.find("\"mime_type\": \"text/loses\"") != std::string::npos);
  }

  TEST_CASE("removing what is not there adds nothing") {
    Changes changes = changes_of(kKinds[0]);
    changes.description.emplace();
    changes.retention_policy.emplace();
    changes.ttl_days.emplace();
    changes.retention_expires_at.emplace();
    std::string wanted = test::vector("d1_nulls");
    wanted.replace(wanted.find("2026-03-02T10:11:12.345678", wanted.find("updated_at")), 32,
                   "2026-03-02T10:11:12.000007+00:00");
    CHECK(rewritten(test::vector("d1_nulls"), changes) == wanted);
  }

  TEST_CASE("a bad value is refused by name and a broken sidecar as corrupt") {
    const std::pair<std::string, std::function<void(Changes&)>> rows[] = {
        {"'description' is not UTF-8", [](auto& c) { c.description = "\xff"; }},
        {"'description' holds a NUL", [](auto& c) { c.description = std::string(1, '\0'); }},
        {"'version' is longer than 50 characters",
         [](auto& c) { c.version = std::string(51, 'x'); }},
        {"'retention_policy' is longer than 50 characters",
         [](auto& c) { c.retention_policy = std::string(51, 'x'); }},
        {"'metadata' is not a JSON object", [](auto& c) { c.metadata = "[]"; }},
        {"'metadata' is not a JSON object", [](auto& c) { c.metadata = R"({},"x":{})"; }},
        {"'metadata' is not a JSON object", [](auto& c) { c.metadata = "{"; }},
        {"'metadata' is not a JSON object",
         [](auto& c) {
           c.metadata = "{\"a\":" + std::string(99, '[') + std::string(99, ']') + "}";
         }},
        {"'tags' is longer than 50 characters", [](auto& c) { c.tags = {{std::string(51, 'x')}}; }},
        {"'tags' are more than 1000", [](auto& c) { c.tags.emplace(1001); }},
        {"'ttl_days' is negative", [](auto& c) { c.ttl_days = -1; }},
        {"'ttl_days' is too large", [](auto& c) { c.ttl_days = 3'650'001; }},
        {"'retention_expires_at' is not between the years 1 and 9999",
         [](auto& c) { c.retention_expires_at = Timestamp(std::chrono::microseconds::max()); }},
        {"'updated_at' is not between the years 1 and 9999",
         [](auto& c) { c.updated_at = Timestamp(std::chrono::microseconds::min()); }},
    };
    for (const auto& [why, spoil] : rows) {
      Changes changes = changes_of(kKinds[0]);
      spoil(changes);
      const auto result = attr::rewrite(test::vector("d1_nulls"), "p", changes, kAnySize);
      const std::string shown(why);
      INFO(shown);
      REQUIRE(!result);
      CHECK(result.error().code == Errc::invalid_argument);
      CHECK(result.error().message == "sidecar: " + why);
    }
    const auto broken = attr::rewrite("{", "p", changes_of(kKinds[0]));
    REQUIRE(!broken);
    CHECK(broken.error().code == Errc::corrupt);
  }

  TEST_CASE("a sidecar grows to the limit and not beyond, but a longer one may stay as long") {
    Changes changes = changes_of(kKinds[0]);
    const std::string bytes = test::vector("d1_nulls");
    const std::size_t room = 4096 - bytes.size() + 4 - 2;  // null goes, quotes come
    changes.description = std::string(room, 'x');
    CHECK(attr::rewrite(bytes, "p", changes).value().size() == 4096);
    (*changes.description)->push_back('x');
    const auto refused = attr::rewrite(bytes, "p", changes);
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::invalid_argument);
    CHECK(refused.error().message.find("4097 bytes") != std::string::npos);
    const std::string large = rewritten(bytes, changes);
    (*changes.description)->back() = 'y';
    CHECK(attr::rewrite(large, "p", changes).value().size() == 4097);
  }

  TEST_CASE("a document with as many members as there may be takes no further one") {
    std::string bytes = test::vector("d4_go_permanent");
    std::string more;
    for (int i = 10; i < 10'000; ++i) more += ",\"x\":1";
    bytes.insert(bytes.rfind('\n', bytes.size() - 2), more);
    REQUIRE(take_apart(bytes).members.size() == 10'000);
    const auto result = attr::rewrite(bytes, "p", changes_of(kKinds[0]), kAnySize);
    REQUIRE(!result);
    CHECK(result.error().code == Errc::invalid_argument);
    CHECK(result.error().message.starts_with("sidecar: it would not read back: "));
  }

  TEST_CASE("custom attributes make a sidecar v2, and are replaced whole") {
    Changes changes = changes_of(kKinds[0]);
    changes.custom_attributes = R"({"pages":12})";
    const std::string once = rewritten(test::vector("d1_nulls"), changes);
    FileEntry entry;
    REQUIRE(attr::decode(once, "p", entry).has_value());
    CHECK(entry.custom_attributes == R"({"pages":12})");
    CHECK(once.find("\"schema_version\": \"2.0\"") != std::string::npos);
    changes.custom_attributes = "{}";
    REQUIRE(attr::decode(rewritten(once, changes), "p", entry).has_value());
    CHECK(entry.custom_attributes.empty());
    changes.custom_attributes = "[1]";
    CHECK(attr::rewrite(once, "p", changes).error().code == Errc::invalid_argument);
  }
}

}  // namespace artcache
