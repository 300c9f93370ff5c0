// SPDX-License-Identifier: Apache-2.0
// An EntryFilter as a condition in SQL.
#pragma once

#include <artcache/metadata_store.hpp>
#include <string>
#include <variant>
#include <vector>

#include "sql/sql.hpp"

namespace artcache::sqlite {

/// Conditions joined by AND, with their parameters. Lives as long as the statement's bindings.
class Where {
 public:
  using Value = std::variant<std::int64_t, std::string>;

  Where() = default;
  explicit Where(const EntryFilter& filter);

  void add(std::string_view condition, Value value);
  void add(std::string_view condition, Value first, Value second);

  [[nodiscard]] bool empty() const { return text_.empty(); }
  /// " WHERE …", or nothing.
  [[nodiscard]] std::string text() const { return text_.empty() ? "" : " WHERE " + text_; }
  /// " AND …", or nothing.
  [[nodiscard]] std::string and_text() const { return text_.empty() ? "" : " AND " + text_; }
  /// Binds the parameters from `first` on; returns the number of the next.
  int bind(sql::Statement& statement, int first) const;

 private:
  std::string text_;
  std::vector<Value> values_;
};

}  // namespace artcache::sqlite
