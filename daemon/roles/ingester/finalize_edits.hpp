// SPDX-License-Identifier: Apache-2.0
// An edit at the source that came after the copy was read was acknowledged all the same: it must
// not go with the source. No I/O.
#pragma once

#include <optional>
#include <string>

#include "roles/ingester/tables.hpp"

namespace artcache::ingester {

/// What an element has to be told (PATCH) so that its copy says what the source says, for how long
/// it is kept apart; nothing when it does. What the finalize itself has set stays. Both texts are
/// what elements say of the file.
std::optional<std::string> edits_for_copy(const Finalize& job, const std::string& source,
                                          const std::string& copy);

/// Whether the source was changed after the copy; false when one of them does not tell.
bool edited_since(const std::string& source, const std::string& copy);

}  // namespace artcache::ingester
