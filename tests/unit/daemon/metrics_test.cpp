// SPDX-License-Identifier: Apache-2.0
#include "common/metrics_registry.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include "common/log_writer.hpp"
#include "support/fake_clock.hpp"
#include "support/temp_dir.hpp"

namespace artcache {
namespace {

TEST_SUITE("metrics") {
  TEST_CASE("numbers are printed by name and labels, a histogram with its buckets") {
    MetricsRegistry metrics;
    const MetricLabel get[] = {{"method", "GET"}, {"route", "/a\"b\\c\nd"}};
    metrics.count("b_total", get, 1);
    metrics.count("b_total", get, 2.5);
    metrics.gauge("a", {}, 3);
    metrics.gauge("a", {}, -1);
    metrics.observe("c_seconds", {}, 0.003);
    metrics.observe("c_seconds", {}, 5000);
    const std::string text = metrics.text();
    CHECK(
        text.starts_with("# TYPE a gauge\na -1\n# TYPE b_total counter\n"
                         "b_total{method=\"GET\",route=\"/a\\\"b\\\\c\\nd\"} 3.5\n"));
    CHECK(text.find("c_seconds_bucket{le=\"0.0025\"} 0\n") != std::string::npos);
    CHECK(text.find("c_seconds_bucket{le=\"0.005\"} 1\n") != std::string::npos);
    CHECK(text.find("c_seconds_bucket{le=\"+Inf\"} 2\n") != std::string::npos);
    CHECK(text.ends_with("c_seconds_sum 5000.003\nc_seconds_count 2\n"));
  }

  TEST_CASE("a name keeps its kind, and labels without end do not fill the memory") {
    MetricsRegistry metrics(3);
    metrics.count("a", {}, 1);
    metrics.gauge("a", {}, 7);
    CHECK(metrics.text() == "# TYPE a counter\na 1\n");
    for (int i = 0; i < 100; ++i) {
      const std::string id = std::to_string(i);
      const MetricLabel labels[] = {{"id", id}};
      metrics.count("b", labels, 1);
    }
    CHECK(metrics.text() ==
          "# TYPE a counter\na 1\n# TYPE b counter\n"
          "b{id=\"0\"} 1\nb{id=\"1\"} 1\n");
  }

  TEST_CASE("what is not a number ends a gauge, and begins what is counted and observed at 0") {
    MetricsRegistry metrics(3);
    const double none = std::numeric_limits<double>::quiet_NaN();
    const MetricLabel rw[] = {{"mode", "rw"}}, ro[] = {{"mode", "ro"}};
    metrics.gauge("a", rw, 1);
    metrics.gauge("a", rw, none);
    metrics.gauge("a", ro, none);
    CHECK(metrics.text().empty());
    metrics.count("b_total", {}, 0);
    metrics.observe("c_seconds", {}, none);
    metrics.gauge("a", ro, 2);  // in the place of the one that has ended
    const std::string text = metrics.text();
    CHECK(
        text.starts_with("# TYPE a gauge\na{mode=\"ro\"} 2\n# TYPE b_total counter\nb_total 0\n"));
    CHECK(text.find("c_seconds_bucket{le=\"+Inf\"} 0\n") != std::string::npos);
    CHECK(text.ends_with("c_seconds_sum 0\nc_seconds_count 0\n"));
  }
}

TEST_SUITE("log writer") {
  TEST_CASE("a line goes to the end of the file, and to a new one once the old was moved away") {
    const test::TempDir dir;
    const test::FakeClock clock;
    const auto text_of = [](const std::string& file) {
      std::ifstream in(file);
      return std::string(std::istreambuf_iterator<char>(in), {});
    };
    auto log = LogWriter::open(dir / "log", LogWriter::Layout::text, LogLevel::info, clock);
    REQUIRE(log);
    const LogField fields[] = {{"n", std::int64_t{1}}};
    (*log)->log({.level = LogLevel::info,
                 .logger = "x",
                 .message = "one",
                 .fields = fields,
                 .request_id = {}});
    (*log)->log({.level = LogLevel::debug,
                 .logger = "x",
                 .message = "unseen",
                 .fields = {},
                 .request_id = {}});
    const std::string line = text_of(dir / "log");
    CHECK(line.starts_with("INFO: one | "));
    CHECK(line.find("n=1") != std::string::npos);
    CHECK(line.find("logger=x ") != std::string::npos);
    CHECK(line.find("time=2026-03-02T10:11:12.000000+00:00\n") != std::string::npos);
    REQUIRE(std::rename((dir / "log").c_str(), (dir / "old").c_str()) == 0);
    REQUIRE((*log)->reopen());
    (*log)->log({.level = LogLevel::error,
                 .logger = "x",
                 .message = "two",
                 .fields = {},
                 .request_id = {}});
    CHECK(text_of(dir / "old") == line);
    CHECK(text_of(dir / "log").starts_with("ERROR: two"));
  }

  TEST_CASE("a file that cannot be written and a level that is none are told") {
    const test::FakeClock clock;
    CHECK(LogWriter::open("/nowhere/log", LogWriter::Layout::json, LogLevel::info, clock)
              .error()
              .code == Errc::unavailable);
    CHECK(parse_log_level("Warn") == LogLevel::warning);
    CHECK(parse_log_level("DEBUG") == LogLevel::debug);
    CHECK_FALSE(parse_log_level("loud"));
  }
}

}  // namespace
}  // namespace artcache
