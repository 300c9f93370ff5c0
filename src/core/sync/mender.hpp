// SPDX-License-Identifier: Apache-2.0
// Finds where a replica differs from its source, and makes it good.
#pragma once

#include <artcache/follower.hpp>

namespace artcache::sync {

struct Mended {
  Position upto;                  ///< what is there now is of this position, or older
  std::uint64_t differences = 0;  ///< records put or taken away
};

/// Compares 1,024 buckets, then the 64 parts of each that differs, then the keys in those; fetches
/// only the records that differ. The source goes on meanwhile: afterwards the replica stands at the
/// position of the first comparison and may hold what came later, so that the log is to be read on
/// from there, and the digests agree from `upto` on.
Result<Mended> mend(LogSource& source, ReplicaSink& replica, const Call& call);

}  // namespace artcache::sync
