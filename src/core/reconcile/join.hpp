// SPDX-License-Identifier: Apache-2.0
// Every entry of the index against what a run has found.
#pragma once

#include <vector>

#include "core/reconcile/run.hpp"

namespace artcache::reconcile {

/// Of the part of the ids that Run::found holds; there each id is marked by how it compares.
struct Joined {
  struct Row {
    FileId id;
    std::uint64_t revision = 0;
  };
  std::vector<Row> absent;   ///< entries that no sidecar tells of
  bool more_absent = false;  ///< there are more of them than are held at once
  /// With a full run: entries that say what their sidecars say, and are to be made fresh.
  std::vector<FileId> aged;
  std::uint64_t as_of = 0;
};

Result<Joined> join(Run& run);

/// What was found equal, unless it has changed since.
Result<void> freshen(Run& run, const Joined& joined);

}  // namespace artcache::reconcile
