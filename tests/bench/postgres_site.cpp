// SPDX-License-Identifier: Apache-2.0
#include "bench/postgres_site.hpp"

#include <artcache/backends.hpp>
#include <cstdlib>

#include "backends/postgres/columns.hpp"
#include "bench/bench.hpp"

namespace artcache::bench {
namespace {

std::string upsert_text() {
  std::string sets;
  for (const postgres::Column& column : postgres::columns())
    if (column.name != "file_id")
      sets.append(sets.empty() ? "" : ", ")
          .append(column.name)
          .append(" = excluded.")
          .append(column.name);
  return "INSERT INTO raw(" + postgres::column_names() + ") SELECT " +
         postgres::column_values("n") + " FROM " + postgres::unnest_text() +
         " ON CONFLICT (file_id) DO UPDATE SET " + sets;
}

}  // namespace

Site::Site(const std::string& address) : address_(address.substr(0, address.find('?'))) {
  (void)open("shape");  // makes its tables
  psql("CREATE TABLE raw (LIKE shape_files INCLUDING ALL)");
}

std::unique_ptr<MetadataStore> Site::open(const std::string& prefix) const {
  const std::string text = address_ + "?prefix=" + prefix + "&owners=/tmp";
  return must(Backends::builtin().open_index(must(Url::parse(text)), {}, {}));
}

std::unique_ptr<sql::PostgresConnection> Site::connect() const {
  const auto options = must(sql::postgres_options(must(Url::parse(address_)), {}));
  return must(sql::open_postgres(options, {}));
}

void Site::psql(const std::string& command) const {
  const std::string line =
      "psql -X -q -v ON_ERROR_STOP=1 '" + address_ + "' -c \"" + command + "\" > /dev/null";
  if (std::system(line.c_str()) != 0) give_up("psql: " + command);
}

void upsert(sql::PostgresConnection& connection, std::span<const BulkLoad::Row> rows) {
  static const std::string text = upsert_text();
  const Call call;
  connection.set_call(&call);
  postgres::ColumnArrays arrays;
  for (const auto& row : rows) arrays.add(row.put, row.freshness, row.scanned.path);
  sql::Statement* const s = must(connection.prepare(text));
  arrays.bind(*s);
  must(s->run());
}

}  // namespace artcache::bench
