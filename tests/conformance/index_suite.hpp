// SPDX-License-Identifier: Apache-2.0
// The addresses that every test of the index suite runs for.
#pragma once

#include <doctest/doctest.h>
#include <artcache/backends.hpp>
#include <artcache/metadata_store.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace artcache::test {

/// A place where fresh indexes can be opened; the place is gone with the object.
class IndexPlace {
 public:
  virtual ~IndexPlace() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  /// The address of an empty index, `extra` appended as parameters ("log_rows=10").
  virtual std::string fresh_address(const std::string& extra) = 0;
  /// Can the same address be opened twice and show the same index?
  [[nodiscard]] virtual bool shared() const = 0;
};

/// The addresses of ARTCACHE_TEST_INDEXES, separated by spaces.
std::vector<std::string> named_servers();
/// The address of an index that does not exist yet, with its prefix as the first parameter.
std::string fresh_prefix(const std::string& address);

/// The servers that are named, else `mem:` and a SQLite file.
std::vector<std::unique_ptr<IndexPlace>> index_places();

std::unique_ptr<MetadataStore> open_index(const std::string& address);

/// Runs a test once for each place, as a subcase-like scope that names it in failures.
void for_each_index(const std::function<void(IndexPlace&, MetadataStore&)>& test,
                    const std::string& extra = {});

template <class R>
auto good(R result) {
  if constexpr (std::is_void_v<typename R::value_type>) {
    REQUIRE_MESSAGE(result.has_value(), (result ? "" : to_string(result.error())));
  } else {
    REQUIRE_MESSAGE(result.has_value(), (result ? "" : to_string(result.error())));
    return std::move(*result);
  }
}

}  // namespace artcache::test
