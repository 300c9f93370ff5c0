// SPDX-License-Identifier: Apache-2.0
// The values are those of docs/formats/content.md.
#include <artcache/content.hpp>
#include <artcache/record.hpp>
#include <random>
#include <vector>

#include "core/attr/sidecar.hpp"
#include "unit/core/attr/vectors.hpp"

namespace artcache {
namespace {

ContentHash hash_from(std::uint8_t first) {
  ContentHash hash;
  for (std::size_t i = 0; i < hash.bytes.size(); ++i)
    hash.bytes[i] = static_cast<std::uint8_t>(first + i);
  return hash;
}

std::string sum(const Digest& a, const Digest& b) {
  Digest out = a;
  out += b;
  return to_string(out);
}

constexpr std::uint64_t kAll = ~std::uint64_t{0};

}  // namespace

TEST_SUITE("record") {
  TEST_CASE("a content hash and a digest are written as 32 digits, the highest first") {
    CHECK(to_string(hash_from(0)) == "000102030405060708090a0b0c0d0e0f");
    CHECK(to_string(Digest()) == "00000000000000000000000000000000");
    CHECK(to_string(Digest(0x0123456789abcdef, 0xfedcba9876543210)) ==
          "0123456789abcdeffedcba9876543210");
  }

  TEST_CASE("a digest is read from what it is written as, in either case") {
    CHECK(Digest::parse("0123456789abcdeffedcba9876543210").value() ==
          Digest(0x0123456789abcdef, 0xfedcba9876543210));
    CHECK(Digest::parse("0123456789ABCDEFfedcba9876543210").value() ==
          Digest(0x0123456789abcdef, 0xfedcba9876543210));
    for (const char* text :
         {"", "0", "0123456789abcdeffedcba987654321", "0123456789abcdeffedcba98765432100",
          "0123456789abcdeffedcba987654321g", "0x23456789abcdeffedcba9876543210"}) {
      const auto digest = Digest::parse(text);
      REQUIRE(!digest);
      CHECK(digest.error().code == Errc::invalid_argument);
      CHECK(digest.error().message ==
            "digest: '" + std::string(text).substr(0, 40) + "' is not 32 hexadecimal digits");
    }
  }

  TEST_CASE("a sum carries from the low half to the high one and wraps at 2^128") {
    CHECK(sum({0, kAll}, {0, 1}) == "00000000000000010000000000000000");
    CHECK(sum({kAll, kAll}, {0, 1}) == "00000000000000000000000000000000");
    CHECK(sum({kAll, kAll}, {kAll, kAll}) == "fffffffffffffffffffffffffffffffe");
    CHECK(sum({1, 2}, {3, 4}) == "00000000000000040000000000000006");
    Digest below;
    below -= Digest(0, 1);
    CHECK(to_string(below) == "ffffffffffffffffffffffffffffffff");
    Digest borrowed(1, 0);
    borrowed -= Digest(0, 1);
    CHECK(borrowed == Digest(0, kAll));
  }

  TEST_CASE("a sum added to itself is doubled, and taken away from itself is nothing") {
    Digest sum(1, kAll);
    sum += *&sum;
    CHECK(sum == Digest(3, kAll - 1));
    sum -= *&sum;
    CHECK(sum == Digest());
  }

  TEST_CASE("adding and taking away in any order comes back to where it began") {
    const std::uint64_t seed = test::test_seed();
    INFO("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    std::vector<Digest> parts(200);
    for (Digest& part : parts) part = Digest(random(), random() | (random() << 63));
    Digest forwards(7, 9), backwards;
    for (const Digest& part : parts) forwards += part;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) backwards += *part;
    backwards += Digest(7, 9);
    CHECK(forwards == backwards);
    std::shuffle(parts.begin(), parts.end(), random);
    for (const Digest& part : parts) forwards -= part;
    CHECK(forwards == Digest(7, 9));
  }

  TEST_CASE("the part of a record is the one that the documentation shows") {
    CHECK(to_string(Digest::of("0d1c1f5e-6d0a-4c8b-9a53-3f8d2b6f7a10",
                               content_hash(test::decoded(test::vector("d1_nulls"))))) ==
          "fd42b8e2cd0fcddea0fa904c8a17103b");
    CHECK(to_string(Digest::of("", ContentHash())) == "374708fff7719dd5979ec875d56cd228");
    CHECK(to_string(Digest::of("PROD-001", hash_from(0))) == "acc0fe6f0c55e043e4e3742edc379d2e");
  }

  TEST_CASE("the part of a record depends on its key and on each byte of its hash") {
    const Digest part = Digest::of("key", hash_from(1));
    CHECK(Digest::of("kez", hash_from(1)) != part);
    CHECK(Digest::of(std::string_view("key\0", 4), hash_from(1)) != part);
    for (std::size_t i = 0; i < 16; ++i) {
      ContentHash hash = hash_from(1);
      hash.bytes[i] ^= 0x80;
      CHECK(Digest::of("key", hash) != part);
    }
  }

  TEST_CASE("the digest over all vectors is that of the table") {
    Digest all;
    for (const auto& [name, bytes] : test::vectors())
      all += Digest::of(name, content_hash(test::decoded(bytes)));
    REQUIRE(test::expected().contains("(all)"));
    CHECK(to_string(all) == test::expected().at("(all)").front().second);
  }

  TEST_CASE("content hashes are ordered by their bytes") {
    CHECK(hash_from(1) < hash_from(2));
    CHECK(hash_from(3) == hash_from(3));
    CHECK(hash_from(0x80) > hash_from(0x10));
  }
}

}  // namespace artcache
