// SPDX-License-Identifier: Apache-2.0
// Expired entries: replaced in place by what their sidecars say.
#pragma once

#include <functional>
#include <span>

#include "core/reconcile/applier.hpp"
#include "core/reconcile/context.hpp"

namespace artcache::reconcile {

/// Under the session's lock. Errors: see CacheRebuildService.
Result<RebuildReport> cleanup_expired(const Context& context, Session& session);

/// Reads the sidecars of these entries and makes the index follow, whether they have expired or
/// not. One outcome an id.
Result<std::vector<RefreshOutcome>> refresh(const Context& context, std::span<const FileId> ids,
                                            Session& session, Tally& tally,
                                            RunStatistics& statistics);

}  // namespace artcache::reconcile
