// SPDX-License-Identifier: Apache-2.0
#include "roles/table.hpp"

#include <array>

namespace artcache {

std::span<const RoleKind* const> role_kinds() {
  // A line a role.
  static const std::array kinds{
      &admin_role(),
      &element_role(),
      &query_role(),
      &ingester_role(),
  };
  return kinds;
}

}  // namespace artcache
