// SPDX-License-Identifier: Apache-2.0
// The table into which a bulk load copies, and how it takes the place of {p}files.
//
// A stage has the columns of {p}files, then those of the scan table. Where nothing but what
// artcache makes itself hangs on {p}files, the stage gets its indexes and triggers and its name:
// that costs half of inserting the rows once more. Whatever people have added (indexes, grants,
// views, triggers, …) would be lost on the way, so then rows are inserted.
#pragma once

#include <cstdint>
#include <string_view>

#include "backends/postgres/schema.hpp"
#include "sql/postgres/connection.hpp"

namespace artcache::postgres {

/// Makes an empty stage. Rows lie in the order in which they came.
extern const std::string_view kMakeStageText;

/// Whether rows may be there twice shows when they are indexed; only then they are looked through.
enum class Doubles : std::uint8_t { none_expected, sorted_out };
/// Take out of the stage all rows but one of a path; and then all but one of an id.
extern const std::string_view kDropDoublesText, kDropTwinsText;

/// Whether the stage may take the place of {p}files. Errors: those of the engine.
Result<bool> may_replace(sql::PostgresConnection& connection, const Names& names);

/// Makes the scan table of what is staged, beside the one that is in use. Errors: conflict where a
/// path is there twice, and those of the engine.
Result<void> build_scan(sql::PostgresConnection& connection, const Names& names);
/// Builds the indexes of the stage, in the transaction that replaces; build_scan() may go on beside
/// it. Nobody waits for either. Errors: conflict where an id is there twice, and those of the
/// engine.
Result<void> build_stage(sql::PostgresConnection& connection, const Names& names);
/// Takes both tables, from readers too, for the rest of the transaction. Does not make them wait
/// for long: where somebody holds one, it gives up soon and tries again a few times. Errors: busy.
Result<void> take_tables(sql::PostgresConnection& connection, const Names& names);
/// Keeps what temporary table artcache_touched names as it is in the old tables, puts the new ones
/// in their place, and logs the difference as one reset. Errors: those of the engine.
Result<void> replace_tables(sql::PostgresConnection& connection, const Names& names);

}  // namespace artcache::postgres
