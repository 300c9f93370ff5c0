// SPDX-License-Identifier: Apache-2.0
#include "core/search/tokens.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "util/utf8.hpp"

namespace artcache::search {
namespace {

using namespace std::string_literals;

std::string tokens(std::string_view text) {
  std::string out;
  append_tokens(out, text);
  return out;
}

bool is_token_text(std::string_view text) {
  return util::utf8_valid_prefix(text) == text.size() &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ' ' || c == '\n' ||
                  static_cast<unsigned char>(c) >= 0x80;
         });
}

TEST_SUITE_BEGIN("search tokens");

TEST_CASE("a file name is cut at everything that is neither letter nor digit") {
  CHECK(tokens("quarterly_report-2024.final.pdf") == "quarter quarterly report 2024 final pdf");
  CHECK(tokens("  --  ") == "");
  CHECK(tokens("") == "");
}

TEST_CASE("tokens are appended with one space between them") {
  std::string out = "a";
  append_tokens(out, "b c");
  append_tokens(out, "...");
  append_tokens(out, "d");
  CHECK(out == "a b c d");
}

TEST_CASE("forms of a Russian word have one stem, and ё is е") {
  CHECK(tokens("отчет") == "отчет");
  CHECK(tokens("Отчёт") == "отчет");
  CHECK(tokens("ОТЧЁТЫ") == "отчет отчеты");
  CHECK(tokens("отче\u0308т") == "отчет");
}

TEST_CASE("forms of an English word have one stem") {
  CHECK(tokens("Report") == "report");
  CHECK(tokens("REPORTS reported") == "report reports report reported");
}

TEST_CASE("digits are kept, and a word with one is never stemmed") {
  CHECK(tokens("2024 q4 v2s reports1") == "2024 q4 v2s reports1");
}

TEST_CASE("a word of several scripts stays whole") {
  CHECK(tokens("отчётыReports") == "отчетыreports");
  CHECK(tokens("отчёты_Reports") == "отчет отчеты report reports");
}

TEST_CASE("case and accents do not count") {
  CHECK(tokens("Résumé RE\u0301SUME\u0301") == "resum resume resum resume");
  CHECK(tokens("STRASSE") == tokens("Straße"));
  CHECK(tokens("Łódź ÆØÅ İstanbul") == tokens("lodz aeoa istanbul"));
  CHECK(tokens("ΣΊΣΥΦΟΣ") == tokens("Σίσυφος"));
  CHECK(tokens("ὈΔΥΣΣΕΎΣ") == tokens("οδυσσευς"));
  CHECK(tokens("ＡＢ１２") == "ab12");
  CHECK(tokens("Điện") == "dien");
}

TEST_CASE("й, ї and ў stay letters of their own, however they are typed") {
  CHECK(tokens("йод") == "йод");
  CHECK(tokens("и\u0306од") == "йод");
  CHECK(tokens("ї") == "ї");
  CHECK(tokens("і\u0308") == "ї");
  CHECK(tokens("у\u0306") == "ў");
  CHECK(tokens("за\u0301мок") == tokens("замок"));
}

TEST_CASE("Han and kana are words of one character") {
  CHECK(tokens("季度报告2024年") == "季 度 报 告 2024 年");
  CHECK(tokens("a日b") == "a 日 b");
  CHECK(tokens("カナ") == "カ ナ");
}

TEST_CASE("words of other scripts are kept as they are") {
  CHECK(tokens("보고서 최종") == "보고서 최종");
  CHECK(tokens("דוח.סופי") == "דוח סופי");
  CHECK(tokens("रिपोर्ट।अंतिम") == "रिपोर्ट अंतिम");
}

TEST_CASE("emoji and symbols separate, joiners and soft hyphens do not") {
  CHECK(tokens("final🎉draft👨‍👩‍👧x") == "final draft x");
  CHECK(tokens("a²b©c№d") == "a b c d");
  CHECK(tokens("re\u00adport") == "report");
}

TEST_CASE("bytes that are not UTF-8, and NUL, separate words") {
  CHECK(tokens("ab\xff"
               "cd") == "ab cd");
  CHECK(tokens("ab\xd0") == "ab");
  CHECK(tokens("\xc0\xaf\xed\xa0\x80x") == "x");
  CHECK(tokens("final\0draft"s) == "final draft");
}

TEST_CASE("a word longer than 64 characters is cut there, in any script") {
  CHECK(tokens(std::string(65, '7')) == std::string(64, '7'));
  CHECK(tokens(std::string(63, '7') + "ß") == std::string(63, '7') + "s");
  std::string hangul;
  for (int i = 0; i < 100; ++i) hangul += "보";
  CHECK(tokens(hangul) == hangul.substr(0, std::size_t{64} * 3));
  CHECK(tokens(std::string(10'000'000, 'a')).size() <= 2 * kTokenSizeMost + 1);
}

TEST_CASE("an entry is found by name, tags, description and user, each token once") {
  FileEntry entry;
  entry.original_filename = "final report.pdf";
  entry.tags = {"Report", "finance"};
  entry.description = "The final report";
  entry.created_by_username = "ivan.petrov";
  entry.created_by_fullname = "Иван Петров";
  entry.content_type = "application/pdf";
  CHECK(entry_tokens(entry) ==
        "final report pdf\nfinanc finance\nthe\nivan petrov ива иван петр петров");
}

TEST_CASE("an entry without words has four empty parts") {
  CHECK(entry_tokens(FileEntry{}) == "\n\n\n");
}

TEST_CASE("ten megabytes of description give a bounded text that ends with a whole token") {
  FileEntry entry;
  std::string text;
  for (int i = 0; text.size() < 10'000'000; ++i) text += std::to_string(i) + " ";
  entry.description = text;
  const std::string out = entry_tokens(entry);
  CHECK(out.size() <= kEntryTokensMost);
  CHECK(out.size() > kEntryTokensMost - kTokenSizeMost);
  CHECK(text.starts_with(out.substr(2, out.size() - 3) + " "));
}

TEST_CASE("random bytes give only tokens that any engine keeps as they are") {
  const char* given = std::getenv("ARTCACHE_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  INFO("ARTCACHE_SEED=" << seed);
  std::mt19937_64 random(seed);
  const std::vector<std::string> pieces = {"a",    "S",      "ing", "и", "\u0306", "\u0301", "ß",
                                           "ёт",   "ОВ",     "日",  "9", " ",      "\n",     "\0"s,
                                           "\xd0", "\u200d", "🎉",   "ы", "Ⅷ",      "ς",      "ﾊ"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto n = random() % 40; n > 0; --n) {
      const auto kind = random() % 30;
      if (kind < pieces.size())
        text += pieces[kind];
      else
        text.push_back(static_cast<char>(random()));
    }
    CAPTURE(text);
    const std::string out = tokens(text);
    REQUIRE(is_token_text(out));
    REQUIRE(tokens(text) == out);
    REQUIRE(out.find("  ") == std::string::npos);
    REQUIRE((out.empty() || (out.front() != ' ' && out.back() != ' ')));
  }
}

TEST_CASE("many threads get the same tokens as one") {
  std::string text;
  for (int i = 0; i < 20'000; ++i)
    text += "word" + std::string(static_cast<std::size_t>(i % 7), 's') + "ings отчёт" +
            std::string(static_cast<std::size_t>(i % 26), 'x') + "и ";
  const std::string expected = tokens(text);
  std::vector<std::string> results(4);
  std::vector<std::thread> threads;
  for (std::string& result : results) threads.emplace_back([&] { append_tokens(result, text); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : results) CHECK(result == expected);
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::search
