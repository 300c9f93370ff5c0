// SPDX-License-Identifier: Apache-2.0
// Full and incremental rebuild: one comparison of storage and index whose differences are applied.
#pragma once

#include "core/reconcile/context.hpp"

namespace artcache::reconcile {

/// Under the session's lock. Errors: see CacheRebuildService.
Result<RebuildReport> rebuild(const Context& context, RunKind kind, const RebuildRequest& request,
                              Session& session);

}  // namespace artcache::reconcile
