// SPDX-License-Identifier: Apache-2.0
#include "backends/sqlite/scan_leaf.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "support/sample_entry.hpp"

namespace artcache::sqlite {
namespace {

sql::Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

ScanLeaf sample_leaf() {
  ScanLeaf leaf;
  for (const std::uint64_t n : {1U, 2U, 3U}) {
    ScannedFile file = test::scanned_of(prepare(test::sample_entry(n)));
    file.text_hash = 0x0123456789abcdef + n;
    leaf.put("name" + std::to_string(n), file);
  }
  return leaf;
}

TEST_SUITE("scan leaf") {
  TEST_CASE("what was packed is parsed again") {
    const ScanLeaf leaf = sample_leaf();
    const auto again = ScanLeaf::parse(bytes_of(leaf.packed()));
    REQUIRE(again.has_value());
    REQUIRE(again->files().size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      const ScannedFile &was = leaf.files()[i], &is = again->files()[i];
      CHECK(is.path == was.path);
      CHECK(is.stamp == was.stamp);
      CHECK(is.id == was.id);
      CHECK(is.hash == was.hash);
      CHECK(is.updated_at == was.updated_at);
      CHECK(is.text_hash == was.text_hash);
    }
    CHECK(ScanLeaf::parse(bytes_of(ScanLeaf().packed()))->files().empty());
    CHECK(ScanLeaf::parse({})->files().empty());
  }

  TEST_CASE("a leaf from before there were text hashes is read, and has none") {
    const ScanLeaf leaf = sample_leaf();
    std::string before = leaf.packed().substr(2);
    const std::size_t each = before.size() / 3;
    for (std::size_t i = 3; i > 0; --i) before.erase(i * each - 8, 8);
    const auto read = ScanLeaf::parse(bytes_of(before));
    REQUIRE(read.has_value());
    REQUIRE(read->files().size() == 3);
    CHECK(read->files()[2].path == "name3");
    CHECK(read->files()[2].id == leaf.files()[2].id);
    CHECK(read->files()[2].updated_at == leaf.files()[2].updated_at);
    CHECK(read->files()[2].text_hash == 0);
  }

  TEST_CASE("one that ends too early is corrupt, wherever it does") {
    const std::string whole = sample_leaf().packed();
    const std::size_t each = (whole.size() - 2) / 3;
    for (std::size_t size = 1; size < whole.size(); ++size)
      if (size < 2 || (size - 2) % each != 0)
        CHECK(ScanLeaf::parse(bytes_of(whole.substr(0, size))).error().code == Errc::corrupt);
  }
}

}  // namespace
}  // namespace artcache::sqlite
