// SPDX-License-Identifier: Apache-2.0
// What the roles answer, as a page for people.
#pragma once

#include <artcache/result.hpp>
#include <string>

#include "config/plan.hpp"

namespace artcache {

/// Line by line the instance, the method, the pattern and what it is for. Reads and writes nothing
/// of what the plan names: the roles are made anew on embedded parts, which are gone afterwards.
/// Errors: unavailable (no room for these parts).
Result<std::string> routes_page(const config::Plan& plan);

}  // namespace artcache
