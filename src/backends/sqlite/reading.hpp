// SPDX-License-Identifier: Apache-2.0
// A moment of the index, held still for as long as this lives.
#pragma once

#include <optional>

#include "backends/sqlite/index.hpp"
#include "util/try.hpp"

namespace artcache::sqlite {

struct Index::Reading {
  sql::Lease lease;
  sql::Transaction transaction;
  HeadRow row;

  [[nodiscard]] sql::Connection& connection() { return *lease; }
  [[nodiscard]] const IndexHead& head() const { return row.head; }
  /// A statement whose tables are those of the generation in the head.
  Result<sql::Statement*> statement(const Names& names, std::string_view text) {
    return lease->prepare(names.text(text, row.head.generation));
  }
};

}  // namespace artcache::sqlite
