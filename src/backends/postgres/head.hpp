// SPDX-License-Identifier: Apache-2.0
// The one row that every commit moves.
#pragma once

#include <artcache/metadata_store.hpp>

#include "backends/postgres/schema.hpp"
#include "sql/sql.hpp"

namespace artcache::postgres {

/// Head, versions of the schema and the fence minted last, in one row.
inline constexpr std::string_view kHeadText =
    "SELECT v.version, v.reader, v.writer, h.epoch, h.seq, h.digest::text, h.count, "
    "least(greatest(h.bytes, 0), 9223372036854775807)::bigint, m.fence, h.generation, "
    "h.oldest_seq, h.suspect, h.base, EXISTS (SELECT 1 FROM {p}load) "
    "FROM {p}head h, {p}schema v, {p}fence m WHERE v.name = 'index'";

struct HeadRow {
  IndexHead head;
  std::uint64_t base = 0;  ///< the revision of rows that have none of their own
  bool loading = false;    ///< a bulk load goes on, or waits for somebody to go on with it
};

/// Steps to the row of kHeadText and reads it. Errors: corrupt (no head), unsupported (tables of a
/// newer program).
Result<HeadRow> read_head(sql::Statement& statement, const Names& names, sql::Need need);

}  // namespace artcache::postgres
