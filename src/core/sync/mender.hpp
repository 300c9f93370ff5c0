// SPDX-License-Identifier: Apache-2.0
// Finds where a replica differs from its source, and makes it good.
#pragma once

#include <artcache/follower.hpp>
#include <cstddef>
#include <span>

namespace artcache::sync {

struct Mended {
  Position upto;                  ///< what is there now is of this position, or older
  std::uint64_t differences = 0;  ///< records put or taken away
};

/// Compares 1,024 buckets, then the 64 parts of each that differs, then the keys in those; fetches
/// only the records that differ, and those that could not be applied so far. The source goes on
/// meanwhile: afterwards the replica stands at the position of the first comparison and may hold
/// what came later, so that the log is to be read on from there, and the digests agree from `upto`
/// on.
Result<Mended> mend(LogSource& source, ReplicaSink& replica, const Clock& clock, const Call& call);

/// Applies those of the dead letters whose record the source tells whole by now, and how many these
/// are. One that has another content by now is left to the log, which tells of that change, so the
/// replica stands where it stood. What the source does not tell is left, too.
/// Errors: those of the replica.
Result<std::size_t> revive(LogSource& source, ReplicaSink& replica,
                           std::span<const DeadLetter> dead, const Call& call);

}  // namespace artcache::sync
