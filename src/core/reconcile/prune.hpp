// SPDX-License-Identifier: Apache-2.0
// Takes out of an index what a run has not found.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/reconcile/join.hpp"
#include "core/reconcile/run.hpp"

namespace artcache::reconcile {

/// Removes entries that no sidecar tells of, each after its sidecar was looked for. What cannot be
/// looked at stays, and counts as unmatched.
Result<void> prune_entries(Run& run, Joined joined);

/// Paths of the scan table that were not listed; perhaps not all of them at once.
struct Stale {
  std::vector<ScannedFile> files;
  bool all = false;
};

/// Those of the part of the ids that Run::found holds, behind a path that an earlier look has come
/// to. Beside join() from another thread, then with a `step` that does nothing.
Result<Stale> find_stale(const Run& run, const std::string& after,
                         const std::function<Result<void>()>& step);

/// Takes all of them out; `first` is what was found from the beginning on, if anything was. A path
/// that stands there after all is opened by the next comparison. Within a folder their entries are
/// settled, too: nothing else has looked for those whose sidecar is gone.
Result<void> forget_stale(Run& run, std::optional<Stale> first);

}  // namespace artcache::reconcile
