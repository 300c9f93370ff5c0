// SPDX-License-Identifier: Apache-2.0
// Names and JSON shapes of the reports.
#include <algorithm>
#include <array>
#include <artcache/cache_rebuild_service.hpp>
#include <artcache/watch.hpp>
#include <cmath>

#include "core/reconcile/context.hpp"

namespace artcache {
namespace {

struct KindName {
  std::string_view one;      // the wire name
  std::string_view counter;  // the member with their number
  std::string_view list;     // the member with the findings
};
constexpr std::array<KindName, kFindingKinds> kKinds{{
    {"orphan_cache", "orphan_cache_count", "orphan_cache_entries"},
    {"orphan_attr", "orphan_attr_count", "orphan_attr_files"},
    {"stale", "stale_count", "stale_entries"},
    {"expired", "expired_cache_count", "expired_cache_entries"},
    {"unreadable", "unreadable_count", "unreadable_files"},
    {"missing_data", "missing_data_count", "missing_data_files"},
    {"orphan_data", "orphan_data_count", "orphan_data_files"},
    {"size_mismatch", "size_mismatch_count", "size_mismatch_files"},
    {"bad_checksum", "bad_checksum_count", "bad_checksum_files"},
    {"pending", "pending_count", "pending_files"},
}};

const KindName& name_of(FindingKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

void append_verdict(JsonWriter& json, const RunVerdict& verdict) {
  json.member("complete", verdict.complete());
  if (!verdict.complete()) json.member("not_seen", verdict.not_seen);
  json.member("position_from", to_string(verdict.from));
  json.member("position_to", to_string(verdict.to));
}

void append_times(JsonWriter& json, const RunVerdict& verdict) {
  json.member("started_at", to_string(verdict.started_at));
  json.member("completed_at", to_string(verdict.completed_at));
  json.member("duration_seconds", reconcile::seconds_of(verdict.duration));
}

void append_messages(JsonWriter& json, const MessageList& list) {
  json.key("errors").begin_array();
  for (const std::string& text : list.texts) json.value(text);
  json.end_array();
  json.member("errors_total", list.total);
}

void append_finding(JsonWriter& json, const Finding& finding) {
  json.begin_object().member("kind", to_string(finding.kind));
  if (finding.id) json.member("file_id", to_string(*finding.id));
  json.member("path", finding.path);
  if (!finding.detail.empty()) json.member("detail", finding.detail);
  json.end_object();
}

/// Scripts read ids there; what has none shows its path.
std::string short_name(const Finding& finding) {
  return finding.id ? to_string(*finding.id) : finding.path;
}

}  // namespace

std::string_view to_string(RunKind kind) {
  switch (kind) {
    case RunKind::full:
      return "full";
    case RunKind::incremental:
      return "incremental";
    case RunKind::cleanup_expired:
      break;
  }
  return "cleanup_expired";
}

std::string_view to_string(FindingKind kind) { return name_of(kind).one; }

bool ConsistencyReport::is_consistent() const {
  return count(FindingKind::orphan_cache) + count(FindingKind::orphan_attr) +
             count(FindingKind::stale) ==
         0;
}

double ConsistencyReport::inconsistency_percentage() const {
  const std::uint64_t whole = std::max(total_attr_files, total_cache_entries);
  if (whole == 0) return 0;
  const std::uint64_t differ = count(FindingKind::orphan_cache) + count(FindingKind::orphan_attr) +
                               count(FindingKind::stale);
  const double percent = 100.0 * static_cast<double>(differ) / static_cast<double>(whole);
  return std::round(percent * 100) / 100;
}

void append_members(JsonWriter& json, const RebuildReport& report) {
  const RunStatistics& s = report.statistics;
  json.member("operation_type", to_string(report.kind));
  append_times(json, report.verdict);
  json.key("statistics").begin_object();
  json.member("attr_files_scanned", s.attr_files_scanned)
      .member("cache_entries_before", s.cache_entries_before)
      .member("cache_entries_after", s.cache_entries_after)
      .member("entries_created", s.entries_created)
      .member("entries_updated", s.entries_updated)
      .member("entries_deleted", s.entries_deleted)
      .member("entries_inserted", s.entries_inserted)
      .member("entries_changed", s.entries_changed)
      .member("entries_unchanged", s.entries_unchanged)
      .member("entries_refreshed", s.entries_refreshed)
      .member("sidecars_opened", s.sidecars_opened)
      .member("bytes_read", s.bytes_read)
      .member("unreadable", s.unreadable)
      .member("twins", s.twins);
  json.end_object();
  append_messages(json, report.errors);
  json.member("details_truncated", report.errors.texts.size() < report.errors.total);
  append_verdict(json, report.verdict);
}

void append_members(JsonWriter& json, const ConsistencyReport& report) {
  json.member("total_attr_files", report.total_attr_files)
      .member("total_cache_entries", report.total_cache_entries);
  bool truncated = report.errors.texts.size() < report.errors.total;
  for (std::size_t k = 0; k < kFindingKinds; ++k) {
    const auto kind = static_cast<FindingKind>(k);
    json.member(name_of(kind).counter, report.count(kind));
    const auto named = std::ranges::count(report.findings, kind, &Finding::kind);
    truncated |= static_cast<std::uint64_t>(named) < report.count(kind);
  }
  json.member("is_consistent", report.is_consistent())
      .member("inconsistency_percentage", report.inconsistency_percentage());
  json.key("details").begin_object();
  for (std::size_t k = 0; k < kFindingKinds; ++k) {
    const auto kind = static_cast<FindingKind>(k);
    json.key(name_of(kind).list).begin_array();
    for (const Finding& finding : report.findings)
      if (finding.kind == kind) json.value(short_name(finding));
    json.end_array();
  }
  json.end_object();
  json.key("findings").begin_array();
  for (const Finding& finding : report.findings) append_finding(json, finding);
  json.end_array();
  json.member("details_truncated", truncated);
  json.member("data_files_verified", report.data_files_verified);
  json.member("trusted", report.suspect_reason.empty());
  if (!report.suspect_reason.empty()) json.member("suspect_reason", report.suspect_reason);
  append_messages(json, report.errors);
  append_times(json, report.verdict);
  append_verdict(json, report.verdict);
}

void append_members(JsonWriter& json, const RepairReport& report) {
  append_times(json, report.verdict);
  json.member("entries_put", report.entries_put)
      .member("entries_removed", report.entries_removed)
      .member("sidecars_written", report.sidecars_written)
      .member("left_total", report.left_total);
  json.key("left").begin_array();
  for (const Finding& finding : report.left) append_finding(json, finding);
  json.end_array();
  append_messages(json, report.errors);
  append_verdict(json, report.verdict);
}

std::string_view to_string(WatchEvent::Kind kind) {
  static constexpr std::array<std::string_view, 6> kNames{"began", "applied", "rescanned",
                                                          "lost",  "trusted", "retrying"};
  return kNames[static_cast<std::size_t>(kind)];
}

void append_members(JsonWriter& json, const WatchEvent& event) {
  using Kind = WatchEvent::Kind;
  json.member("event", to_string(event.kind)).member("at", to_string(event.at));
  if (event.kind == Kind::rescanned) json.member("folder", event.folder);
  if (event.kind == Kind::rescanned || event.kind == Kind::applied) {
    json.member("sidecars", event.sidecars)
        .member("inserted", event.inserted)
        .member("changed", event.changed)
        .member("removed", event.removed)
        .member("unreadable", event.unreadable)
        .member("duration_seconds", reconcile::seconds_of(event.took));
  }
  if (!event.message.empty()) json.member("message", event.message);
  json.member("pending", event.pending);
}

}  // namespace artcache
