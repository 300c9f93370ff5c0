// SPDX-License-Identifier: Apache-2.0
// An edit at the source that came after the copy was read was acknowledged all the same: it must
// not go with the source. Nor may it take away what was edited at the copy. Of which came first
// clocks of two machines tell nothing: both are compared with what they said when the copy was
// made. No I/O.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "roles/ingester/editable.hpp"
#include "roles/ingester/tables.hpp"

namespace artcache::ingester {

/// Both copies were edited in the same place. The values are JSON.
struct EditConflict {
  std::string field, source, copy;
  friend bool operator==(const EditConflict&, const EditConflict&) = default;
};

/// What the finalize itself has set stays, and is not told of here.
struct CopyEdits {
  std::optional<std::string> patch = {};  ///< what its element is to be told (PATCH)
  std::vector<EditConflict> conflicts = {};
};

/// Of a copy that was just made and nobody has edited, so that it says what it was made of, which
/// is Finalize::base.
CopyEdits edits_when_made(const Finalize& job, const Editable& source, const Editable& copy);
/// What has changed at the source alone since Finalize::base. Where both have changed the copy
/// stays as it is. Without a base, as finalizes of earlier versions have none, whatever differs
/// counts as changed in both.
CopyEdits edits_since_base(const Finalize& job, const Editable& source, const Editable& copy);

}  // namespace artcache::ingester
