// SPDX-License-Identifier: Apache-2.0
#include "unit/core/attr/vectors.hpp"

#include <algorithm>
#include <artcache/json_writer.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/attr/sidecar.hpp"

namespace artcache::test {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.is_open());
  return {std::istreambuf_iterator<char>(file), {}};
}

using Members = std::vector<std::pair<std::string, std::string>>;

const Members kPlain{
    {"file_id", R"("0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10")"},
    {"original_filename", R"("plan.pdf")"},
    {"storage_filename", R"("plan_1.pdf")"},
    {"file_size", "20481"},
    {"content_type", R"("application/pdf")"},
    {"created_at", R"("2026-03-02T10:11:12.345678+00:00")"},
    {"updated_at", R"("2026-03-02T10:11:12.345678+00:00")"},
    {"created_by_id", R"("u-1")"},
    {"created_by_username", R"("ann")"},
    {"created_by_fullname", R"("Ann Droid")"},
    {"description", R"("a plan")"},
    {"version", R"("7")"},
    {"storage_path", R"("2026/03/02/10/")"},
    {"checksum", R"("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")"},
    {"metadata", R"({"a":1})"},
};

std::string document(const Members& members) {
  std::string json = "{\n";
  for (const auto& [name, value] : members)
    json.append("  \"").append(name).append("\": ").append(value).append(",\n");
  json.resize(json.size() - 2);
  return json + "\n}\n";
}

}  // namespace

const std::map<std::string, std::string>& vectors() {
  static const auto all = [] {
    std::map<std::string, std::string> found;
    constexpr std::string_view kEnding = ".attr.json";
    for (const auto& file : std::filesystem::directory_iterator(ARTCACHE_TEST_VECTORS)) {
      const std::string name = file.path().filename();
      if (name.ends_with(kEnding))
        found[name.substr(0, name.size() - kEnding.size())] = read_file(file.path());
    }
    return found;
  }();
  return all;
}

const std::string& vector(std::string_view name) { return vectors().at(std::string(name)); }

const std::map<std::string, ExpectedRows>& expected() {
  static const auto all = [] {
    std::map<std::string, ExpectedRows> table;
    std::ifstream file(std::string(ARTCACHE_TEST_VECTORS "/expected.tsv"));
    std::string name, field, value;
    while (std::getline(file, name, '\t') && std::getline(file, field, '\t') &&
           std::getline(file, value))
      table[name].emplace_back(field, value);
    return table;
  }();
  return all;
}

FileEntry decoded(std::string_view bytes) {
  FileEntry entry;
  const auto result = attr::decode(bytes, "a/b.attr.json", entry);
  INFO((result ? "" : result.error().message));
  REQUIRE(result.has_value());
  return entry;
}

std::string decode_error(std::string_view bytes) {
  FileEntry entry;
  const auto result = attr::decode(bytes, "a/b.attr.json", entry);
  if (result) return "";
  CHECK(result.error().code == Errc::corrupt);
  return result.error().message;
}

std::string with(std::string_view member, std::string_view json) {
  Members members = kPlain;
  for (auto& [name, value] : members) {
    if (name != member) continue;
    value = json;
    return document(members);
  }
  members.emplace(members.begin(), member, json);
  return document(members);
}

std::string without(std::string_view member) {
  Members members = kPlain;
  std::erase_if(members, [&](const auto& m) { return m.first == member; });
  return document(members);
}

