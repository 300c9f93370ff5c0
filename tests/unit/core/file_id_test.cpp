// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <artcache/file_id.hpp>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "support/fake_clock.hpp"
#include "unit/core/attr/vectors.hpp"

namespace artcache {
namespace {

using namespace std::chrono_literals;
using test::FakeClock;

constexpr std::string_view kV4 = "123e4567-e89b-42d3-a456-426614174000";
constexpr std::string_view kV7 = "019cae10-1a80-7123-8abc-def012345678";

/// Ids grow within the process, also over clocks that differ: a clock that none is ahead of.
void catch_up(FakeClock& clock) {
  clock.jump(FileId::mint(clock).minted_at().value() - clock.now() + 1s);
}

TEST_SUITE("file id") {
  TEST_CASE("an id is read in either case and written in lower case") {
    const auto id = FileId::parse("123E4567-e89B-42d3-A456-426614174000");
    REQUIRE(id.has_value());
    CHECK(to_string(*id) == kV4);
    CHECK(*id == FileId::parse(kV4).value());
    const FileId::Bytes bytes{0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x42, 0xd3,
                              0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0x00};
    CHECK(id->bytes() == bytes);
    CHECK(FileId(bytes) == *id);
  }

  TEST_CASE("ids of every version are read") {
    for (unsigned version = 0; version < 16; ++version) {
      std::string text(kV4);
      text[14] = "0123456789abcdef"[version];
      const auto id = FileId::parse(text);
      REQUIRE(id.has_value());
      CHECK(id->version() == version);
      CHECK(id->minted_at().has_value() == (version == 7));
    }
  }

  TEST_CASE("the default id is all zero and the smallest") {
    CHECK(to_string(FileId()) == "00000000-0000-0000-0000-000000000000");
    CHECK(FileId::parse("00000000-0000-0000-0000-000000000000").value() == FileId());
    CHECK(FileId().version() == 0);
    CHECK_FALSE(FileId().minted_at().has_value());
    CHECK(FileId() < FileId::parse(kV4).value());
  }

  TEST_CASE("whatever is not 8-4-4-4-12 hexadecimal digits is refused") {
    const std::string good(kV4);
    for (const std::string& text :
         {std::string(), good.substr(1), good + "0", good + " ", " " + good, "{" + good + "}",
          "urn:uuid:" + good, std::string("123e4567e89b42d3a456426614174000"),
          std::string("123e4567e-89b-42d3-a456-426614174000"),
          std::string("123e4567-e89b-42d3-a456_426614174000"),
          std::string("123e4567-e89b-42d3-a456-42661417400g"),
          std::string("123e4567-e89b-42d3-a456-42661417400\xff"),
          std::string("-23e4567-e89b-42d3-a456-426614174000"), std::string(36, '-'),
          std::string(36, '\0'), std::string(10'000'000, 'a')}) {
      const auto id = FileId::parse(text);
      REQUIRE_FALSE(id.has_value());
      CHECK(id.error().code == Errc::invalid_argument);
      CHECK(id.error().message.size() < 250);
    }
  }

  TEST_CASE("every place of an id accepts only what belongs there") {
    for (std::size_t at = 0; at < kV4.size(); ++at)
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(kV4);
        text[at] = static_cast<char>(byte);
        const bool dash = kV4[at] == '-';
        const bool hex =
            byte != 0 && std::string("0123456789abcdefABCDEF").find(text[at]) != std::string::npos;
        if (FileId::parse(text).has_value() != (dash ? byte == '-' : hex)) FAIL_CHECK(text);
      }
  }

  TEST_CASE("the message quotes what was given, cut and made printable") {
    CHECK(FileId::parse("nonsense").error().message == "file id: 'nonsense' is not a UUID");
    CHECK(FileId::parse("a\nb\x1b\xff").error().message ==
          "file id: 'a\\x0ab\\x1b\\xff' is not a UUID");
    CHECK(FileId::parse(std::string(100, 'z')).error().message ==
          "file id: '" + std::string(40, 'z') + "' is not a UUID");
  }

  TEST_CASE("any sixteen bytes are written and read back, and text sorts as the bytes do") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    FileId before;
    for (int i = 0; i < 20'000; ++i) {
      FileId::Bytes bytes{};
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
      const FileId id(bytes);
      const std::string text = to_string(id);
      if (text.size() != 36 || FileId::parse(text).value() != id ||
          (text < to_string(before)) != (id < before))
        FAIL_CHECK(text);
      before = id;
    }
  }

