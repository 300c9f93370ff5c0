// SPDX-License-Identifier: Apache-2.0
// Makes index and storage agree, and says what it could not mend.
#pragma once

#include "core/reconcile/context.hpp"

namespace artcache::reconcile {

/// Under the session's lock. Errors: see CacheRebuildService.
Result<RepairReport> repair(const Context& context, const RepairRequest& request, Session& session);

}  // namespace artcache::reconcile
