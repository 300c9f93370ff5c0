// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/findings.hpp"

#include <algorithm>

#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

/// Entries that others write while a check runs; beyond, the report says so.
constexpr std::size_t kTouchedMost = 100'000;
constexpr std::uint32_t kLogRows = 1000;

}  // namespace

Findings::Pending::Pending(std::span<const Intent> intents) {
  for (const Intent& intent : intents) {
    by_path.emplace(intent.path, intent.id);
    ids.insert(intent.id);
  }
}

bool Findings::Pending::holds(std::string_view data) const {
  return by_path.contains(std::string(data)) ||
         by_path.contains(std::string(data).append(kSidecarSuffix));
}

bool Findings::Pending::concerns(const Finding& finding) const {
  if (finding.kind == FindingKind::pending || finding.kind == FindingKind::expired) return false;
  if (finding.id) return ids.contains(*finding.id);
  return finding.kind == FindingKind::orphan_data && holds(finding.path);
}

Result<void> Findings::begin(const Position& from) {
  at_ = from;
  ARTCACHE_TRY(const auto intents, context_.index.intents(session_.call()));
  pending_ = Pending(intents);
  for (const Intent& intent : intents)
    add({FindingKind::pending, intent.id, intent.path, "an upload or removal is not finished"});
  return {};
}

Result<void> Findings::step(std::string_view progress) {
  if (waiting_.size() >= kChunk) ARTCACHE_CHECK(confirm());
  return session_.step(progress);
}

/// First who is at it, then what was done: who ends in between shows in one of them.
Result<void> Findings::confirm() {
  if (waiting_.empty()) return {};
  ARTCACHE_TRY(const auto intents, context_.index.intents(session_.call()));
  const Pending now(intents);
  ARTCACHE_CHECK(read_log());
  for (Finding& finding : waiting_) {
    ARTCACHE_TRY(const bool moot, is_moot(finding, now));
    if (!moot) count(std::move(finding));
  }
  waiting_.clear();
  return {};
}

Result<bool> Findings::is_moot(const Finding& finding, const Pending& now) const {
  if (pending_.concerns(finding) || now.concerns(finding)) return true;
  if (finding.id) return is_touched(finding.kind, *finding.id);
  if (finding.kind != FindingKind::orphan_data || touched_.empty()) return false;
  // Its upload or its removal may have come to its end since then.
  ARTCACHE_TRY(const bool stands, context_.may_stand(finding.path, session_.call()));
  if (!stands) return true;
  return context_.may_stand(finding.path + std::string(kSidecarSuffix), session_.call());
}

void Findings::count(Finding finding) {
  if (request_.on_finding) request_.on_finding(finding);
  if (finding.id) {
    if (counted_.size() < context_.settings.found_most)
      counted_.push_back({*finding.id, finding.kind});
    else
      blind_ = true;
  }
  std::uint64_t& count = counts_[static_cast<std::size_t>(finding.kind)];
  if (++count <= context_.settings.details_most) told_.push_back(std::move(finding));
}

Result<void> Findings::read_log() {
  while (touched_.size() < kTouchedMost) {
    auto slice = context_.index.read_after(at_, kLogRows, session_.call());
    if (!slice && slice.error().code != Errc::gone) return std::move(slice).error();
    if (slice && slice->rows.empty()) return {};
    blind_ = blind_ || !slice;
    if (!slice) return {};
    for (const LogRow& row : slice->rows)
      if (const auto id = FileId::parse(row.record.key)) touched_.insert(*id);
    at_ = slice->rows.back().position;
  }
  blind_ = true;
  return {};
}

Result<void> Findings::end(ConsistencyReport& report) {
  ARTCACHE_CHECK(confirm());
  ARTCACHE_CHECK(read_log());
  for (const Counted& counted : counted_)
    if (is_touched(counted.kind, counted.id)) --counts_[static_cast<std::size_t>(counted.kind)];
  std::erase_if(told_, [&](const Finding& finding) {
    return finding.id && is_touched(finding.kind, *finding.id);
  });
  if (blind_)
    tally_.message("so much was written while it ran that not all of it could be left out");
  std::ranges::copy(counts_, report.counts);
  report.findings = std::move(told_);
  return {};
}

}  // namespace artcache::reconcile
