// SPDX-License-Identifier: Apache-2.0
// The one table of error codes, and the page that shows it.
#include <doctest/doctest.h>
#include <artcache/result.hpp>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace artcache {
namespace {

/// What the daemon answers and the program exits with is a promise to scripts: changed here, it is
/// changed for them.
struct Promise {
  Errc code;
  const char* name;
  int http_status, exit_code;
};

constexpr Promise kPromised[] = {
    {Errc::invalid_argument, "invalid_argument", 400, 64},
    {Errc::not_found, "not_found", 404, 4},
    {Errc::conflict, "conflict", 409, 1},
    {Errc::busy, "busy", 503, 3},
    {Errc::lease_lost, "lease_lost", 503, 3},
    {Errc::gone, "gone", 410, 1},
    {Errc::corrupt, "corrupt", 500, 1},
    {Errc::no_space, "no_space", 507, 1},
    {Errc::unavailable, "unavailable", 503, 1},
    {Errc::timed_out, "timed_out", 504, 1},
    {Errc::cancelled, "cancelled", 503, 1},
    {Errc::unsupported, "unsupported", 501, 1},
    {Errc::internal, "internal", 500, 1},
};

/// True for every code that the enum has. The compiler complains here when one is added.
bool is_listed(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
    case Errc::not_found:
    case Errc::conflict:
    case Errc::busy:
    case Errc::lease_lost:
    case Errc::gone:
    case Errc::corrupt:
    case Errc::no_space:
    case Errc::unavailable:
    case Errc::timed_out:
    case Errc::cancelled:
    case Errc::unsupported:
    case Errc::internal:
      return true;
  }
  return false;
}

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" `");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" `") - begin + 1);
}

/// The cells of the rows whose first cell is a word in backquotes.
std::vector<std::vector<std::string>> rows_of(std::istream& page) {
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("| `")) continue;
    auto& cells = rows.emplace_back();
    for (std::size_t begin = 1, bar = 0; (bar = line.find('|', begin)) != std::string::npos;
         begin = bar + 1)
      cells.push_back(trimmed(line.substr(begin, bar - begin)));
  }
  return rows;
}

TEST_SUITE("errc") {
  TEST_CASE("every code has one row, in the order of the enum") {
    const auto& table = errc_table();
    REQUIRE(table.size() == std::size(kPromised));
    for (std::size_t i = 0; i < table.size(); ++i) {
      CHECK(static_cast<std::size_t>(table[i].code) == i + 1);
      CHECK(is_listed(table[i].code));
    }
    CHECK_FALSE(is_listed(static_cast<Errc>(table.size() + 1)));
  }

  TEST_CASE("names, HTTP statuses and exit codes are the promised ones") {
    for (std::size_t i = 0; i < std::size(kPromised); ++i) {
      const Promise& promised = kPromised[i];
      CAPTURE(promised.name);
      const ErrcInfo& row = errc_table().at(i);
      CHECK(row.code == promised.code);
      CHECK(row.name == promised.name);
      CHECK(row.http_status == promised.http_status);
      CHECK(row.exit_code == promised.exit_code);
      CHECK(to_string(promised.code) == promised.name);
      CHECK(http_status(promised.code) == promised.http_status);
      CHECK(exit_code(promised.code) == promised.exit_code);
    }
  }

  TEST_CASE("names are different from each other and plain lower case") {
    std::set<std::string_view> names;
    for (const ErrcInfo& row : errc_table()) {
      CHECK(names.insert(row.name).second);
      CHECK(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
    }
  }

  TEST_CASE("every meaning is a sentence of its own") {
    std::set<std::string_view> meanings;
    for (const ErrcInfo& row : errc_table()) {
      CAPTURE(row.name);
      CHECK(row.meaning.ends_with('.'));
      CHECK(row.meaning.find('|') == std::string_view::npos);
      CHECK(meanings.insert(row.meaning).second);
    }
  }

  TEST_CASE("only errors have statuses from 400 on, and only failures exit codes above 0") {
    for (const ErrcInfo& row : errc_table()) {
      CHECK(row.http_status >= 400);
      CHECK(row.http_status <= 599);
      CHECK(row.exit_code > 0);
      CHECK(row.exit_code < 126);  // what shells answer by themselves begins there
      CHECK(row.exit_code != 2);   // inconsistent: the answer of a check, never an error
    }
  }

  TEST_CASE("a name read gives back its code") {
    for (const ErrcInfo& row : errc_table()) CHECK(parse_errc(row.name) == row.code);
  }

  TEST_CASE("what is no name gives nothing") {
    for (const std::string_view text :
         {std::string_view(""), std::string_view("ok"), std::string_view("BUSY"),
          std::string_view("busy "), std::string_view("bus"), std::string_view("busy\0", 5),
          std::string_view("not found"), std::string_view("\xff")})
      CHECK_FALSE(parse_errc(text).has_value());
    CHECK_FALSE(parse_errc(std::string(1'000'000, 'b')).has_value());
  }

  TEST_CASE("a number that is no code counts as a defect") {
    for (const int number : {0, 14, 255}) {
      const auto code = static_cast<Errc>(number);
      CHECK(to_string(code) == "internal");
      CHECK(http_status(code) == 500);
      CHECK(exit_code(code) == 1);
    }
  }

  TEST_CASE("the documentation shows the same table") {
    std::ifstream page(ARTCACHE_SOURCE_DIR "/docs/errors.md");
    if (!page) return;
    const auto rows = rows_of(page);
    REQUIRE(rows.size() == errc_table().size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const ErrcInfo& row = errc_table()[i];
      CAPTURE(row.name);
      REQUIRE(rows[i].size() == 4);
      CHECK(rows[i][0] == row.name);
      CHECK(rows[i][1] == std::to_string(row.http_status));
      CHECK(rows[i][2] == std::to_string(row.exit_code));
      CHECK(rows[i][3] == row.meaning);
    }
  }
}

}  // namespace
}  // namespace artcache
