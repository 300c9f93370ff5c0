// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <artcache/logger.hpp>
#include <artcache/metrics.hpp>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "unit/core/attr/vectors.hpp"
#include "util/json_scan.hpp"
#include "util/utf8.hpp"

namespace artcache {
namespace {

using Fields = std::vector<LogField>;

LogRecord record(std::string_view message, const Fields& fields = {}, std::string_view id = "") {
  return {LogLevel::info, "cache_rebuild", message, fields, id};
}

std::string text_of(std::string_view value) {
  const Fields fields{{"k", value}};
  return to_text(record("m", fields)).substr(std::string_view("INFO: m | k=").size());
}

/// One line, whatever a reader takes for the end of a line, and UTF-8 without control characters.
bool is_one_clean_line(std::string_view line) {
  if (util::utf8_valid_prefix(line) != line.size()) return false;
  for (std::size_t i = 0; i < line.size(); ++i)
    if (util::control_character(line.substr(i)) != 0) return false;
  return true;
}

bool is_json_object(std::string_view line) {
  util::JsonScanner scanner(line);
  util::JsonValue name, value;
  if (!scanner.check_start() || !scanner.enter_object()) return false;
  while (scanner.next_member(name, value)) continue;
  return !scanner.failed() && scanner.at_end();
}

TEST_SUITE("logger") {
  TEST_CASE("levels are told in capitals") {
    CHECK(to_string(LogLevel::debug) == "DEBUG");
    CHECK(to_string(LogLevel::info) == "INFO");
    CHECK(to_string(LogLevel::warning) == "WARNING");
    CHECK(to_string(LogLevel::error) == "ERROR");
    LogRecord line = record("m");
    line.level = LogLevel::warning;
    CHECK(to_text(line) == "WARNING: m");
    CHECK(to_json(line).starts_with(R"({"level":"WARNING",)"));
  }

  TEST_CASE("a text line is level, message and fields in their order, request id last") {
    const Fields fields{{"path", "a/b"}, {"count", std::int64_t{-7}}, {"share", 12.5}};
    CHECK(to_text(record("Processed 100 entries...")) == "INFO: Processed 100 entries...");
    CHECK(to_text(record("read", fields)) == "INFO: read | path=a/b count=-7 share=12.5");
    CHECK(to_text(record("read", fields, "req-1")) ==
          "INFO: read | path=a/b count=-7 share=12.5 request_id=req-1");
    CHECK(to_text(record("read", {}, "req-1")) == "INFO: read | request_id=req-1");
  }

  TEST_CASE("a JSON line has the same under their names") {
    const Fields fields{{"path", "a/b"}, {"count", std::int64_t{-7}}, {"share", 100.0}};
    CHECK(to_json(record("read", fields, "req-1")) ==
          R"({"level":"INFO","logger":"cache_rebuild","message":"read","request_id":"req-1",)"
          R"("path":"a/b","count":-7,"share":100.0})");
    CHECK(to_json(record("read")) ==
          R"({"level":"INFO","logger":"cache_rebuild","message":"read"})");
  }

  TEST_CASE("a value stands in quotes where it could be misread") {
    CHECK(text_of("plain-1.2_3/x:y|z") == "plain-1.2_3/x:y|z");
    CHECK(text_of("Привет") == "Привет");
    CHECK(text_of("") == R"("")");
    CHECK(text_of("two words") == R"("two words")");
    CHECK(text_of("a=b") == R"("a=b")");
    CHECK(text_of("a\"b") == R"("a\"b")");
    CHECK(text_of("a\\b") == R"("a\\b")");
  }

  TEST_CASE("control characters of a value are escaped, those beyond ASCII too") {
    CHECK(text_of("a\nb\r\t") == R"("a\nb\r\t")");
    CHECK(text_of(std::string_view("\0\x1b[31m", 6)) == R"("\u0000\u001b[31m")");
    CHECK(text_of("\x7f") == R"("\u007f")");
    CHECK(text_of("\xc2\x85|\xc2\x9b") == R"("\u0085|\u009b")");
    CHECK(text_of("\xe2\x80\xa8\xe2\x80\xa9") == R"("\u2028\u2029")");
    CHECK(text_of("\xff") == "\"\xef\xbf\xbd\"");
  }

  TEST_CASE("a message keeps its words; what would break the line becomes a blank") {
    CHECK(to_text(record("a\nERROR: forged\r\x1b[31m\x7f")) == "INFO: a ERROR: forged  [31m ");
    CHECK(to_text(record("a\xe2\x80\xa8"
                         "b\xc2\x85"
                         "c")) == "INFO: a b c");
    CHECK(to_text(record("\"a\" = \\ Привет")) == "INFO: \"a\" = \\ Привет");
    CHECK(to_text(record("a\xff"
                         "b")) ==
          "INFO: a\xef\xbf\xbd"
          "b");
    CHECK(to_text(record("")) == "INFO: ");
  }

  TEST_CASE("a key or request id from outside cannot break the line either") {
    const Fields fields{{"a\nb", "x"}, {"c=d", std::int64_t{1}}};
    CHECK(to_text(record("m", fields, "r\n1")) ==
          R"(INFO: m | "a\nb"=x "c=d"=1 request_id="r\n1")");
  }

  TEST_CASE("numbers are plain decimals") {
    const Fields fields{{"a", 0.0},
                        {"b", 1e-7},
                        {"c", std::nan("")},
                        {"d", 1e15},
                        {"e", std::numeric_limits<std::int64_t>::min()}};
    CHECK(to_text(record("m", fields)) ==
          "INFO: m | a=0.0 b=0.0 c=null d=1000000000000000.0 e=-9223372036854775808");
    CHECK(to_json(record("m", fields))
              .ends_with(R"("a":0.0,"b":0.0,"c":null,"d":1000000000000000.0,)"
                         R"("e":-9223372036854775808})"));
  }

  TEST_CASE("one record is one line, whatever is inside") {
    const std::uint64_t seed = test::test_seed();
    MESSAGE("ARTCACHE_SEED=" << seed);
    std::mt19937_64 random(seed);
    const auto noise = [&] {
      static constexpr std::string_view kPieces[] = {
          "\n", "\r\n", "\xe2\x80\xa8", "\xc2\x85",     "\"",      "\\",   "=", "{",       "}",
          " ",  "a",    "\xff",         "\xed\xa0\x80", "\x1b[2J", "\x7f", "Ж", "\\u0000", "\\"};
      std::string text;
      for (std::size_t n = random() % 8; n > 0; --n) text += kPieces[random() % std::size(kPieces)];
      for (std::size_t n = random() % 8; n > 0; --n) text += static_cast<char>(random());
      return text;
    };
    for (int i = 0; i < 5'000; ++i) {
      const std::string message = noise(), key = noise(), value = noise(), id = noise();
      const Fields fields{{key, value}, {"n", 1.5}};
      const LogRecord line{LogLevel::error, value, message, fields, id};
      if (!is_one_clean_line(to_text(line))) FAIL_CHECK(to_text(line));
      const std::string json = to_json(line);
      if (json.find('\n') != std::string::npos || !is_json_object(json)) FAIL_CHECK(json);
    }
  }

  TEST_CASE("a hundred thousand line breaks in a text are still one line") {
    const std::string huge(100'000, '\n');
    const Fields fields{{"k", huge}};
    CHECK(to_text(record(huge, fields, huge)).find('\n') == std::string::npos);
    CHECK(to_json(record(huge, fields, huge)).find('\n') == std::string::npos);
  }

  TEST_CASE("the null logger wants nothing and takes everything") {
    for (const LogLevel level :
         {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error})
      CHECK_FALSE(null_logger().enabled(level));
    null_logger().log(record("m"));
    CHECK(&null_logger() == &null_logger());
  }
}

TEST_SUITE("metrics") {
  TEST_CASE("the null metrics take everything") {
    const MetricLabel labels[] = {{"operation", "put"}};
    null_metrics().count("artcache_puts_total", labels, 1);
    null_metrics().gauge("artcache_entries", {}, 7);
    null_metrics().observe("artcache_put_seconds", labels, 0.25);
    CHECK(&null_metrics() == &null_metrics());
  }
}

}  // namespace
}  // namespace artcache
