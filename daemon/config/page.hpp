// SPDX-License-Identifier: Apache-2.0
// What can be told, as a page for people.
#pragma once

#include <span>
#include <string>

#include "roles/role.hpp"

namespace artcache::config {

/// Markdown: every setting of the process, of all sites and of these roles, out of their tables.
std::string settings_page(std::span<const RoleKind* const> kinds);

}  // namespace artcache::config