std::uint64_t test_seed() {
  if (const char* given = std::getenv("ARTCACHE_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

std::size_t RandomEntry::number(std::size_t most) { return random_() % (most + 1); }

std::string RandomEntry::character() {
  static const std::string kOdd[] = {"\"",
                                     "\\",
                                     "/",
                                     "\n",
                                     "\t",
                                     "\x01",
                                     "\x1f",
                                     "\x7f",
                                     "\xc2\x80",
                                     "\xd0\x96",
                                     "\xd1\x91",
                                     "\xe2\x80\xa8",
                                     "\xef\xbb\xbf",
                                     "\xef\xbf\xbf",
                                     "\xf0\x9f\x98\x80",
                                     "\xf4\x8f\xbf\xbf",
                                     "{",
                                     "]",
                                     ",",
                                     ":",
                                     "\\u0041"};
  if (coin()) return std::string(1, static_cast<char>('a' + number(25)));
  return kOdd[number(std::size(kOdd) - 1)];
}

std::string RandomEntry::text(std::size_t characters_most) {
  std::string out;
  for (std::size_t left = number(characters_most / 10) * number(1) + number(4); left > 0; --left)
    out += character();
  return out;
}

std::string RandomEntry::value(unsigned depth) {
  static const char* const kNumbers[] = {"0",   "-0",    "1.50",  "12345678901234567890123",
                                         "1e5", "1E+05", "1e400", "-0.1e-9"};
  std::string out;
  switch (number(depth == 0 ? 3 : 5)) {
    case 0:
      append_json_string(out, text(20));
      return out;
    case 1:
      return kNumbers[number(std::size(kNumbers) - 1)];
    case 2:
      return coin() ? "true" : "null";
    case 3:
      return R"("\u0416\ud83d\ude00\/ \\\" ")";
    case 4:
      return "[" + value(depth - 1) + "," + value(depth - 1) + "]";
    default:
      return object(depth - 1);
  }
}

std::string RandomEntry::object(unsigned depth) {
  std::string out = "{";
  for (std::size_t left = number(3); left > 0; --left) {
    if (out.size() > 1) out += ",";
    append_json_string(out, text(10));
    out += ":" + value(depth);
  }
  return out + "}";
}

std::string RandomEntry::unknown_members() {
  std::string out;
  for (std::size_t left = number(3); left > 0; --left) {
    if (!out.empty()) out += ",";
    append_json_string(out, "x-" + text(10));
    out += ":" + value(2);
  }
  return out;
}

Timestamp RandomEntry::time() {
  if (number(9) == 0) return coin() ? Timestamp::min() : Timestamp::max();
  const auto span = static_cast<std::uint64_t>(Timestamp::max().micros());
  return Timestamp(Timestamp::Duration(static_cast<std::int64_t>(random_() % span)));
}

FileEntry RandomEntry::next() {
  const auto optional_text = [&](std::size_t most) {
    return coin() ? std::optional<std::string>(text(most)) : std::nullopt;
  };
  FileEntry entry;
  FileId::Bytes id{};
  for (auto& byte : id) byte = static_cast<std::uint8_t>(number(255));
  entry.id = FileId(id);
  entry.original_filename = text(500);
  entry.storage_filename = "n" + text(100);
  std::ranges::replace(entry.storage_filename, '/', '_');
  for (std::size_t left = number(4); left > 0; --left) {
    std::string part = "p" + text(10);
    std::ranges::replace(part, '/', '_');
    entry.storage_path += part + "/";
  }
  entry.file_size = random_() >> (1 + number(62));
  entry.content_type = text(255);
  entry.created_at = time();
  entry.updated_at = time();
  entry.created_by_id = text(255);
  entry.created_by_username = text(255);
  entry.created_by_fullname = optional_text(500);
  entry.description = optional_text(500);
  entry.version = optional_text(50);
  for (auto& byte : entry.checksum.bytes) byte = static_cast<std::uint8_t>(number(255));
  for (std::size_t left = number(3); left > 0; --left) entry.tags.push_back(text(50));
  entry.retention_policy = optional_text(50);
  if (coin()) entry.ttl_days = static_cast<std::int64_t>(number(3'650'000));
  if (coin()) entry.retention_expires_at = time();
  entry.metadata = object(3);
  if (coin()) entry.custom_attributes = object(2);
  if (entry.custom_attributes == "{}") entry.custom_attributes.clear();
  entry.unknown_members = unknown_members();
  return entry;
}

}  // namespace artcache::test
