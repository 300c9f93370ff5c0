// SPDX-License-Identifier: Apache-2.0
// The same comparison as a rebuild, reported instead of applied; and data files besides.
#pragma once

#include "core/reconcile/context.hpp"

namespace artcache::reconcile {

/// Under the session's lock. Errors: see CacheRebuildService.
Result<ConsistencyReport> check(const Context& context, const CheckRequest& request,
                                Session& session);

}  // namespace artcache::reconcile
