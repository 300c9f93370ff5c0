// SPDX-License-Identifier: Apache-2.0
// What may be a path inside a storage, and the small helpers beside it.
#include <doctest/doctest.h>
#include <artcache/storage_backend.hpp>

#include <random>
#include <string>

#include "unit/core/attr/vectors.hpp"

namespace artcache {
namespace {

std::string refusal(std::string_view path) {
  const auto checked = check_storage_path(path);
  if (checked) return "accepted";
  CHECK(checked.error().code == Errc::invalid_argument);
  CHECK(checked.error().message.starts_with("path: '"));
  const std::string& message = checked.error().message;
  return message.substr(message.rfind("' ") + 2);
}

TEST_SUITE("storage path") {
  TEST_CASE("relative paths in any script are good") {
    for (const char* path :
         {"a", "2026/03/02/10/report_ivanov_x.pdf", "a b/c", "Отчёт/файл.attr.json", "...", "..a",
          "a..", ".hidden", "a/.b/c", "a\\b", "C:x", "~", "-rf", "a\nb", "*", "😀"})
      CHECK(refusal(path) == "accepted");
  }

  TEST_CASE("empty and absolute paths are refused") {
    CHECK(refusal("") == "is empty");
    CHECK(refusal("/") == "is absolute");
    CHECK(refusal("/etc/passwd") == "is absolute");
    CHECK(refusal("//a") == "is absolute");
  }

  TEST_CASE("a dot part or a double dot part is refused wherever it stands") {
    for (const char* path : {".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b",
                             "a/../../b", "a/b/../../../etc"})
      CHECK(refusal(path) == "leaves its folder");
  }

  TEST_CASE("one file has one path: empty parts are refused") {
    for (const char* path : {"a//b", "a/", "a/b//", "a///b"})
      CHECK(refusal(path) == "holds an empty part");
  }

  TEST_CASE("up to 1024 bytes are good, whatever the characters") {
    CHECK(refusal(std::string(1024, 'a')) == "accepted");
    CHECK(refusal(std::string(1025, 'a')) == "is longer than 1024 bytes");
    std::string cyrillic;
    for (int i = 0; i < 512; ++i) cyrillic += "ж";
    CHECK(refusal(cyrillic) == "accepted");
    CHECK(refusal(cyrillic + "a") == "is longer than 1024 bytes");
    CHECK(refusal(std::string(10'000'000, '/')) == "is longer than 1024 bytes");
  }

  TEST_CASE("NUL and what is not UTF-8 are refused wherever they stand") {
    CHECK(refusal(std::string("a\0b", 3)) == "holds a NUL");
    CHECK(refusal(std::string("a\0", 2)) == "holds a NUL");
    for (const char* path : {"\xff", "a/\xd0",
                             "a\xc0\xaf"
                             "b",
                             "a/\xc0\xae\xc0\xae/b", "\xed\xa0\x80", "\xf4\x90\x80\x80"})
      CHECK(refusal(path) == "is not UTF-8");
  }

  TEST_CASE("the message quotes the path, cut and made printable") {
    CHECK(check_storage_path("a/../b").error().message == "path: 'a/../b' leaves its folder");
    CHECK(check_storage_path("a\n\xff").error().message == "path: 'a\\x0a\\xff' is not UTF-8");
    CHECK(check_storage_path(std::string(5000, 'x')).error().message.size() < 250);
  }

  TEST_CASE("what passes stays below its root, part by part") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 20'000; ++i) {
      static constexpr std::string_view kPieces[] = {".", "..", "/", "a", "é", "\xff", "\\"};
      std::string path;
      for (std::size_t n = random() % 8; n > 0; --n) path += kPieces[random() % std::size(kPieces)];
      const bool escapes = ("/" + path + "/").find("/../") != std::string::npos ||
                           ("/" + path + "/").find("/./") != std::string::npos ||
                           ("/" + path + "/").find("//") != std::string::npos ||
                           path.find('\xff') != std::string::npos;
      if (check_storage_path(path).has_value() == escapes) FAIL_CHECK(path);
    }
  }

  TEST_CASE("a sidecar is told by its ending, in this case alone") {
    CHECK(is_sidecar_path("a/b.pdf.attr.json"));
    CHECK(is_sidecar_path(".attr.json"));
    CHECK_FALSE(is_sidecar_path(""));
    CHECK_FALSE(is_sidecar_path("attr.json"));
    CHECK_FALSE(is_sidecar_path("a.attr.JSON"));
    CHECK_FALSE(is_sidecar_path("a.attr.json "));
    CHECK_FALSE(is_sidecar_path("a.attr.json/b"));
  }

  TEST_CASE("artcache's own names are told in every part of a path") {
    for (const char* path : {".artcache", ".artcache/x", "a/.artcache/b", ".keep", "a/.keep",
                             ".tmp_x", "a/.tmp_", ".tmp_x/a"})
      CHECK(is_own_path(path));
    for (const char* path :
         {"", "a", "artcache", ".artcache2", "a.keep", ".keeper", "tmp_x", "a.tmp_x", ".tmp"})
      CHECK_FALSE(is_own_path(path));
  }

  TEST_CASE("stamps are equal only when all of them is") {
    Stamp stamp;
    CHECK(stamp == Stamp{});
    stamp.size = 1;
    CHECK_FALSE(stamp == Stamp{});
    Stamp marked;
    marked.mark[23] = 1;
    CHECK_FALSE(marked == Stamp{});
  }
}

}  // namespace
}  // namespace artcache
