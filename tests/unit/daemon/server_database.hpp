// SPDX-License-Identifier: Apache-2.0
// The database of a role on a server, where a test is given one.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#if ARTCACHE_WITH_POSTGRES
#include "sql/postgres/connection.hpp"
#endif
#include "tokens.hpp"

namespace artcache::test {

/// The address of the database of `role` where ARTCACHE_TEST_ROLE names the variable with that of
/// the server: without `tables`, and then prepared by `sql`. Nothing where there is none.
inline std::optional<std::string> server_database(const std::string& role, std::string_view tables,
                                                  std::string_view sql = {}) {
#if ARTCACHE_WITH_POSTGRES
  std::string variable = "ARTCACHE_TEST_" + role;
  std::ranges::transform(variable, variable.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const char* const name = std::getenv(variable.c_str());
  if (name == nullptr) return std::nullopt;
  const char* const address = std::getenv(name);
  REQUIRE_MESSAGE(address != nullptr, name);
  const std::string url = std::string(address) + "_" + role;
  const auto options = auth::must(sql::postgres_options(auth::must(Url::parse(url)), {}));
  const Call call;
  const auto connection = auth::must(sql::open_postgres(options, call));
  connection->set_call(&call);
  auth::must(connection->execute("DROP TABLE IF EXISTS artcache_schema, " + std::string(tables)));
  if (!sql.empty()) auth::must(connection->execute(sql));
  return url;
#else
  (void)role;
  (void)tables;
  (void)sql;
  return std::nullopt;
#endif
}

}  // namespace artcache::test
