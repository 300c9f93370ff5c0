// SPDX-License-Identifier: Apache-2.0
#include "core/reconcile/repair.hpp"

#include <algorithm>

#include "core/attr/sidecar.hpp"
#include "core/reconcile/applier.hpp"
#include "core/reconcile/check.hpp"
#include "core/reconcile/rebuild.hpp"
#include "util/try.hpp"

namespace artcache::reconcile {
namespace {

bool concerns_index(FindingKind kind) {
  return kind == FindingKind::orphan_cache || kind == FindingKind::orphan_attr ||
         kind == FindingKind::stale;
}

class Repair {
 public:
  Repair(const Context& context, const RepairRequest& request, Session& session)
      : context_(context), request_(request), session_(session), tally_(context) {}

  Result<RepairReport> run() {
    ARTCACHE_TRY(Stopwatch watch, Stopwatch::start(context_, session_.call()));
    if (request_.from == RepairFrom::index) ARTCACHE_CHECK(write_sidecars());
    if (request_.dry_run == DryRun::no) {
      // An entry whose sidecar cannot be written anew is all that is left of it.
      const Prune prune = request_.from == RepairFrom::storage ? Prune::yes : Prune::no;
      const RebuildRequest again{.prune = prune, .progress = request_.progress};
      ARTCACHE_TRY(const RebuildReport rebuilt,
                   rebuild(context_, RunKind::incremental, again, session_, {}));
      report_.entries_put =
          rebuilt.statistics.entries_inserted + rebuilt.statistics.entries_changed;
      report_.entries_removed = rebuilt.statistics.entries_deleted;
      report_.errors = rebuilt.errors;
    }
    ARTCACHE_CHECK(look_at_the_rest());
    ARTCACHE_TRY(report_.verdict, watch.stop(tally_, session_.call()));
    return std::move(report_);
  }

 private:
  /// Every entry without a sidecar whose data file stands as it should gets its sidecar back.
  Result<void> write_sidecars() {
    std::vector<Finding> orphans;
    Result<void> written;
    const auto take = [&](const Finding& finding) {
      if (finding.kind != FindingKind::orphan_cache || !written) return;
      orphans.push_back(finding);
      if (orphans.size() == kChunk) written = write_some(orphans);
    };
    const CheckRequest look{.on_finding = take, .progress = request_.progress};
    ARTCACHE_CHECK(check(context_, look, session_));
    ARTCACHE_CHECK(written);
    return write_some(orphans);
  }

  Result<void> write_some(std::vector<Finding>& orphans) {
    for (const Finding& orphan : orphans) {
      ARTCACHE_CHECK(session_.step("repair: writing sidecars"));
      ARTCACHE_TRY(const std::string reason, write_one(orphan));
      if (reason.empty())
        ++report_.sidecars_written;
      else
        kept_back_.push_back({orphan.kind, orphan.id, orphan.path, reason});
      if (kept_back_.size() > context_.settings.details_most) kept_back_.pop_back();
    }
    orphans.clear();
    return {};
  }

  /// Empty when the sidecar was written, or would be; else why not.
  Result<std::string> write_one(const Finding& orphan) {
    if (!may_write_files(context_.settings.mode))
      return "the element is in mode " + std::string(to_string(context_.settings.mode));
    ARTCACHE_TRY(const auto row, context_.index.find(*orphan.id, session_.call()));
    if (!row) return std::string("the entry is gone by now");
    ARTCACHE_TRY(const Standing own, context_.standing(orphan.path, *orphan.id, session_));
    if (own == Standing::another) return std::string(kTellsOfAnother);
    const auto found = context_.storage.stat(data_path_of(orphan.path), session_.call());
    if (!found &&
        (found.error().code == Errc::unsupported || found.error().code == Errc::unavailable))
      return to_string(found.error());
    ARTCACHE_TRY(const auto data, found);
    if (!data) return std::string("its data file is gone too");
    if (data->stamp.size != row->entry.file_size)
      return std::string("its data file has another size");
    const auto text = attr::encode(row->entry);
    if (!text) return to_string(text.error());
    if (request_.dry_run == DryRun::yes) return std::string();
    const auto put = context_.storage.put({.path = orphan.path, .mode = PutMode::must_not_exist},
                                          *text, session_.call());
    if (!put && put.error().code == Errc::conflict) return std::string();
    if (!put) return to_string(put.error());
    return std::string();
  }

  /// What a check still finds. In a dry run that is what would be done, too, so it is counted.
  Result<void> look_at_the_rest() {
    const CheckRequest look{.on_finding = [this](const Finding& f) { left(f); },
                            .progress = request_.progress};
    ARTCACHE_TRY(const ConsistencyReport rest, check(context_, look, session_));
    for (const std::string& text : rest.errors.texts)
      if (request_.dry_run == DryRun::yes) tally_.message(text);
    if (request_.dry_run == DryRun::yes) report_.errors = tally_.messages();
    tally_.not_seen(rest.verdict);
    return {};
  }

  void left(Finding finding) {
    const bool orphan = finding.kind == FindingKind::orphan_cache;
    const bool from_index = request_.from == RepairFrom::index;
    if (request_.dry_run == DryRun::yes && concerns_index(finding.kind) &&
        !(orphan && from_index)) {
      ++(orphan ? report_.entries_removed : report_.entries_put);
      return;
    }
    if (finding.kind == FindingKind::expired) return;
    if (orphan && from_index) {
      const auto why = std::ranges::find(kept_back_, finding.id, &Finding::id);
      // In a dry run: would have been written.
      if (why == kept_back_.end() && request_.dry_run == DryRun::yes) return;
      if (why != kept_back_.end()) finding.detail = why->detail;
    }
    if (++report_.left_total <= context_.settings.details_most)
      report_.left.push_back(std::move(finding));
  }

  const Context& context_;
  const RepairRequest& request_;
  Session& session_;
  Tally tally_;
  RepairReport report_;
  std::vector<Finding> kept_back_;
};

}  // namespace

Result<RepairReport> repair(const Context& context, const RepairRequest& request,
                            Session& session) {
  return Repair(context, request, session).run();
}

}  // namespace artcache::reconcile
