// SPDX-License-Identifier: Apache-2.0
// Indexes in one server, beside a plain table of the same columns: the floor of what they do.
#pragma once

#include <artcache/metadata_store.hpp>
#include <memory>
#include <span>
#include <string>

#include "sql/postgres/connection.hpp"

namespace artcache::bench {

/// One server with a table `raw` that has the columns and indexes of an index, and no triggers.
class Site {
 public:
  explicit Site(const std::string& address);

  [[nodiscard]] std::unique_ptr<MetadataStore> open(const std::string& prefix) const;
  [[nodiscard]] std::unique_ptr<sql::PostgresConnection> connect() const;
  void psql(const std::string& command) const;

 private:
  const std::string address_;
};

/// Puts rows into the plain table, in one statement and one transaction.
void upsert(sql::PostgresConnection& connection, std::span<const BulkLoad::Row> rows);

}  // namespace artcache::bench
