// SPDX-License-Identifier: Apache-2.0
// The tables of the admin, in both engines.
#pragma once

#include "common/database.hpp"

namespace artcache::admin {

/// Makes what is missing. Errors: those of sql::migrate().
Result<void> migrate(sql::Connection& connection, db::Engine engine, const Call& call);

}  // namespace artcache::admin
