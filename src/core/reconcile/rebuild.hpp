// SPDX-License-Identifier: Apache-2.0
// Full and incremental rebuild: one comparison of storage and index whose differences are applied.
#pragma once

#include <functional>

#include "core/reconcile/context.hpp"

namespace artcache::reconcile {

/// Told what a run has come to before its notes of how far it came are dropped: who is killed
/// between the two has a run that is known to be done, never one that is done and looks cut short.
using Keep = std::function<void(const RebuildReport&)>;

/// Under the session's lock. Errors: see CacheRebuildService.
Result<RebuildReport> rebuild(const Context& context, RunKind kind, const RebuildRequest& request,
                              Session& session, const Keep& keep);

}  // namespace artcache::reconcile
