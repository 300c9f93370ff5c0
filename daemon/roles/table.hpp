// SPDX-License-Identifier: Apache-2.0
// The roles that artcached knows.
#pragma once

#include <span>

#include "roles/role.hpp"

namespace artcache {

/// In the order in which they are made: the admin first, whose keys the others read.
std::span<const RoleKind* const> role_kinds();

}  // namespace artcache
