// SPDX-License-Identifier: Apache-2.0
#include "backends/postgres/head.hpp"

#include "backends/postgres/columns.hpp"
#include "util/try.hpp"

namespace artcache::postgres {

Result<HeadRow> read_head(sql::Statement& s, const Names& names, sql::Need need) {
  ARTCACHE_TRY(const bool found, s.step());
  if (!found)
    return Error{Errc::corrupt,
                 "postgresql index: the head row is missing; make the index anew under another "
                 "prefix"};
  const auto number = [&](int column) { return static_cast<std::uint32_t>(s.integer(column)); };
  ARTCACHE_CHECK(check_versions({number(0), number(1), number(2)}, names, need));
  HeadRow row;
  IndexHead& head = row.head;
  ARTCACHE_TRY(const Digest digest, read_digest(s, 5));
  head.position = {from_sql(s.integer(3)), from_sql(s.integer(4)), digest};
  head.count = from_sql(s.integer(6));
  head.bytes = from_sql(s.integer(7));
  head.fence = from_sql(s.integer(8));
  head.generation = from_sql(s.integer(9));
  head.oldest_seq = from_sql(s.integer(10));
  head.suspect_reason = s.text(11);
  head.schema_reader = number(1);
  head.schema_writer = number(2);
  row.base = from_sql(s.integer(12));
  row.loading = s.integer(13) != 0;
  s.reset();
  return row;
}

}  // namespace artcache::postgres
