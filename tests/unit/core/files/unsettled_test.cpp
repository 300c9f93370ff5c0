// SPDX-License-Identifier: Apache-2.0
#include "core/files/unsettled.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "support/sample_entry.hpp"

using namespace artcache;
using namespace artcache::files;
using artcache::test::sample_id;
using Why = Unsettled::Why;

TEST_SUITE("unsettled") {
  TEST_CASE("what others ended is forgotten, and nothing that came since it was asked for") {
    Unsettled unsettled;
    unsettled.add(sample_id(1), Why::abandoned);
    unsettled.add(sample_id(2), Why::abandoned);
    const std::uint64_t mark = unsettled.mark();
    std::vector<Intent> there(1);
    there[0].id = sample_id(2);
    unsettled.add(sample_id(3), Why::abandoned);
    unsettled.forget_ended(mark, there);
    CHECK_FALSE(unsettled.is(sample_id(1), Why::abandoned));
    CHECK(unsettled.is(sample_id(2), Why::abandoned));
    CHECK(unsettled.is(sample_id(3), Why::abandoned));
    CHECK(unsettled.count() == 2);
  }

  TEST_CASE("that it is of others says least of all reasons") {
    Unsettled unsettled;
    unsettled.add(sample_id(1), Why::others);
    unsettled.add(sample_id(1), Why::watched);
    unsettled.add(sample_id(1), Why::others);
    CHECK(unsettled.is(sample_id(1), Why::watched));
    unsettled.erase(sample_id(1));
    CHECK(unsettled.count() == 0);
  }
}