  TEST_CASE("a minted id is of version 7, of the RFC's variant, and knows its millisecond") {
    FakeClock clock;
    catch_up(clock);
    clock.advance(1'999us);
    const FileId id = FileId::mint(clock);
    CHECK(id.version() == 7);
    CHECK((id.bytes()[8] & 0xc0) == 0x80);
    REQUIRE(id.minted_at().has_value());
    CHECK(id.minted_at()->micros() == clock.now().micros() / 1000 * 1000);
    CHECK(calendar_hour(*id.minted_at()) == calendar_hour(clock.now()));
  }

  TEST_CASE("the moment of a version 7 id is read from others' ids too") {
    CHECK(to_string(FileId::parse(kV7).value().minted_at().value(), TimestampStyle::zulu) ==
          "2026-03-02T10:20:16.896000Z");
    CHECK(FileId::parse("00000000-0000-7000-8000-000000000000").value().minted_at() == Timestamp());
  }

  TEST_CASE("a version 7 id from after the year 9999 has no moment") {
    CHECK(FileId::parse("e677d21f-dbff-7000-8000-000000000000").value().minted_at() ==
          Timestamp::max() - 999us);
    CHECK_FALSE(FileId::parse("e677d21f-dc00-7000-8000-000000000000")->minted_at().has_value());
    CHECK_FALSE(FileId::parse("ffffffff-ffff-7fff-bfff-ffffffffffff")->minted_at().has_value());
  }

  TEST_CASE("ids grow while the clock stands still, far beyond 4096 in a millisecond") {
    const FakeClock clock;
    FileId before = FileId::mint(clock);
    for (int i = 0; i < 10'000; ++i) {
      const FileId id = FileId::mint(clock);
      if (id <= before || id.version() != 7) FAIL_CHECK(to_string(id));
      before = id;
    }
  }

  TEST_CASE("ids grow over a jump back of the wall clock, also to before 1970") {
    FakeClock clock;
    catch_up(clock);
    const FileId first = FileId::mint(clock);
    clock.jump(-1h);
    const FileId second = FileId::mint(clock);
    CHECK(second > first);
    clock.jump(-24h * 365 * 100);
    const FileId third = FileId::mint(clock);
    CHECK(third > second);
    CHECK(third.version() == 7);
    CHECK(third.minted_at().value() - first.minted_at().value() <= 1ms);
  }

  TEST_CASE("ids minted from four threads never repeat and grow in each of them") {
    constexpr std::size_t kThreads = 4, kEach = 50'000;
    FakeClock clock;
    std::vector<std::vector<FileId>> minted(kThreads);
    {
      std::vector<std::jthread> threads;
      for (auto& mine : minted)
        threads.emplace_back([&clock, &mine] {
          mine.reserve(kEach);
          for (std::size_t i = 0; i < kEach; ++i) {
            if (i % 1000 == 0) clock.jump(i % 3000 == 0 ? -5ms : 1ms);
            mine.push_back(FileId::mint(clock));
          }
        });
    }
    std::unordered_set<FileId> all;
    all.reserve(kThreads * kEach);
    for (const auto& mine : minted) {
      CHECK(std::ranges::adjacent_find(mine, std::ranges::greater_equal()) == mine.end());
      all.insert(mine.begin(), mine.end());
    }
    CHECK(all.size() == kThreads * kEach);
  }

  TEST_CASE("what follows the moment cannot be guessed from the id before") {
    const FakeClock clock;
    std::unordered_set<std::string> tails;
    for (int i = 0; i < 1000; ++i) tails.insert(to_string(FileId::mint(clock)).substr(19));
    CHECK(tails.size() == 1000);
  }

  TEST_CASE("every bit of an id counts in its hash") {
    const auto zero = std::hash<FileId>()(FileId());
    for (std::size_t bit = 0; bit < 128; ++bit) {
      FileId::Bytes bytes{};
      bytes[bit / 8] = static_cast<std::uint8_t>(1U << bit % 8);
      CHECK(std::hash<FileId>()(FileId(bytes)) != zero);
    }
  }

  TEST_CASE("ids minted one after the other hash to different values") {
    const FakeClock clock;
    std::unordered_set<std::size_t> hashes;
    for (int i = 0; i < 10'000; ++i) hashes.insert(std::hash<FileId>()(FileId::mint(clock)));
    CHECK(hashes.size() == 10'000);
  }
}

}  // namespace
}  // namespace artcache
