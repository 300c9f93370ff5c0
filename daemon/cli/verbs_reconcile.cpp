// SPDX-License-Identifier: Apache-2.0
// rebuild, check, repair, cleanup: an index and its storage kept in step.
#include <CLI/CLI.hpp>
#include <artcache/json_writer.hpp>
#include <cstdio>

#include "cli/files.hpp"
#include "cli/place.hpp"
#include "cli/verbs.hpp"

namespace artcache::cli {
namespace {

std::string seconds_text(const RunVerdict& verdict) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f s",
                std::chrono::duration<double>(verdict.duration).count());
  return text;
}

template <class Report>
void print_json(const Report& report) {
  JsonWriter json(JsonWriter::Layout::indented);
  json.begin_object();
  append_members(json, report);
  print_line(std::move(json.end_object()).str());
}

void print_messages(const MessageList& list) {
  for (const std::string& text : list.texts) std::fprintf(stderr, "artcache: %s\n", text.c_str());
  if (list.total > list.texts.size())
    std::fprintf(stderr, "artcache: … and %llu more\n",
                 static_cast<unsigned long long>(list.total - list.texts.size()));
}

/// What was not seen may hide anything, so a run that did not see all has not succeeded.
int verdict_code(const RunVerdict& verdict) {
  if (verdict.complete()) return kDone;
  std::fprintf(stderr, "artcache: not complete: %s\n", verdict.not_seen.c_str());
  return exit_code(Errc::unavailable);
}

int stopped(const Error& error) {
  if (error.code == Errc::cancelled)
    std::fprintf(stderr, "artcache: stopped; the next run goes on from here\n");
  return fail(error);
}

// --- rebuild ------------------------------------------------------------------------------------

struct RebuildOptions : CommonOptions {
  bool incremental = false, prune = false;
  std::string prefix;
};

void print_rebuild(const RebuildReport& report) {
  const RunStatistics& s = report.statistics;
  std::printf("%s rebuild: %llu sidecars, %llu opened, in %s\n",
              std::string(to_string(report.kind)).c_str(),
              static_cast<unsigned long long>(s.attr_files_scanned),
              static_cast<unsigned long long>(s.sidecars_opened),
              seconds_text(report.verdict).c_str());
  std::printf("  %llu new, %llu changed, %llu as they were, %llu removed\n",
              static_cast<unsigned long long>(s.entries_inserted),
              static_cast<unsigned long long>(s.entries_changed),
              static_cast<unsigned long long>(s.entries_unchanged),
              static_cast<unsigned long long>(s.entries_deleted));
  if (s.unreadable > 0)
    std::printf("  %llu sidecars could not be read\n",
                static_cast<unsigned long long>(s.unreadable));
  if (s.twins > 0)
    std::printf("  %llu sidecars tell of an id that a newer one tells of\n",
                static_cast<unsigned long long>(s.twins));
  std::printf("  the index holds %llu entries at %s\n",
              static_cast<unsigned long long>(s.cache_entries_after),
              to_string(report.verdict.to).c_str());
}

int run_rebuild(const RebuildOptions& options) {
  auto place = open_place(options, Needs::index_and_storage, IfMissing::create);
  if (!place) return fail(place.error());
  const RebuildRequest request{.folder = options.prefix,
                               .prune = options.prune ? Prune::yes : Prune::no,
                               .progress = place->progress()};
  const auto report = options.incremental
                          ? place->service->rebuild_incremental(request, place->call)
                          : place->service->rebuild_full(request, place->call);
  place->end_progress();
  if (!report) return stopped(report.error());
  if (options.as_json) {
    print_json(*report);
  } else {
    print_messages(report->errors);
    print_rebuild(*report);
  }
  return verdict_code(report->verdict);
}

void add_rebuild(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand("rebuild", "Makes the index say what the sidecars say");
  auto options = std::make_shared<RebuildOptions>();
  add_common(*verb, *options, Needs::index_and_storage);
  verb->add_flag("--incremental", options->incremental,
                 "Opens only new and changed sidecars, and removes nothing");
  verb->add_flag("--prune", options->prune,
                 "Removes entries without a sidecar, too; without --incremental it always does");
  verb->add_option("--prefix", options->prefix, "Only what is below this folder of the storage");
  verb->callback([options, &code] { code = run_rebuild(*options); });
}

// --- check --------------------------------------------------------------------------------------

struct CheckOptions : CommonOptions {
  bool data = false;
};

void print_finding(const Finding& finding) {
  std::printf("%-14s %s  %s%s%s\n", std::string(to_string(finding.kind)).c_str(),
              finding.id ? to_string(*finding.id).c_str() : "-", finding.path.c_str(),
              finding.detail.empty() ? "" : "  # ", finding.detail.c_str());
}

void print_check(const ConsistencyReport& report) {
  std::printf("%s: %llu sidecars, %llu entries, %.2f %% differ, in %s\n",
              report.is_consistent() ? "consistent" : "NOT consistent",
              static_cast<unsigned long long>(report.total_attr_files),
              static_cast<unsigned long long>(report.total_cache_entries),
              report.inconsistency_percentage(), seconds_text(report.verdict).c_str());
  for (std::size_t k = 0; k < kFindingKinds; ++k)
    if (const auto kind = static_cast<FindingKind>(k); report.count(kind) > 0)
      std::printf("  %-14s %llu\n", std::string(to_string(kind)).c_str(),
                  static_cast<unsigned long long>(report.count(kind)));
  if (report.data_files_verified > 0)
    std::printf(
        "  %llu data files have the bytes that their sidecars promise, or are named above\n",
        static_cast<unsigned long long>(report.data_files_verified));
  if (!report.suspect_reason.empty())
    std::printf("  the index is suspect: %s\n", report.suspect_reason.c_str());
}

