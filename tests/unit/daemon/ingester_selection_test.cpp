// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "roles/ingester/selection.hpp"

namespace artcache::ingester {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

ElementView element(std::string id, std::int64_t priority, ElementMode mode = ElementMode::edit) {
  return {.id = std::move(id),
          .url = {},
          .mode = mode,
          .priority = priority,
          .total = 100 * kGiB,
          .used = 0,
          .available = 100 * kGiB,
          .healthy = true};
}

std::string chosen(const std::vector<ElementView>& elements, const Wanted& wanted) {
  const auto one = choose(elements, wanted);
  return one ? one->id : one.error().message;
}

TEST_SUITE_BEGIN("ingester");

TEST_CASE("The element with the lowest priority is filled first, whatever the order") {
  const std::vector elements{element("se-02", 200), element("se-01", 100)};
  CHECK(chosen(elements, {}) == "se-01");
  CHECK(candidates(elements, {}).back()->id == "se-02");
}

TEST_CASE("Elements of one priority are filled in the order of their ids") {
  const std::vector elements{element("se-b", 100), element("se-a", 100)};
  CHECK(chosen(elements, {}) == "se-a");
}

TEST_CASE("Temporary files go to edit elements, permanent ones to rw") {
  const std::vector elements{element("se-01", 100), element("se-03", 300, ElementMode::rw),
                             element("se-04", 1, ElementMode::ro)};
  CHECK(chosen(elements, {.mode = mode_for(Retention::temporary)}) == "se-01");
  CHECK(chosen(elements, {.mode = mode_for(Retention::permanent)}) == "se-03");
}

TEST_CASE("A dead element is not selectable") {
  std::vector elements{element("se-01", 100), element("se-02", 200)};
  elements[0].healthy = false;
  CHECK(chosen(elements, {}) == "se-02");
  elements[1].healthy = false;
  CHECK(chosen(elements, {}).ends_with("none of them answers"));
}

TEST_CASE("At 98 percent an element is full, below it takes what fits") {
  std::vector elements{element("se-01", 100), element("se-02", 200)};
  elements[0].available = 2 * kGiB;
  CHECK(fill_of(elements[0], {}) == Fill::full);
  CHECK(chosen(elements, {}) == "se-02");
  elements[0].available = 3 * kGiB;
  CHECK(fill_of(elements[0], {}) == Fill::critical);
  CHECK(chosen(elements, {.size = 3 * kGiB}) == "se-01");
  CHECK(chosen(elements, {.size = 3 * kGiB + 1}) == "se-02");
  CHECK(chosen(elements, {.size = 101 * kGiB}).ends_with("none has so much room"));
}

TEST_CASE("The levels of filling begin where they are told to") {
  ElementView one = element("se-01", 100);
  const FillThresholds own{.warning = 50, .critical = 60, .full = 70};
  const auto with = [&](std::uint64_t left) {
    one.available = left * kGiB;
    return std::string(to_string(fill_of(one, own)));
  };
  CHECK(with(51) == "ok");
  CHECK(with(50) == "warning");
  CHECK(with(40) == "critical");
  CHECK(with(30) == "full");
  CHECK(fill_of(one, {}) == Fill::ok);
}

TEST_CASE("An element without a known size takes files while there is room") {
  ElementView one = element("se-01", 100);
  one.total = 0;
  CHECK(fill_of(one, {}) == Fill::ok);
  one.available = 0;
  CHECK(fill_of(one, {}) == Fill::full);
}

TEST_CASE("What has refused a file is not asked again, and the next one is") {
  const std::vector elements{element("se-01", 100), element("se-02", 200)};
  const std::vector<std::string> one{"se-01"}, both{"se-01", "se-02"};
  CHECK(chosen(elements, {.excluded = one}) == "se-02");
  CHECK(chosen(elements, {.excluded = both}).ends_with("every one has refused it"));
}

TEST_CASE("Without elements there is none in that mode") {
  CHECK(chosen({}, {.mode = ElementMode::rw}) ==
        "No storage element in mode rw takes 0 bytes: there is none in that mode");
}

TEST_SUITE_END();

}  // namespace
}  // namespace artcache::ingester
