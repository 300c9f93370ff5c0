// SPDX-License-Identifier: Apache-2.0
// Nothing broken is read, and each refusal names the file, the place and the member.
#include <algorithm>

#include "unit/core/attr/vectors.hpp"

namespace artcache {
namespace {

using test::decode_error;
using test::with;
using test::without;

std::size_t line_of(std::string_view text, std::string_view what) {
  const std::size_t found = std::min(text.find(what), text.size());
  const auto at = text.begin() + static_cast<std::ptrdiff_t>(found);
  return 1 + static_cast<std::size_t>(std::count(text.begin(), at, '\n'));
}

/// The whole message for a value that is wrong.
std::string refused(std::string_view document, std::string_view member, std::string_view why) {
  const std::size_t name = document.find("\"" + std::string(member) + "\"");
  const std::size_t value = name + member.size() + 4;  // quotes, colon, space
  return "sidecar: 'a/b.attr.json': line " + std::to_string(line_of(document, member)) + ", byte " +
         std::to_string(value) + ": member '" + std::string(member) + "': " + std::string(why);
}

void check_refused(std::string_view member, std::string_view json, std::string_view why) {
  const std::string document = with(member, json);
  CHECK(decode_error(document) == refused(document, member, why));
}

std::string at(std::size_t line, std::size_t byte, std::string_view what) {
  return "sidecar: 'a/b.attr.json': line " + std::to_string(line) + ", byte " +
         std::to_string(byte) + ": " + std::string(what);
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_SUITE("attr_bad_input") {
  TEST_CASE("an empty file and one of white space are refused") {
    CHECK(decode_error("") == at(1, 0, "empty file"));
    CHECK(decode_error({}) == at(1, 0, "empty file"));
    CHECK(decode_error(" \n\n ") == at(3, 4, "not an object"));
  }

  TEST_CASE("a document that is no object is refused") {
    for (const char* json : {"[]", "null", "\"text\"", "7", "true", "garbage", "}"})
      CHECK(decode_error(json) == at(1, 0, "not an object"));
    CHECK(decode_error("{}") == at(1, 0, "member 'file_id' is missing"));
  }

  TEST_CASE("a sidecar that is cut at any byte is refused") {
    for (const auto& [name, bytes] : test::vectors()) {
      const std::string shown(name);
      INFO(shown);
      const std::size_t end = bytes.rfind('}');
      for (std::size_t cut = 0; cut <= end; ++cut) {
        const std::string why = decode_error(std::string_view(bytes).substr(0, cut));
        REQUIRE_MESSAGE(why.starts_with("sidecar: 'a/b.attr.json': line "), cut);
      }
    }
  }

  TEST_CASE("a member that must be there is named when it is absent or null") {
    for (const char* member :
         {"file_id", "original_filename", "file_size", "created_at", "checksum"}) {
      const std::string why = "member '" + std::string(member) + "' is missing";
      CHECK(decode_error(without(member)) == at(1, 0, why));
      CHECK(decode_error(with(member, "null")) == at(1, 0, why));
    }
    CHECK(decode_error(without("storage_filename")) ==
          at(1, 0, "member 'storage_filename' is missing"));
  }

  TEST_CASE("every field refuses every wrong type and names itself and the place") {
    struct Row {
      std::string_view member;
      std::string_view why;
      std::string_view good;  // the types that are fine: first characters of their JSON
    };
    const Row rows[] = {
        {"file_id", "not a UUID", ""},
        {"original_filename", "not a text", "\""},
        {"storage_filename", "not a text", "\""},
        {"file_size", "not a whole number", "5"},
        {"size", "not a whole number", "5"},
        {"content_type", "not a text", "\""},
        {"mime_type", "not a text", "\""},
        {"created_at", "not a date and time", "\""},
        {"uploaded_at", "not a date and time", "\""},
        {"updated_at", "not a date and time", "\""},
        {"created_by_id", "not a text", "\""},
        {"created_by_username", "not a text", "\""},
        {"created_by_fullname", "not a text", "\""},
        {"description", "not a text", "\""},
        {"version", "not a text", "\"5"},
        {"storage_path", "not a text", "\""},
        {"checksum", "not a text", "\""},
        {"tags", "not an array of texts", ""},
        {"retention_policy", "not a text", "\""},
        {"ttl_days", "not a whole number", "5"},
        {"retention_days", "not a whole number", "5"},
        {"retention_expires_at", "not a date and time", "\""},
        {"ttl_expires_at", "not a date and time", "\""},
        {"metadata", "not an object", "{"},
        {"custom_attributes", "not an object", "{"},
        {"schema_version", "this version of the format is not known here", ""},
    };
    const std::pair<std::string_view, std::string_view> better_names[] = {
        {"size", "file_size"}, {"mime_type", "content_type"}, {"uploaded_at", "created_at"}};
    for (const Row& row : rows)
      for (const std::string json : {"5", "true", "false", "\"x\"", "[1]", "{\"a\":1}"}) {
        if (row.good.find(json[0]) != std::string_view::npos) continue;
        if (row.member == "tags" && json == "[1]") continue;
        std::string document = with(row.member, json);
        for (const auto& [name, better] : better_names)
          if (name == row.member) document.replace(document.find(better), better.size(), "gone");
        INFO(row.member << ": " << json);
        CHECK(decode_error(document) == refused(document, row.member, row.why));
      }
    check_refused("tags", "[1]", "not a text");
    check_refused("tags", R"(["a", null])", "not a text");
  }

  TEST_CASE("sizes and days below zero, beyond all bounds or with a fraction are refused") {
    for (const char* member : {"file_size", "ttl_days"}) {
      check_refused(member, "-1", "negative");
      check_refused(member, "-99999999999999999999999", "negative");
      check_refused(member, "9223372036854775808", "too large");
      check_refused(member, "12345678901234567890123", "too large");
      for (const char* json : {"1.0", "1.5", "1e3", "1e400", "-0.5", "\"1\""})
        check_refused(member, json, "not a whole number");
    }
    check_refused("ttl_days", "3650001", "too large");
    check_refused("version", "1.5", "not a whole number");
    check_refused("version", "-1", "negative");
  }

  TEST_CASE("an id that is not one is refused") {
    for (const char* id :
         {"", "x", "0d1c1f5e6d0a4c8b9a533f8d2b6f7a10", "0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a1g",
          "{0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10}", "0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a101",
          "urn:uuid:0d1c1f5e-6d0a-4c8b-9a53-3f8d"})
      check_refused("file_id", "\"" + std::string(id) + "\"", "not a UUID");
  }

  TEST_CASE("a checksum that is not 64 digits is refused") {
    const std::string sum(64, 'a');
    for (const std::string& text :
         {std::string(), sum.substr(1), sum + "a", "g" + sum.substr(1), "0x" + sum.substr(2),
          "sha256:" + sum.substr(7), "sha512:" + sum, "sha256:sha256:" + sum, " " + sum})
      check_refused("checksum", "\"" + text + "\"", "not 64 hexadecimal digits");
  }

  TEST_CASE("dates out of range are refused with the part that is wrong") {
    const std::pair<const char*, const char*> rows[] = {
        {"2026-13-01T00:00:00Z", "date"},
        {"2026-02-29T00:00:00Z", "date"},
        {"0000-01-01T00:00:00Z", "date"},
        {"10000-01-01T00:00:00Z", "date"},
        {"2026-01-01T24:00:00Z", "time"},
        {"2026-01-01T00:00:61Z", "time"},
        {"2026-01-01T00:00:00.Z", "fraction"},
        {"2026-01-01T00:00:00.1234567890Z", "fraction"},
        {"2026-01-01T00:00:00+24:00", "offset"},
        {"2026-01-01T00:00:00 UTC", "offset"},
        {"9999-12-31T23:59:59-01:00", "year"},
        {"0001-01-01T00:00:00+01:00", "year"},
        {"", "date"},
        {"yesterday", "date"},
        {"2026-01-01", "mark between date and time"},
    };
    for (const char* member : {"created_at", "updated_at", "retention_expires_at", "expires_at"})
      for (const auto& [text, part] : rows)
        check_refused(member, "\"" + std::string(text) + "\"",
                      "timestamp: '" + std::string(text) + "': bad " + part);
  }

  TEST_CASE("absolute and escaping paths are refused, however they are spelled") {
    for (const char* path :
         {"/", "//", "/etc", "/etc/plan_1.pdf", "/plan_1.pdf", "\\/etc", "\\u002fetc", "\\/"})
      check_refused("storage_path", "\"" + std::string(path) + "\"", "is absolute");
    for (const char* path : {"..", "../x", "a/../../x", "a/..", "a/./b", ".", "a/../plan_1.pdf"}) {
      const std::string error = decode_error(with("storage_path", "\"" + std::string(path) + "\""));
      INFO(error);
      CHECK(error.find("member 'storage_path': path: '") != std::string::npos);
      CHECK(error.ends_with("leaves its folder"));
    }
    const std::string error = decode_error(with("storage_path", R"("\u002e\u002e/x")"));
    CHECK(error.ends_with("path: '../x' leaves its folder"));
    const std::string path(1100, 'x');
    CHECK(decode_error(with("storage_path", "\"" + path + "\"")).ends_with("1024 bytes"));
    for (const char* name : {"", ".", "..", "a/b", "/a", "../plan_1.pdf"})
      check_refused("storage_filename", "\"" + std::string(name) + "\"", "not the name of a file");
    std::string flat = without("storage_filename");
    flat.replace(flat.find("2026/03/02/10/"), 14, "a/..");
    CHECK(decode_error(flat) == refused(flat, "storage_path", "not the name of a file"));
  }

  TEST_CASE("a NUL is refused in every text and kept nowhere") {
    for (const char* member : {"original_filename", "storage_filename", "content_type",
                               "created_by_id", "created_by_username", "created_by_fullname",
                               "description", "version", "storage_path", "retention_policy"})
      check_refused(member, R"("a\u0000b")", "holds a NUL");
    check_refused("tags", R"(["a", "\u0000"])", "holds a NUL");
    const std::string raw = with("description", std::string("\"a\0b\"", 5));
    CHECK(decode_error(raw) ==
          at(line_of(raw, "description"), raw.find('\0'), "a control character in a string"));
  }

  TEST_CASE("a member of ours that stands twice is refused, in whatever order") {
    for (const char* member : {"file_id", "file_size", "checksum", "metadata", "version"}) {
      const std::string once = with(member, "null");
      const std::string twice = "{\"" + std::string(member) + "\":null," + once.substr(1);
      const std::size_t second = twice.find("\"" + std::string(member), 5);
      CHECK(decode_error(twice) == at(line_of(twice, "\n  \"" + std::string(member)) + 1, second,
                                      "member '" + std::string(member) + "' stands twice"));
    }
    const std::string size = R"({"size":1,"size":2,)";
    const std::string tail = with("", "0").substr(1);
    CHECK(decode_error(size + tail) == at(1, 10, "member 'size' stands twice"));
    std::string behind = with("", "0");
    behind.insert(behind.rfind('}'), R"(,"size":1,"size":2)");
    CHECK(decode_error(behind).ends_with("member 'size' stands twice"));
    std::string escaped = with("", "0");
    escaped.insert(escaped.rfind('}'), R"(,"file\u005fsize":1)");
    CHECK(decode_error(escaped).ends_with("member 'file_size' stands twice"));
  }

  TEST_CASE("what follows the document is refused") {
    const std::string document = with("", "0");
    for (const char* more : {"x", "{}", "}", ",", "\xd0\x96"})
      CHECK(decode_error(document + more) ==
            at(line_of(document, "zzz"), document.size(), "something behind the document"));
    CHECK(decode_error(document + '\0').ends_with("something behind the document"));
    CHECK(decode_error(document + " \t\r\n").empty());
  }

  TEST_CASE("an unknown version of the format is refused before anything else is looked at") {
    for (const char* json : {R"("3.0")", R"("2")", R"("")", R"("2.0 ")", "2.0", "2"}) {
      const std::string document = "{\"schema_version\": " + std::string(json) + "}";
      CHECK(decode_error(document) ==
            refused(document, "schema_version", "this version of the format is not known here"));
    }
  }

  TEST_CASE("encodings other than plain UTF-8 are refused at the byte where they begin") {
    const std::string good = with("", "0");
    CHECK(decode_error("\xef\xbb\xbf" + good) == at(1, 0, "a byte order mark is not JSON"));
    for (const char* bad : {"\xff", "\xc0\x80", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\x80",
                            "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe0\x80\xaf"}) {
      const std::string document = with("x", "\"a" + std::string(bad) + "\"");
      CHECK(decode_error(document) ==
            at(line_of(document, "\"x\""), document.find("\"a") + 2, "not UTF-8"));
    }
    std::string wide;
    for (const char c : good) wide += {c, '\0'};
    CHECK(decode_error(wide).find("expected a member name") != std::string::npos);
  }

  TEST_CASE("lone surrogates are refused wherever they stand") {
    for (const char* text : {R"("\ud83d")", R"("\ude00")", R"("\ud83dx")", R"("\ud83d\n")",
                             R"("\ud83d\ud83d")", R"("\ude00\ud83d")"})
      for (const char* member : {"description", "original_filename", "x-unknown"}) {
        const std::string error = decode_error(with(member, text));
        CHECK(error.ends_with("a lone surrogate in a string"));
      }
    CHECK(decode_error(with("metadata", R"({"\ud83d":1})"))
              .ends_with("a lone surrogate in a string"));
  }

  TEST_CASE("deep nesting is refused at the bracket that is one too many") {
    for (const std::size_t depth : {std::size_t{100}, std::size_t{10'000}, std::size_t{5'000'000}})
      for (const char* member : {"metadata", "x-unknown", "file_id"}) {
        const std::string document = with(member, nested(depth));
        CHECK(decode_error(document) ==
              at(line_of(document, "[["), document.find("[[") + 99, "nested too deeply"));
        const std::string open = with(member, std::string(depth, '['));
        CHECK(decode_error(open).ends_with("nested too deeply"));
      }
    std::string objects;
    for (int i = 0; i < 10'000; ++i) objects += R"({"a":)";
    CHECK(decode_error(with("metadata", objects)).ends_with("nested too deeply"));
    CHECK(decode_error(with("x-unknown", nested(99))).empty());
    CHECK(decode_error(nested(10'000)) == at(1, 0, "not an object"));
  }

  TEST_CASE("more tags or members than the limits are refused") {
    std::string tags = "[\"t\"";
    for (int i = 1; i <= 1000; ++i) tags += ",\"t\"";
    check_refused("tags", tags + "]", "more than 1000 tags");
    std::string many = "{\"x\":1";
    for (int i = 1; i < 10'000; ++i) many += ",\"x\":1";
    CHECK(decode_error(many + "}") == at(1, 0, "member 'file_id' is missing"));
    CHECK(decode_error(many + ",\"x\":1}") == at(1, many.size() + 1, "too many members"));
  }

  TEST_CASE("one changed byte is refused or read, and never ends the process") {
    const std::string& bytes = test::vector("unknown_members");
    std::size_t refused_count = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      for (const char c : {'\0', '"', '\\', '{', ']', ',', '\xff', '9'}) {
        std::string changed = bytes;
        changed[i] = c;
        if (!decode_error(changed).empty()) ++refused_count;
      }
    CHECK(refused_count > bytes.size() * 4);
  }
}

}  // namespace artcache