int run_check(const CheckOptions& options) {
  auto place = open_place(options, Needs::index_and_storage);
  if (!place) return fail(place.error());
  CheckRequest request{.data = options.data ? DataCheck::checksums : DataCheck::names,
                       .progress = place->progress()};
  if (!options.as_json)
    request.on_finding = [&](const Finding& finding) {
      place->end_progress();
      if (finding.kind != FindingKind::expired) print_finding(finding);
    };
  const auto report = place->service->check_consistency(request, place->call);
  place->end_progress();
  if (!report) return fail(report.error());
  if (options.as_json) {
    print_json(*report);
  } else {
    print_messages(report->errors);
    print_check(*report);
  }
  if (!report->is_consistent() || report->count(FindingKind::bad_checksum) > 0)
    return kInconsistent;
  return verdict_code(report->verdict);
}

void add_check(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand(
      "check",
      "Compares index, sidecars and data files, and changes nothing; exits with 2 when "
      "index and sidecars differ");
  auto options = std::make_shared<CheckOptions>();
  add_common(*verb, *options, Needs::index_and_storage);
  verb->add_flag("--data", options->data, "Reads every data file and verifies its SHA-256");
  verb->callback([options, &code] { code = run_check(*options); });
}

// --- repair -------------------------------------------------------------------------------------

struct RepairOptions : CommonOptions {
  std::string from = "storage";
  bool dry_run = false;
};

/// Uploads and removals that were cut short are finished or undone; of the living they are left.
int settle_pending(const Place& place, const RepairOptions& options) {
  if (options.dry_run) return kDone;
  const auto settled = make_file_service(place, options).recover(place.call);
  if (!settled) return stopped(settled.error());
  for (const std::string& text : settled->left)
    std::fprintf(stderr, "artcache: %s\n", text.c_str());
  if (settled->watched > 0)
    std::fprintf(stderr,
                 "artcache: %llu changes were cut short so lately that the storage may still carry "
                 "them out; repair again in half a minute\n",
                 static_cast<unsigned long long>(settled->watched));
  return kDone;
}

int run_repair(const RepairOptions& options) {
  auto place = open_place(options, Needs::index_and_storage, IfMissing::create);
  if (!place) return fail(place.error());
  if (const int code = settle_pending(*place, options); code != kDone) return code;
  const RepairRequest request{
      .from = options.from == "index" ? RepairFrom::index : RepairFrom::storage,
      .dry_run = options.dry_run ? DryRun::yes : DryRun::no,
      .progress = place->progress()};
  const auto report = place->service->repair(request, place->call);
  place->end_progress();
  if (!report) return stopped(report.error());
  if (options.as_json) {
    print_json(*report);
  } else {
    print_messages(report->errors);
    const char* const would = options.dry_run ? "would have " : "";
    std::printf("repair: %sput %llu entries, removed %llu, written %llu sidecars, in %s\n", would,
                static_cast<unsigned long long>(report->entries_put),
                static_cast<unsigned long long>(report->entries_removed),
                static_cast<unsigned long long>(report->sidecars_written),
                seconds_text(report->verdict).c_str());
    for (const Finding& finding : report->left) print_finding(finding);
    if (report->left_total > 0)
      std::printf("  %llu things it does not mend; `artcache doctor` says what does\n",
                  static_cast<unsigned long long>(report->left_total));
  }
  return verdict_code(report->verdict);
}

void add_repair(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand("repair", "Mends what a check finds between index and storage");
  auto options = std::make_shared<RepairOptions>();
  add_common(*verb, *options, Needs::index_and_storage);
  verb->add_option("--from", options->from,
                   "storage: the sidecars are right; index: lost sidecars are written anew where "
                   "their data file stands")
      ->check(CLI::IsMember({"storage", "index"}))
      ->capture_default_str();
  verb->add_flag("--dry-run", options->dry_run, "Only says what would be done");
  verb->callback([options, &code] { code = run_repair(*options); });
}

// --- cleanup ------------------------------------------------------------------------------------

int run_cleanup(const CommonOptions& options) {
  auto place = open_place(options, Needs::index_and_storage);
  if (!place) return fail(place.error());
  const auto report = place->service->cleanup_expired(place->call);
  if (!report) return stopped(report.error());
  if (options.as_json) {
    print_json(*report);
  } else {
    const RunStatistics& s = report->statistics;
    print_messages(report->errors);
    std::printf(
        "cleanup: %llu expired entries: %llu replaced by what their sidecars say, %llu "
        "removed, in %s\n",
        static_cast<unsigned long long>(s.entries_deleted),
        static_cast<unsigned long long>(s.entries_refreshed),
        static_cast<unsigned long long>(s.entries_deleted - s.entries_refreshed),
        seconds_text(report->verdict).c_str());
  }
  return verdict_code(report->verdict);
}

void add_cleanup(CLI::App& app, int& code) {
  auto* verb = app.add_subcommand(
      "cleanup", "Replaces expired entries by what their sidecars say, removes those without one");
  auto options = std::make_shared<CommonOptions>();
  add_common(*verb, *options, Needs::index_and_storage);
  verb->callback([options, &code] { code = run_cleanup(*options); });
}

}  // namespace

void add_reconcile_verbs(CLI::App& app, int& code) {
  add_rebuild(app, code);
  add_check(app, code);
  add_repair(app, code);
  add_cleanup(app, code);
}

}  // namespace artcache::cli
