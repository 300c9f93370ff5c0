// SPDX-License-Identifier: Apache-2.0
// An EntryFilter as a condition in SQL over {p}files f.
#pragma once

#include <artcache/metadata_store.hpp>
#include <string>
#include <variant>
#include <vector>

#include "sql/sql.hpp"

namespace artcache::postgres {

/// Conditions joined by AND, with their parameters, numbered from $1 on.
class Where {
 public:
  using Value = std::variant<std::int64_t, std::string, Timestamp, FileId>;

  Where() = default;
  explicit Where(const EntryFilter& filter);

  /// Each ? stands for the next value.
  void add(std::string_view condition, std::vector<Value> values);

  [[nodiscard]] bool empty() const { return text_.empty(); }
  /// " WHERE …", or nothing.
  [[nodiscard]] std::string text() const { return text_.empty() ? "" : " WHERE " + text_; }
  /// Binds the parameters from the first on; returns the number of the next.
  int bind(sql::Statement& statement) const;
  /// How the parameter behind them is written: "$4".
  [[nodiscard]] std::string next(int beyond = 0) const {
    return "$" + std::to_string(values_.size() + 1 + static_cast<std::size_t>(beyond));
  }

 private:
  std::string text_;
  std::vector<Value> values_;
};

}  // namespace artcache::postgres
