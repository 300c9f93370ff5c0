// SPDX-License-Identifier: Apache-2.0
// Storage and index, compared: what differs is made to say what the sidecars say.
#pragma once

#include "core/reconcile/run.hpp"

namespace artcache::reconcile {

/// What the first walk opens.
enum class Opening : std::uint8_t {
  all,      ///< but what the run that this one goes on with has read
  changed,  ///< what has another stamp than when it was read last
};

/// Its walks are: the first over everything; then, for what the index was found not to say, another
/// one that opens just that; then the same for every further part of the ids. Prunes, too, when the
/// run does.
Result<void> compare(Run& run, Opening opening);

}  // namespace artcache::reconcile
