// SPDX-License-Identifier: Apache-2.0
#include "util/hash.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace artcache::util {
namespace {

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string out;
  append_hex(out, bytes);
  return out;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

struct Vector {
  std::string text;
  const char* sum;
};

/// FIPS 180-2, appendix B, and the byte-oriented vectors that go with it.
const Vector kVectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
     "lmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    {std::string(1'000'000, 'a'),
     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {"\xbd", "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b"},
    {std::string(64, '\0'), "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"},
};

}  // namespace

TEST_SUITE("hash") {
  TEST_CASE("the published vectors come out") {
    for (const Vector& vector : kVectors) CHECK(hex(sha256(vector.text)) == vector.sum);
  }

  TEST_CASE("a stream in pieces of any size has the sum of the whole") {
    for (const Vector& vector : kVectors)
      for (const std::size_t piece : {1UL, 3UL, 63UL, 64UL, 65UL, 4096UL}) {
        Sha256 stream;
        const auto all =
            bytes_of(vector.text).first(std::min<std::size_t>(10'000, vector.text.size()));
        for (std::size_t at = 0; at < all.size(); at += piece)
          stream.update(all.subspan(at, std::min(piece, all.size() - at)));
        CHECK(stream.finish() == sha256(vector.text.substr(0, 10'000)));
      }
  }

  TEST_CASE("a stream begins anew when it was finished, and moves") {
    Sha256 stream;
    stream.update(bytes_of("abc"));
    CHECK(hex(stream.finish()) == kVectors[1].sum);
    CHECK(hex(stream.finish()) == kVectors[0].sum);
    stream.update({});
    stream.update(bytes_of("a"));
    Sha256 moved = std::move(stream);
    moved.update(bytes_of("bc"));
    CHECK(hex(moved.finish()) == kVectors[1].sum);
  }

  TEST_CASE("one sum between two pieces of a stream does not disturb it") {
    Sha256 one, other;
    one.update(bytes_of("ab"));
    other.update(bytes_of("x"));
    CHECK(hex(sha256("abc")) == kVectors[1].sum);
    one.update(bytes_of("c"));
    CHECK(hex(one.finish()) == kVectors[1].sum);
    CHECK(other.finish() == sha256("x"));
  }

  TEST_CASE("many threads get the right sums at once") {
    std::atomic<int> wrong{0};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          const Vector& vector = kVectors[i % 4];
          Sha256 stream;
          stream.update(bytes_of(vector.text));
          if (hex(sha256(vector.text)) != vector.sum || hex(stream.finish()) != vector.sum) ++wrong;
        }
      });
    threads.clear();
    CHECK(wrong == 0);
  }

  TEST_CASE("hexadecimal digits are appended in lower case") {
    std::string out = "x";
    append_hex(out, std::vector<std::uint8_t>{0x00, 0x0f, 0xa0, 0xff});
    CHECK(out == "x000fa0ff");
  }

  TEST_CASE("hexadecimal digits of either case are read, and nothing else") {
    std::vector<std::uint8_t> out(3);
    CHECK(parse_hex("00Ff9A", out));
    CHECK(out == std::vector<std::uint8_t>{0x00, 0xff, 0x9a});
    for (const char* text : {"", "0", "00000", "0000000", "0000g0", "0000 0", "-00000", "0x0000",
                             "0000\xd0\x90", "@@@@@@", "``````", "GGGGGG", "//////", "::::::"})
      CHECK(!parse_hex(text, out));
    for (int c = 0; c < 256; ++c) {
      const std::string text{static_cast<char>(c), '0', '0', '0', '0', '0'};
      const bool digit =
          c < 128 && std::string_view("0123456789abcdefABCDEF").find(static_cast<char>(c)) !=
                         std::string_view::npos;
      CHECK(parse_hex(text, out) == digit);
    }
  }

  TEST_CASE("in a long text every digit counts, wherever it stands") {
    std::vector<std::uint8_t> out(19);
    for (std::size_t at = 0; at < 2 * out.size(); ++at)
      for (int c = 0; c < 256; ++c) {
        std::string text(2 * out.size(), '5');
        text[at] = static_cast<char>(c);
        const std::string_view digits = "0123456789abcdef0123456789ABCDEF";
        const std::size_t value = c == 0 ? digits.npos : digits.find(text[at]);
        if (parse_hex(text, out) != (value != digits.npos)) FAIL_CHECK(at << ' ' << c);
        if (value == digits.npos) continue;
        std::vector<std::uint8_t> expected(out.size(), 0x55);
        const auto half = static_cast<std::uint8_t>(value % 16);
        expected[at / 2] = static_cast<std::uint8_t>(at % 2 == 0 ? half << 4 | 5 : 0x50 | half);
        if (out != expected) FAIL_CHECK(at << ' ' << c);
      }
  }
}

}  // namespace artcache::util
