// SPDX-License-Identifier: Apache-2.0
// The newest of many rows that match a search, found without reading all of them.
#pragma once

#include <artcache/file_id.hpp>
#include <artcache/result.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sql/sql.hpp"

namespace artcache::sqlite {

/// Prepares a statement over the tables of one moment of the index; texts as in Names.
using Prepare = std::function<Result<sql::Statement*>(std::string_view text)>;

/// A row that matches, as far as it is needed to put it in its place.
struct Hit {
  std::int64_t row = 0;
  std::int64_t created_at = 0, number = 0;  ///< number: what is sorted by, unless it is a text
  FileId id;
  std::string text;
  unsigned rank = 1;
};

/// The hits of a statement that selects row, created_at, file_id and what is sorted by.
Result<std::vector<Hit>> read_hits(sql::Statement& s, bool sort_is_text);

/// The `count` newest among `rows`, which stand in ascending order; newest first.
/// Reading a row costs about ten times a step along the index by time. So that one is walked first,
/// which finds the newest of many soon; if it takes too long, the rows are read after all.
Result<std::vector<Hit>> newest_of(const Prepare& prepare, std::span<const std::int64_t> rows,
                                   std::size_t count);

}  // namespace artcache::sqlite
