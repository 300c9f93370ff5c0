// SPDX-License-Identifier: Apache-2.0
// The tables of the ingester, in both engines.
#pragma once

#include "common/database.hpp"

namespace artcache::ingester {

/// Makes what is missing. Errors: those of sql::migrate().
Result<void> migrate(sql::Connection& connection, db::Engine engine, const Call& call);

}  // namespace artcache::ingester
