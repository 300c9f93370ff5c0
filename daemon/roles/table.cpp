// SPDX-License-Identifier: Apache-2.0
#include "roles/table.hpp"

namespace artcache {

std::span<const RoleKind* const> role_kinds() {
  // A line a role.
  static const RoleKind* const kKinds[] = {
      &element_role(),
  };
  return kKinds;
}

}  // namespace artcache
