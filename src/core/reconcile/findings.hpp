// SPDX-License-Identifier: Apache-2.0
// What a check finds, on its way into the report: nothing counts before it was held against what
// others have written meanwhile.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/reconcile/context.hpp"

namespace artcache::reconcile {

/// For one thread. In bounded memory: what waits is confirmed a thousand at a time; of what counts,
/// the report keeps the details that it has room for, and beyond them only id and kind are held.
class Findings {
 public:
  Findings(const Context& context, const CheckRequest& request, Session& session, Tally& tally)
      : context_(context), request_(request), session_(session), tally_(tally) {}

  /// Before anything is looked at: what is under way here is pending, and no damage.
  Result<void> begin(const Position& from);
  void add(Finding finding) { waiting_.push_back(std::move(finding)); }
  /// A safe point: confirms what waits when there is much of it. What somebody writes at that
  /// moment, or has written since the beginning, is no finding; the others are counted and told.
  Result<void> step(std::string_view progress);
  /// Confirms the rest, and takes back what was mended after it had counted.
  Result<void> end(ConsistencyReport& report);

  /// A data file of which an upload or removal was under way when the check began.
  [[nodiscard]] bool is_pending(std::string_view data) const { return pending_.holds(data); }

 private:
  struct Pending {
    std::unordered_map<std::string, FileId> by_path;
    std::unordered_set<FileId> ids;
    explicit Pending(std::span<const Intent> intents = {});
    [[nodiscard]] bool holds(std::string_view data) const;
    [[nodiscard]] bool concerns(const Finding& finding) const;
  };
  struct Counted {
    FileId id;
    FindingKind kind;
  };

  Result<void> confirm();
  Result<bool> is_moot(const Finding& finding, const Pending& now) const;
  void count(Finding finding);
  Result<void> read_log();
  [[nodiscard]] bool is_touched(FindingKind kind, const FileId& id) const {
    return kind != FindingKind::pending && touched_.contains(id);
  }

  const Context& context_;
  const CheckRequest& request_;
  Session& session_;
  Tally& tally_;
  Pending pending_;
  std::vector<Finding> waiting_;
  Position at_;         // of the log, up to which touched_ tells of it
  bool blind_ = false;  // more was written than is remembered
  std::unordered_set<FileId> touched_;
  std::vector<Counted> counted_;  // that the report may have to give back
  std::vector<Finding> told_;     // with their details
  std::uint64_t counts_[kFindingKinds] = {};
};

}  // namespace artcache::reconcile
