// SPDX-License-Identifier: Apache-2.0
#include <cassert>
#include <utility>

#include "sql/sql.hpp"
#include "util/try.hpp"

namespace artcache::sql {

Result<Transaction> Transaction::begin(Connection& connection, TransactionKind kind) {
  ARTCACHE_CHECK(connection.begin(kind));
  return Transaction(connection);
}

Transaction::~Transaction() {
  if (connection_ != nullptr) connection_->rollback();
}

Result<void> Transaction::commit() {
  assert(connection_ != nullptr);
  return std::exchange(connection_, nullptr)->commit();
}

}  // namespace artcache::sql
