// SPDX-License-Identifier: Apache-2.0
// What the tests of sql share: a database in a folder that goes away, or on a disk that fails.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "sql/sql.hpp"
#include "sql/sqlite/connection.hpp"

namespace artcache::sql {

/// The value, or a failed test that shows the error.
template <class T>
T must(Result<T> result) {
  if (!result) FAIL(to_string(result.error()));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

template <class T>
Errc code_of(const Result<T>& result) {
  REQUIRE_FALSE(result);
  return result.error().code;
}

/// Without a time of its own it only keeps a test from hanging.
inline Call soon(std::chrono::milliseconds timeout = std::chrono::minutes(10)) {
  return Call().within(timeout);
}

inline std::unique_ptr<Connection> open_at(const std::string& path, const std::string& vfs = {},
                                           Synchronous synchronous = Synchronous::full) {
  SqliteOptions options;
  options.path = path;
  options.vfs = vfs;
  options.synchronous = synchronous;
  return must(open_sqlite(options, soon()));
}

/// The first column of the first row.
inline std::int64_t number(Connection& connection, std::string_view sql) {
  Statement* statement = must(connection.prepare(sql));
  REQUIRE(must(statement->step()));
  const std::int64_t value = statement->integer(0);
  statement->reset();
  return value;
}

inline std::string word(Connection& connection, std::string_view sql) {
  Statement* statement = must(connection.prepare(sql));
  REQUIRE(must(statement->step()));
  std::string value(statement->text(0));
  statement->reset();
  return value;
}

}  // namespace artcache::sql
