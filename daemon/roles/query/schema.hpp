// SPDX-License-Identifier: Apache-2.0
// The tables of the query role, in both engines.
#pragma once

#include "common/database.hpp"

namespace artcache::query {

/// Makes what is missing; a file_metadata_cache of the original system keeps its rows, which count
/// as different from their elements' until those have told of them. Errors: those of
/// sql::migrate().
Result<void> migrate(sql::Connection& connection, db::Engine engine, const Call& call);

}  // namespace artcache::query
