// SPDX-License-Identifier: Apache-2.0
// Tests that this machine cannot run, said so that nobody takes them for run (leaving_out.py).
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>

namespace artcache::test {

/// Says why the rest of a test is left out. Where nothing may be (ARTCACHE_REQUIRE_SERVICES=1, as
/// `make test` and CI set it) the test fails, unless ARTCACHE_MAY_SKIP names what it needs.
inline void leave_out(std::string_view needs, const std::string& reason) {
  const auto told = [](const char* name) {
    const char* const value = std::getenv(name);  // NOLINT: nobody changes it
    return std::string(value == nullptr ? "" : value);
  };
  const std::string required = told("ARTCACHE_REQUIRE_SERVICES");
  std::istringstream may(told("ARTCACHE_MAY_SKIP"));
  bool permitted = required.empty() || required == "0";
  for (std::string word; may >> word;) permitted = permitted || word == needs;
  const std::string said = "left out: " + reason;
  if (permitted)
    MESSAGE(said);
  else
    FAIL(said << "; where that has to be, ARTCACHE_MAY_SKIP=" << needs);
}

}  // namespace artcache::test
