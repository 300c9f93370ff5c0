// SPDX-License-Identifier: Apache-2.0
// artcache_bench: one table of all figures, and the same as JSON.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <artcache/json_writer.hpp>
#include <artcache/version.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "bench/bench.hpp"
#include "sql/sqlite/process.hpp"

namespace artcache::bench {

double time_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return Seconds(std::chrono::steady_clock::now() - begin).count();
}

Pair best_of(int rounds, const std::function<void()>& ours, const std::function<void()>& floor) {
  Pair best{1e100, 1e100};
  for (int i = 0; i < rounds; ++i) {
    best.floor = std::min(best.floor, time_of(floor));
    best.ours = std::min(best.ours, time_of(ours));
  }
  return best;
}

double peak_memory_of(const std::function<void()>& work) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) give_up("fork failed");
  if (child == 0) {
    work();
    std::_Exit(0);
  }
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  if (status != 0) give_up("a measured process failed");
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void give_up(const std::string& message) {
  std::fprintf(stderr, "bench: %s\n", message.c_str());
  std::_Exit(1);
}

namespace {

void print_table(const std::vector<Figure>& figures) {
  std::printf("%-52s %12s %12s %7s %6s %6s\n", "figure", "ours", "floor", "ratio", "must", "aim");
  for (const Figure& f : figures) {
    char floor[32] = "";
    if (f.floor > 0) std::snprintf(floor, sizeof floor, "%.3f %s", f.floor, f.unit.c_str());
    char ours[32];
    std::snprintf(ours, sizeof ours, "%.3f %s", f.value, f.unit.c_str());
    std::printf("%-52s %12s %12s %7.2f %6.2f %6.2f%s\n", (f.group + ": " + f.name).c_str(), ours,
                floor, f.ratio(), f.must, f.aim, f.good_enough() ? "" : "  MISSED");
    if (!f.floor_name.empty()) std::printf("    / %s\n", f.floor_name.c_str());
  }
}

void write_json(const std::vector<Figure>& figures, const Options& options) {
  JsonWriter json(JsonWriter::Layout::indented);
  json.begin_object().member("version", version()).member("files", options.files);
  json.key("figures").begin_array();
  for (const Figure& f : figures)
    json.begin_object()
        .member("group", f.group)
        .member("name", f.name)
        .member("value", f.value)
        .member("floor", f.floor)
        .member("floor_name", f.floor_name)
        .member("unit", f.unit)
        .member("ratio", f.ratio())
        .member("must", f.must)
        .member("aim", f.aim)
        .end_object();
  json.end_array().end_object();
  std::ofstream(options.json_file) << json.str() << '\n';
}

bool wanted(const Options& options, const std::string& group) {
  return options.only.empty() || group.starts_with(options.only);
}

}  // namespace
}  // namespace artcache::bench

int main(int argc, char** argv) {
  using namespace artcache::bench;
  // As our programs do, and as the documents advise others to; it counts for the floors too.
  artcache::sql::count_no_sqlite_memory();
  Options options;
  CLI::App app{"Measures artcache: each figure beside its floor from the same run."};
  app.add_option("--folder", options.folder, "Where stores and indexes are made")
      ->capture_default_str();
  app.add_option("--files", options.files, "Files in the sample store")->capture_default_str();
  app.add_option(
      "--only", options.only,
      "Only groups that begin with this (memory, codec, storage, index, load, reconcile, scale,"
      " watch, locks, files, follow, follow-postgres, postgres, s3)");
  app.add_option("--json-file", options.json_file, "Write the table there as JSON too");
  CLI11_PARSE(app, argc, argv);

  std::vector<Figure> figures;
  const auto add = [&](const std::string& group, const auto& measure) {
    if (!wanted(options, group)) return;
    std::fprintf(stderr, "measuring %s ...\n", group.c_str());
    for (Figure& figure : measure(options)) figures.push_back(std::move(figure));
  };
  // First: a child counts what this process has in memory when it begins.
  add("memory", memory_figures);
  add("codec", codec_figures);
  add("storage", storage_figures);
  add("index", index_figures);
  add("load", load_figures);
  add("reconcile", reconcile_figures);
  add("scale", scale_figures);
  add("watch", watch_figures);
  add("locks", locks_figures);
  add("files", files_figures);
  add("follow", follow_figures);
#if ARTCACHE_WITH_POSTGRES
  add("follow-postgres", follow_postgres_figures);
  add("postgres", postgres_figures);
#endif
#if ARTCACHE_WITH_S3
  add("s3", s3_figures);
#endif
  print_table(figures);
  if (!options.json_file.empty()) write_json(figures, options);
  return 0;
}
