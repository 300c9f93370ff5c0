// SPDX-License-Identifier: Apache-2.0
// Statements over the tables of one generation.
#pragma once

#include <cstdint>
#include <string_view>

#include "backends/sqlite/schema.hpp"
#include "sql/sql.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {

/// For one transaction: the statements of a connection may be let go of at its end.
class Tables {
 public:
  Tables(sql::Connection& connection, const Names& names, std::uint64_t generation)
      : connection_(connection), names_(names), generation_(generation) {}

  /// `slot` keeps the statement, so that its text is put together once and not for every row.
  Result<sql::Statement*> statement(sql::Statement*& slot, std::string_view text) const {
    if (slot == nullptr) {
      ARTCACHE_TRY(slot, connection_.prepare(names_.text(text, generation_)));
    }
    return slot;
  }
  [[nodiscard]] sql::Connection& connection() const { return connection_; }
  [[nodiscard]] const Names& names() const { return names_; }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  sql::Connection& connection_;
  const Names& names_;
  const std::uint64_t generation_;
};

}  // namespace artcache::sqlite
