// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <artcache/search_tokens.hpp>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/search/tokens.hpp"

namespace artcache::search {
namespace {

constexpr std::string_view kId = "018f3c2a-7b1d-7c3e-9f00-0123456789ab";

FileEntry report() {
  FileEntry entry;
  entry.id = FileId::parse(kId).value();
  entry.original_filename = "quarterly_report-2024.final.pdf";
  entry.tags = {"finance"};
  entry.description = "Сводный отчёт для организации";
  entry.created_by_username = "ivan";
  return entry;
}

SearchQuery query(std::string_view text, MatchMode mode = MatchMode::words) {
  return search_query(text, mode).value();
}

bool matches(const SearchQuery& asked, const FileEntry& entry) {
  return search_rank(asked, entry) > 0;
}

bool is_empty(const SearchQuery& asked) {
  return !asked.has_words() && !asked.id && !asked.filename;
}

bool finds(std::string_view text, MatchMode mode = MatchMode::words) {
  return matches(query(text, mode), report());
}

bool refused(std::string_view text, MatchMode mode = MatchMode::words) {
  const auto result = search_query(text, mode);
  return !result && result.error().code == Errc::invalid_argument;
}

TEST_SUITE_BEGIN("search query");

TEST_CASE("an entry is found by any word in any form") {
  for (const auto* text : {"final", "2024", "FINAL.pdf", "отчёт", "отчет", "отчёты", "Отчётами",
                           "finance", "reports", "ivan", "report отчет 2024"}) {
    CAPTURE(text);
    CHECK(finds(text));
  }
}

TEST_CASE("every word of the query must be there") {
  CHECK_FALSE(finds("report draft"));
  CHECK_FALSE(finds("202"));
  CHECK_FALSE(finds("отч"));
}

TEST_CASE("an id is found in every mode, in either case and among spaces") {
  for (const auto mode : {MatchMode::words, MatchMode::prefix, MatchMode::exact}) {
    CHECK(finds(kId, mode));
    CHECK(finds("  018F3C2A-7B1D-7C3E-9F00-0123456789AB\n", mode));
    CHECK_FALSE(finds("018f3c2a-7b1d-7c3e-9f00-0123456789ac", mode));
    CHECK_FALSE(finds("018f3c2a-7b1d-7c3e-9f00-0123456789a", mode));
  }
}

TEST_CASE("an id in the name of another entry is found by its words") {
  FileEntry other;
  other.original_filename = std::string(kId) + ".bin";
  CHECK(matches(query(kId), other));
}

TEST_CASE("in prefix mode every beginning of a word finds it") {
  for (const std::string word : {"quarterly", "report", "2024", "finance"})
    for (std::size_t size = 1; size <= word.size(); ++size) {
      CAPTURE(word.substr(0, size));
      CHECK(finds(word.substr(0, size), MatchMode::prefix));
    }
  const std::string russian = "организации";
  for (std::size_t size = 2; size <= russian.size(); size += 2)
    CHECK(finds(russian.substr(0, size), MatchMode::prefix));
  CHECK(finds("отч", MatchMode::prefix));
  CHECK(finds("отчётами", MatchMode::prefix));
  CHECK(finds("report qua", MatchMode::prefix));
}

TEST_CASE("in prefix mode only the last word may be a beginning") {
  CHECK_FALSE(finds("qua report", MatchMode::prefix));
  CHECK_FALSE(finds("report reportx", MatchMode::prefix));
  CHECK(query("report rep", MatchMode::prefix) ==
        SearchQuery{{}, {"report"}, SearchQuery::Beginning{"rep", "rep"}, {}});
}

TEST_CASE("in exact mode the name counts letter for letter") {
  CHECK(finds("quarterly_report-2024.final.pdf", MatchMode::exact));
  CHECK_FALSE(finds("Quarterly_report-2024.final.pdf", MatchMode::exact));
  CHECK_FALSE(finds("quarterly_report-2024.final", MatchMode::exact));
  CHECK_FALSE(finds("report", MatchMode::exact));
}

TEST_CASE("a query without a word finds nothing") {
  for (const auto mode : {MatchMode::words, MatchMode::prefix}) {
    for (const auto* text : {"", " ", "_-.", "🎉", "\xff"}) {
      CHECK(is_empty(query(text, mode)));
      CHECK_FALSE(finds(text, mode));
    }
  }
  CHECK(is_empty(query("", MatchMode::exact)));
}

TEST_CASE("a word said twice is asked for once") {
  CHECK(query("report Reports REPORT").stems == std::vector<std::string>{"report"});
}

TEST_CASE("too many words, or bytes, are refused and not dropped") {
  std::string text;
  for (int i = 0; i < 32; ++i) text += std::to_string(i) + " ";
  CHECK(query(text).stems.size() == 32);
  CHECK(query(text, MatchMode::prefix).stems.size() == 31);
  CHECK(query(text + "31 31").stems.size() == 32);
  CHECK(refused(text + "32"));
  CHECK(refused(text + "32", MatchMode::prefix));
  CHECK_FALSE(is_empty(query(std::string(1024, 'a'))));
  CHECK(refused(std::string(1025, 'a')));
  CHECK(refused(std::string(1025, 'a'), MatchMode::exact));
}

TEST_CASE("words in the name rank before words in the tags, those before all others") {
  FileEntry name, tag, description, user, apart;
  name.original_filename = "alpha beta.txt";
  tag.tags = {"beta", "alpha"};
  description.description = "Alpha beta";
  user.created_by_username = "alpha.beta";
  apart.original_filename = "alpha";
  apart.tags = {"beta"};
  const SearchQuery asked = query("alpha beta");
  CHECK(search_rank(asked, name) == 3);
  CHECK(search_rank(asked, tag) == 2);
  CHECK(search_rank(asked, apart) == 2);
  CHECK(search_rank(asked, description) == 1);
  CHECK(search_rank(asked, user) == 1);
  CHECK(search_rank(query("gamma"), name) == 0);
}

TEST_CASE("an id ranks before all words") { CHECK(search_rank(query(kId), report()) == 4); }

TEST_CASE("matching is membership of tokens, for any entries and queries") {
  const char* given = std::getenv("ARTCACHE_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  INFO("ARTCACHE_SEED=" << seed);
  std::mt19937_64 random(seed);
  const std::vector<std::string> words = {"report", "Reports", "отчёт", "отчёты",  "отч",  "final",
                                          "2024",   "20",      "q4",    "日",      "日本", "happy",
                                          "happi",  "news",    "new",   "quarterl"};
  const auto some = [&](std::size_t most) {
    std::string text;
    for (auto n = random() % (most + 1); n > 0; --n) text += words[random() % words.size()] + "_";
    return text;
  };
  for (int round = 0; round < 3000; ++round) {
    FileEntry entry;
    entry.original_filename = some(3);
    entry.tags = {some(1), some(1)};
    entry.description = some(4);
    std::istringstream stream(entry_tokens(entry));
    std::set<std::string> held;
    for (std::string token; stream >> token;) REQUIRE(held.insert(token).second);

    const std::string text = some(3);
    CAPTURE(text);
    CAPTURE(entry_tokens(entry));
    const auto mode = random() % 2 == 0 ? MatchMode::words : MatchMode::prefix;
    const SearchQuery asked = query(text, mode);
    bool expected = asked.has_words();
    for (const auto& stem : asked.stems) expected = expected && held.contains(stem);
    if (asked.beginning) {
      const auto begins = [&](const auto& token) {
        return token.starts_with(asked.beginning->letters);
      };
      expected = expected && (held.contains(asked.beginning->stem) ||
                              std::any_of(held.begin(), held.end(), begins));
    }
    REQUIRE(matches(asked, entry) == expected);
    // Whatever stands in an entry is found by it.
    if (query(entry.original_filename).has_words())
      REQUIRE(matches(query(entry.original_filename, mode), entry));
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::search
